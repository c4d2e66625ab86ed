"""Training through the whole service: a gateway with its trainer as a user starts them, the SDK."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from scatterlens import Client
from scatterlens.cli.training import training as command
from scatterlens.connection import read_connection
from scatterlens.errors import ApiError, Forbidden, NotFound, TrainingFailed
from scatterlens.schemas import State
from scatterlens_models.bundle import load_bundle
from scatterlens_models.datasets.manifest import read_manifest
from scatterlens_models.training.recipe import Recipe
from scatterlens_service import ledger
from scatterlens_service.settings import Settings
from support.bundles import make_bundle
from support.detector_files import npy
from support.gateway import make_key
from support.servers import free_port

pytestmark = pytest.mark.timeout(240)

TINY = {
    "recipe": "slim-vgg16",
    "simulated": 40,
    "passes": 64,
    "attributes": ["ring"],
    "overrides": {"width": 0.0625, "input_size": 64, "poolings": 2, "batch": 8},
    "evaluations": 4,
}
LONG = TINY | {"passes": 2**24, "evaluations": 200}


@contextmanager
def process(home: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "SCATTERLENS_HOME": str(home),
        "SCATTERLENS_ACTIVE_MODELS": "linear",
        "SCATTERLENS_MIN_FREE_SHARE": "0",
        "SCATTERLENS_LEASE_SECONDS": "4",
        "SCATTERLENS_HEARTBEAT_SECONDS": "1",
        "OMP_NUM_THREADS": "1",
    }
    with (home / "log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", *words], env=environment, stdout=log, stderr=log
        )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(60)


def wait_for(condition: Callable[[], object], home: Path, seconds: float = 100.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, (home / "log").read_text()[-5000:]
        time.sleep(0.05)


@contextmanager
def serving(home: Path, *options: str) -> Iterator[Client]:
    make_bundle(home / "bundles")
    port = str(free_port())
    with process(home, "scatterlens", "serve", "--port", port, *options):
        wait_for(lambda: _answers(home, port), home)
        key = make_key(Settings(home=home), name="ada", role="admin")
        with Client(f"http://127.0.0.1:{port}", key) as client:
            yield client


def _answers(home: Path, port: str) -> bool:
    kept = read_connection(home)
    try:
        with Client(f"http://127.0.0.1:{port}", kept.key if kept else "none", retry_s=0) as client:
            client.health()
    except ConnectionError:
        return False
    except PermissionError:  # without a worker no key is printed, but it answers
        return True
    return True


def label_frames(client: Client, path: Path, count: int = 6) -> None:
    """Frames of `count` scans: a bright top half is a ring."""
    for number in range(count):
        counts = np.random.default_rng(number).poisson(5, (64, 64)).astype(np.int32)
        counts[:32] += 60 * (number % 2)
        file = path / f"{number}.npy"
        file.write_bytes(npy(counts))
        (sent,) = client.submit(file, scan=f"scan {number}", proposal="p")
        said = "present" if number % 2 else "absent"
        client.label(sent.frame_id, {"ring": said, "halo": "absent"})


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def client(home, tmp_path_factory) -> Iterator[Client]:
    with serving(home) as client:
        with pytest.raises(TrainingFailed, match="label some first"):
            client.wait_for_training(client.train(**TINY).id, wait=60)
        label_frames(client, tmp_path_factory.mktemp("frames"))
        yield client


def test_labels_become_a_bundle_and_the_way_there_can_be_followed(client, home):
    heard = []
    run = client.train(**TINY, note="the first")

    def listen() -> None:
        for event in client.events(after=0):
            if event.training is None or event.training.run_id != run.id:
                continue
            heard.append(event)
            if event.training.state.is_final:
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert run.state is State.QUEUED
    seen = []
    done = client.wait_for_training(run.id, wait=120, report=seen.append)
    assert done.result is not None
    assert done.request.vocabulary == "aam20"
    bundle = load_bundle(home / "runs" / run.id / "bundle")
    assert (bundle.name, bundle.version) == ("slim-vgg16", done.result.version)
    assert bundle.content["provenance"]["dataset"] == done.result.dataset
    manifest = read_manifest(home / "runs" / run.id / "dataset.jsonl")
    assert manifest.id == done.result.dataset
    assert len(manifest.frames) == 6
    assert {frame.split for frame in manifest.frames} == {"train", "validation", "test"}
    assert {frame.author for frame in manifest.frames} == {"ada"}
    points = client.training_metrics(run.id)
    assert [point["step"] for point in points if point["mean_ap"] is not None] == [2, 4, 6, 8]
    assert done.result.mean_ap == points[-1]["mean_ap"]
    # Both models on the same frames, and said to be so.
    production = next(one for one in client.models() if one.production)
    beside = done.result.production
    assert beside is not None
    assert beside.model == f"{production.name}@{production.version}"
    assert beside.mean_ap is not None
    assert done.result.validation_frames > 0
    model = client.model(done.result.version)
    assert model.metrics["validation"]["mean_ap"] == done.result.mean_ap
    card = model.card or ""
    taught = sum(frame.split == "train" for frame in manifest.frames)
    assert f"It learned from {taught} labelled frames beside simulated ones" in card
    assert f"the {done.result.validation_frames} validation frames of its own run" in card
    assert "simulated frames alone" not in card
    assert {one.progress.stage for one in seen if one.progress} <= {"load", "train", "export"}
    listener.join(10)
    told = [event.training for event in heard if event.kind == "training"]
    assert {one.run_id for one in told} == {run.id}
    assert [told[0].state, told[-1].state] == [State.QUEUED, State.DONE]
    assert client.trainings()[0] == done

    key = client._transport._http.headers["Authorization"].removeprefix("Bearer ")
    where = ["--url", client.url, "--key", key]
    settings = [f"--set={name}={value}" for name, value in TINY["overrides"].items()]
    asked = ["--recipe=slim-vgg16", "--simulated=40", "--passes=16", "--attribute=ring"]
    started = CliRunner().invoke(
        command, ["start", *asked, f"--start={run.id}", "--follow", *settings, *where]
    )
    assert started.exit_code == 0, started.output
    assert "bundle slim-vgg16" in started.output
    (newest, *_) = client.trainings()
    assert newest.request.overrides == TINY["overrides"]
    assert newest.id in CliRunner().invoke(command, ["list", *where]).output
    assert "16 passes" in CliRunner().invoke(command, ["show", newest.id, *where]).output
    second = read_manifest(home / "runs" / newest.id / "dataset.jsonl")
    assert second.id == manifest.id  # the same labels in the same splits
    learned = load_bundle(home / "runs" / newest.id / "bundle").content["provenance"]["training"]
    assert "64 frame passes; then dataset" in learned


def test_a_run_goes_on_from_what_was_promoted_as_that_was_trained(client, home):
    first = client.wait_for_training(client.train(**TINY, seed=5).id, wait=120).result
    model = client.model(first.version)
    assert (model.run_id, model.aliases) == (client.trainings()[0].id, ["candidate"])
    assert model.gate is None  # this service has no frames to judge by
    with pytest.raises(ApiError, match="gate"):
        client.promote_model(first.version, "it learned from us")
    client.promote_model(first.version, "it learned from us", override=True)
    try:
        run = client.train(passes=16, simulated=40, attributes=["ring"])
        second = client.wait_for_training(run.id, wait=120).result
        content = load_bundle(home / "runs" / run.id / "bundle").content
        assert content["recipe"]["filter_rate"] == Recipe.filter_rate / 20
        assert content["provenance"]["start"] == f"slim-vgg16@{first.version}"
        assert {k: content["recipe"][k] for k in ("width", "batch", "input_size")} == {
            k: TINY["overrides"][k] for k in ("width", "batch", "input_size")
        }
        assert client.model(second.version).aliases == ["candidate"]
    finally:
        client.roll_back_model("the next test starts from the first")


def test_a_run_that_is_cancelled_ends_its_process(client, home):
    run = client.train(**LONG)
    wait_for(lambda: (p := client.training(run.id).progress) and p.stage == "train", home)
    pids = _processes_in(home / "runs" / run.id)
    assert pids
    assert client.cancel_training(run.id).state is State.CANCELLED
    wait_for(lambda: not _processes_in(home / "runs" / run.id), home, 15)
    with pytest.raises(TrainingFailed, match="cancelled"):
        client.wait_for_training(run.id)
    assert client.cancel_training(run.id).state is State.CANCELLED


def _processes_in(folder: Path) -> list[int]:
    """Ids of the processes whose command names a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_a_run_that_cannot_be_says_why(client, home):
    run = client.train(**TINY | {"start": "linear"})
    with pytest.raises(TrainingFailed, match="no weights") as caught:
        client.wait_for_training(run.id, wait=60)
    assert caught.value.reason is not None
    assert caught.value.reason.type == "bad_start"


