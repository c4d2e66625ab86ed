"""A training run as a process: killed at any moment it ends as one that was never killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file
from typer.testing import CliRunner

from scatterlens.schemas import TrainingResult
from scatterlens_models.bundle import load_bundle
from scatterlens_models.datasets.examples import Examples
from scatterlens_models.datasets.manifest import write_manifest
from scatterlens_models.datasets.members import FrameMember, RecipeMember
from scatterlens_models.evaluation.curve import Progress, read_curve
from scatterlens_models.session import ModelSession
from scatterlens_models.training.commands import train as train_command
from scatterlens_models.training.job import RunBusyError, run_job
from scatterlens_models.training.job_file import (
    Job,
    JobFileError,
    Line,
    write_job,
)
from scatterlens_models.training.loop import train
from scatterlens_models.training.recipe import slim
from scatterlens_models.training.refusals import refusal_of
from scatterlens_models.vocabulary import load_vocabulary
from support.bundles import make_bundle

pytestmark = [
    pytest.mark.timeout(180),
    # The exporter of torch speaks of its own future, and of packages that we do not use.
    pytest.mark.filterwarnings(
        "ignore:.*LeafSpec.*:FutureWarning", "ignore::DeprecationWarning:onnxscript.*"
    ),
]

app = typer.Typer()
app.command()(train_command)

AAM20 = load_vocabulary("aam20")
TINY = {"width": 0.0625, "input_size": 64, "poolings": 2, "passes": 64, "batch": 8}
MEMBERS = (
    RecipeMember("realistic", 7, 0, 40, "train"),
    RecipeMember("realistic", 7, 1_000, 16, "validation"),
)


def job(**changes) -> Job:
    given = {
        "name": "tiny",
        "recipe": "slim-vgg16",
        "datasets": ("simulated.jsonl",),
        "overrides": TINY,
        "attributes": ("ring", "halo"),
        "evaluations": 4,
    }
    return Job.model_validate(given | changes)


@pytest.fixture
def make_run(tmp_path) -> Callable[..., Path]:
    """Folder of a run of `MEMBERS`, or of others."""

    def make(name: str, members=MEMBERS, **changes) -> Path:
        folder = tmp_path / name
        write_job(folder, job(**changes))
        write_manifest(folder / "simulated.jsonl", AAM20, members, "experiment")
        return folder

    return make


@contextmanager
def running(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "scatterlens_models.training.job", str(folder), *options]
    pipe = subprocess.PIPE
    with (folder / "job.log").open("a") as log:
        # One thread: several add up in an order of their own, and runs are compared to the bit.
        process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[str]) -> Iterator[Line]:
    assert process.stdout is not None
    for text in process.stdout:
        yield Line.model_validate_json(text)


def finish(folder: Path) -> TrainingResult:
    with running(folder) as process:
        *_, last = lines_of(process)
        assert process.wait(60) == 0, (folder / "job.log").read_text()
    assert last.result is not None
    return last.result


def kill_at(folder: Path, moment: Callable[[Line], bool], later_s: float = 0.0) -> None:
    with running(folder) as process:
        assert any(moment(line) for line in lines_of(process)), (folder / "job.log").read_text()
        time.sleep(later_s)
        process.send_signal(signal.SIGKILL)


def curve(folder: Path) -> list[Progress]:
    """All but the time that it took."""
    return [replace(point, seconds=0.0) for point in read_curve(folder / "train")]


def test_a_run_killed_three_times_ends_with_the_same_curve_weights_and_bundle(make_run):
    whole, cut = make_run("whole", pretrain_passes=24), make_run("cut", pretrain_passes=24)
    expected = finish(whole)
    kill_at(cut, lambda line: line.stage == "load", later_s=0.3)
    assert not (cut / "train").exists()
    kill_at(cut, lambda line: line.stage == "train" and line.mean_ap is not None)
    assert not (cut / "bundle").exists()
    kill_at(cut, lambda line: line.stage == "export", later_s=0.3)
    assert not (cut / "result.json").exists()
    found = finish(cut)
    assert curve(cut) == curve(whole)
    assert sum(point.mean_ap is not None for point in curve(whole)) == 4
    for part in ("pretrain", "train"):
        kept, wanted = (load_file(run / part / "checkpoint.safetensors") for run in (cut, whole))
        assert kept.keys() == wanted.keys()
        assert all(torch.equal(kept[name], wanted[name]) for name in wanted)
    for name in ("model.onnx", "weights.safetensors"):
        assert (cut / "bundle" / name).read_bytes() == (whole / "bundle" / name).read_bytes()
    assert found == expected
    assert load_bundle(cut / "bundle").version == expected.version
    assert not (cut / "cache").exists()
    # Once more is nothing but the answer.
    assert run_job(cut, lambda line: None) == expected


def test_a_process_is_alone_in_its_folder_and_ends_when_nobody_keeps_it_alive(
    make_run, monkeypatch
):
    monkeypatch.setattr("scatterlens_models.training.job._LOCK_SECONDS", 0.2)
    folder = make_run("run", overrides=TINY | {"passes": 2**20})
    with running(folder, "--alive", "2") as process:
        assert process.stdin is not None
        stop = threading.Event()
        feeder = threading.Thread(target=_feed, args=(process, stop), daemon=True)
        feeder.start()
        assert any(line.stage == "train" and line.share > 0 for line in lines_of(process))
        with pytest.raises(RunBusyError):
            run_job(folder, lambda line: None)
        stop.set()
        feeder.join()
        began = time.monotonic()
        assert process.wait(60) == 75
        assert time.monotonic() - began < 6


def _feed(process: subprocess.Popen[str], stop: threading.Event) -> None:
    assert process.stdin is not None
    while not stop.wait(0.3):
        process.stdin.write("\n")
        process.stdin.flush()


def test_a_run_goes_on_from_a_bundle_and_keeps_its_calibration_where_labels_are_few(
    make_run, tmp_path
):
    make_bundle(tmp_path, "old")
    _pretend_calibrated(tmp_path / "old", 2.5, 0.7)
    folder = make_run(
        "run",
        start=_weights(tmp_path / "before"),
        base=tmp_path / "old",
        overrides=TINY | {"filter_rate": 0.0, "learning_rate": 0.0, "passes": 8},
    )
    result = run_job(folder, lambda line: None)
    assert "ring" in result.kept_calibration
    assert result.uncalibrated == []
    bundle = load_bundle(folder / "bundle")
    assert bundle.version == result.version
    assert bundle.content["temperature"] == [2.5] * 20
    assert bundle.thresholds.tolist() == [0.7] * 20
    assert bundle.content["provenance"]["dataset"] == result.dataset
    frames = np.random.default_rng(1).random((1, 2, 64, 64), np.float32)
    (answer,) = ModelSession(bundle).predict(frames)
    logits = answer.attribute_maps.sum(axis=(1, 2)) + bundle.bias
    np.testing.assert_allclose(answer.probabilities, 1 / (1 + np.exp(-logits / 2.5)), atol=1e-4)


def _weights(folder: Path) -> Path:
    """Weights of the tiny network, hardly trained."""
    x = torch.rand((8, 2, 64, 64), generator=torch.Generator().manual_seed(1)).half()
    few = Examples(x, (torch.arange(160).reshape(8, 20) % 3 % 2).to(torch.int8))
    train(replace(slim("vgg16"), **TINY | {"passes": 8}), few, few, folder, evaluations=1)
    return folder / "checkpoint.safetensors"


def _pretend_calibrated(folder: Path, temperature: float, threshold: float) -> None:
    content = json.loads((folder / "bundle.json").read_text())
    content |= {"temperature": [temperature] * 20, "thresholds": [threshold] * 20}
    (folder / "bundle.json").write_text(json.dumps(content))


def test_a_result_without_a_figure_is_understood():
    """As few labels leave it: whatever may be absent is left out of a line, and read as absent."""
    result = TrainingResult(name="a", version="0" * 12, dataset="d")
    line = Line(stage="export", share=1.0, mean_ap=result.mean_ap, result=result)
    assert Line.model_validate_json(line.model_dump_json(exclude_none=True)) == line
    assert result.mean_ap is None


def test_what_cannot_be_learned_from_is_refused_with_a_reason(make_run, tmp_path):
    gone = FrameMember("a" * 64, tmp_path / "gone.edf", (1,) * 20, "s", "e", "ada", "train")
    thin = [replace(MEMBERS[0], count=4), MEMBERS[1]]
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\0" * 100)
    old = {"start": damaged, "base": make_bundle(tmp_path, "old").path}
    for name, members, changes, kind, told in [
        ("vanished", (gone, *MEMBERS), {}, "frame_vanished", "gone.edf"),
        ("positives", thin, {"attributes": None}, "no_positives", "no frame of train shows"),
        ("batch", thin, {"attributes": ()}, "bad_dataset", "fill a batch"),
        ("recipe", MEMBERS, {"recipe": "slim-nothing"}, "bad_job", "did you mean"),
        ("override", MEMBERS, {"overrides": {"sede": 1}}, "bad_job", "seed"),
        ("damaged", MEMBERS, old, "bad_checkpoint", "read"),
    ]:
        folder = make_run(name, members, **changes)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            run_job(folder, lambda line: None)
        refusal = refusal_of(caught.value)
        assert refusal is not None, caught.value
        assert (refusal.type, told in refusal.detail) == (kind, True), refusal
        assert refusal.remedy
        assert not (folder / "bundle").exists()


def test_a_job_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(JobFileError, match="write it first"):
        run_job(tmp_path, lambda line: None)
    (tmp_path / "job.json").write_text('{"name": "x", "recipe": "slim-vgg16", "colour": "blue"}')
    with pytest.raises(JobFileError, match="colour"):
        run_job(tmp_path, lambda line: None)


def test_the_command_line_trains_on_datasets(tmp_path):
    many = [replace(MEMBERS[0], count=160), replace(MEMBERS[1], count=80)]
    write_manifest(tmp_path / "few.jsonl", AAM20, MEMBERS, "experiment")
    write_manifest(tmp_path / "many.jsonl", AAM20, many, "experiment")
    words = ["slim-vgg16", "--passes=64", "--width=0.0625", "--size=64", "--batch=8"]

    def said(code: int, *more: str) -> str:
        done = CliRunner().invoke(app, [*words, f"--run={tmp_path / 'run'}", *more])
        assert done.exit_code == code, done.output
        return " ".join(done.output.split())

    few, enough = (f"--dataset={tmp_path / name}.jsonl" for name in ("few", "many"))
    assert "Label frames that show it" in said(1, few)
    assert "another folder" in said(2, enough)
    assert "--shards or --dataset" in said(2)
    shutil.rmtree(tmp_path / "run")
    made = tmp_path / "made"
    assert "bundle slim-vgg16" in said(0, enough, "--evidence=0.1", f"--bundle={made}")
    recipe = load_bundle(made).content["recipe"]
    assert (recipe["evidence_weight"], recipe["width"]) == (0.1, 0.0625)