def test_a_request_that_cannot_be_is_refused_at_once(client, home):
    with pytest.raises(NotFound, match="GET /api/v1/models"):
        client.train(start="unheard of")
    with pytest.raises(NotFound, match="no run"):
        client.training("run-0")
    before = len(client.trainings())
    for change in ({"overrides": {"sede": 3}}, {"recipe": "slim-vgg61"}):
        with pytest.raises(ApiError, match="did you mean"):
            client.train(**TINY | change)
    assert len(client.trainings()) == before
    settings = Settings(home=home)
    for options in ({"role": "scientist"}, {"role": "trainer", "proposal": "p"}):
        with Client(client.url, make_key(settings, **options)) as other:
            with pytest.raises(Forbidden):
                other.train()


def test_a_killed_trainer_leaves_nobody_behind_and_another_goes_on_where_it_was(tmp_path):
    with serving(tmp_path, "--no-worker") as client:
        label_frames(client, tmp_path)
        engine = ledger.open_engine(Settings(home=tmp_path).database)
        run = client.train(**LONG | {"passes": 8000})
        folder = tmp_path / "runs" / run.id
        with process(tmp_path, "scatterlens_worker.trainer") as first:
            wait_for(lambda: client.training_metrics(run.id), tmp_path)
            first.send_signal(signal.SIGKILL)
            wait_for(lambda: not _processes_in(folder), tmp_path, 30)
        reached = client.training_metrics(run.id)[-1]["step"]
        saved = folder / "train" / "checkpoint.safetensors"
        checkpoint = saved.stat().st_mtime
        with process(tmp_path, "scatterlens_worker.trainer") as second:
            wait_for(lambda: client.training_metrics(run.id)[-1]["step"] > reached, tmp_path)
            assert client.training(run.id).state is State.LEASED
            steps = [point["step"] for point in client.training_metrics(run.id)]
            assert len(set(steps)) == len(steps)
            # A step is told before its checkpoint is written.
            wait_for(lambda: saved.stat().st_mtime > checkpoint, tmp_path)
        # Asked to end, it gives the run back at once.
        assert client.training(run.id).state is State.QUEUED
        with ledger.reading(engine) as session:
            seen = [one.report.id for one in ledger.seen_workers(session, "train")]
        assert not any(f":{second.pid}:" in one for one in seen)
        engine.dispose()


def test_nobody_who_trains_is_said_with_the_remedy(tmp_path, monkeypatch):
    from starlette.testclient import TestClient

    from scatterlens_service.gateway.app import create_app

    monkeypatch.setattr("scatterlens_service.tending.training.can_train_here", lambda: False)
    make_bundle(tmp_path / "bundles")
    settings = Settings(home=tmp_path, active_models=("linear",), min_free_share=0.0)
    with TestClient(create_app(settings)) as http:
        http.headers["Authorization"] = f"Bearer {make_key(settings, role='trainer')}"
        refused = http.post("/api/v1/training", json={})
        assert refused.status_code == 409
        assert "scatterlens[train]" in refused.json()["remedy"]
        assert "scatterlens trainer" in refused.json()["remedy"]
        engine = ledger.open_engine(settings.database)
        with ledger.writing(engine) as session:
            report = ledger.WorkerReport("t", "cpu", "torch", role="train")
            ledger.heartbeat(session, report, [], 60)
        engine.dispose()
        same = {"Idempotency-Key": "once"}
        first = http.post("/api/v1/training", json={}, headers=same)
        second = http.post("/api/v1/training", json={}, headers=same)
        assert (first.status_code, second.json()) == (202, first.json())
        other = http.post("/api/v1/training", json={"seed": 2}, headers=same)
        assert other.status_code == 422
        assert len(http.get("/api/v1/training").json()["items"]) == 1
        assert http.post("/api/v1/training", json={"passes": 0}).status_code == 422
