"""The papers' experiments: each runs, goes on after a kill, and claims no more than it may."""

import fcntl
import gzip
import json
import math
import shutil
import threading
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.nets import build
from scatterlens_models.reproduce.commands import reproduce
from scatterlens_models.reproduce.experiments import EXPERIMENTS
from scatterlens_models.reproduce.images import read_idx, read_images
from scatterlens_models.reproduce.material import Material, MaterialError, read_shards
from scatterlens_models.reproduce.measuring import measure
from scatterlens_models.reproduce.new_heads import HeadFrames, measure_heads, real_heads
from scatterlens_models.reproduce.ordering import claims, mean_and_deviation, pooled_deviation
from scatterlens_models.reproduce.photographs import read_photographs
from scatterlens_models.reproduce.results import Result, ResultError, result_path
from scatterlens_models.reproduce.running import run_folder, train_plan
from scatterlens_models.reproduce.scales import SCALES, plan_from, plan_of
from scatterlens_models.reproduce.sweep import Asked, pending, run
from scatterlens_models.reproduce.table import render
from scatterlens_models.vocabulary import load_vocabulary

SMOKE = SCALES["smoke"]
DATA = Path(__file__).parents[2] / "data"


class KilledError(Exception):
    """Stands for the power switch."""


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """Runs and frames that the tests of this module share, as experiments do."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def command():
    app = typer.Typer()
    app.command()(reproduce)

    def call(*arguments: object, code: int = 0) -> str:
        found = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
        assert found.exit_code == code, found.output
        return " ".join(found.output.split())

    return call


@pytest.fixture(scope="module")
def smoke(command, out, tmp_path_factory):
    """Run an experiment at the smallest scale; gives what it printed and the folder of results."""
    results = tmp_path_factory.mktemp("results")

    def call(name: str, *more: object, code: int = 0) -> tuple[str, Path]:
        arguments = (name, "--scale", "smoke", "--out", out, "--results", results, *more)
        return command(*arguments, code=code), results / name / "smoke"

    return call


@pytest.fixture(scope="module")
def material(smoke, out) -> Material:
    smoke("aam-fashion", "--rows", "2")
    return read_shards(out / "smoke", SMOKE)


def asked(name: str, out: Path, results: Path, rows: tuple[str, ...], seeds=(1,)) -> Asked:
    experiment = EXPERIMENTS[name]
    chosen = tuple(experiment.row(row) for row in rows)
    return Asked(experiment, SMOKE, None, out, out, results, chosen, seeds)


def silent(seed, row, number):
    return lambda progress: None


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_runs_and_writes_every_row(smoke, name):
    said, folder = smoke(name)
    table = (folder / "table.md").read_text()
    assert " ".join(table.split()) in said
    for row in EXPERIMENTS[name].rows:
        content = json.loads(result_path(folder, row.id, 1).read_text())
        figures = content["figures"]
        main = figures["heads_ap" if EXPERIMENTS[name].heads else "mean_ap"]
        (line,) = [line for line in table.splitlines() if line.startswith(f"| {row.name} |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        paper = " / ".join("-" if p is None else f"{p:.4f}" for p in row.paper) or "-"
        assert cells[1:6] == [f"{main:.4f}", paper, "yes", "1", f"{content['passes']:,}"]
        assert 0 < figures["energy"] < 1
        assert content["minutes"] > 0
        assert content["machine"]["torch"] == torch.__version__
    assert "smoke run" in table
    assert "above" not in table.partition("## Orders")[2].partition("- no order")[0]


def test_what_has_ended_is_not_repeated(smoke, out):
    _, folder = smoke("icasc", "--rows", "plain")
    before = result_path(folder, "plain", 1).stat().st_mtime_ns
    shutil.rmtree(next(out.glob("resnet18-seed1-*")))
    smoke("icasc", "--rows", "plain")
    assert result_path(folder, "plain", 1).stat().st_mtime_ns == before
    assert not list(out.glob("resnet18-seed1-*"))


def test_a_killed_run_goes_on_and_gives_the_same_result(material, out, tmp_path, monkeypatch):
    """Alternate training has every kind of part: a run to start from, two phases, made frames."""
    whole = asked("maap", out, tmp_path / "whole", ("roi",))
    run(whole, pending(whole), silent)
    fresh = tmp_path / "fresh"
    shutil.copytree(out / "smoke", fresh / "smoke")
    cut = asked("maap", fresh, tmp_path / "cut", ("roi",))
    monkeypatch.setattr("scatterlens_models.training.loop.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("time.monotonic", iter(np.arange(0, 1e6, 2.0)).__next__)
    kills = 0

    def killed(seed, row, number):
        def kill(progress):
            raise KilledError

        return kill

    while pending(cut):
        try:
            run(cut, pending(cut), killed)
        except KilledError:
            kills += 1
        assert kills < 50
    assert kills == 5 + 2 + 2  # after every step of the plain network and of both levels
    first, second = (json.loads(result_path(a.folder, "roi", 1).read_text()) for a in (whole, cut))
    assert first.pop("minutes") > 0
    assert second.pop("minutes") > 0
    assert first == second


def test_seeds_come_before_rows(tmp_path):
    wanted = asked("aam-table1", tmp_path, tmp_path, ("a", "g"), seeds=(1, 2))
    assert [(s, row.id) for s, row in pending(wanted)] == [(1, "a"), (1, "g"), (2, "a"), (2, "g")]


def test_experiments_share_their_networks(material, out, tmp_path):
    for name, row in (("loss-attention", "plain"), ("maap", "plain")):
        wanted = asked(name, out, tmp_path, (row,))
        run(wanted, pending(wanted), silent)
    assert len(list(out.glob("vgg11-seed1-*"))) == 2  # the other goes on from the first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["plan"]["recipe"].update(batch=4), "another recipe"),
        (lambda c: c["plan"].update(frames=41), "another recipe"),
        (lambda c: c.update(data_sha256="0" * 64), "other frames"),
        (lambda c: c.pop("figures"), "no result of this version"),
        (lambda c: c["plan"]["recipe"].update(no_such_field=1), "no result of this version"),
    ],
)
def test_a_result_that_does_not_belong_is_refused(smoke, change, message):
    _, folder = smoke("aam-fashion", "--rows", "2,3")
    path = result_path(folder, "2", 1)
    kept = path.read_text()
    content = json.loads(kept)
    change(content)
    path.write_text(json.dumps(content))
    try:
        said, _ = smoke("aam-fashion", "--table-only", code=1)
        assert message in said
        assert "move it away" in said
        assert f"{folder}/" in said
    finally:
        path.write_text(kept)


def test_results_of_other_frames_are_refused_before_anything_is_trained(material, out, tmp_path):
    wanted = asked("aam-fashion", out, tmp_path, ("2",))
    run(wanted, pending(wanted), silent)
    path = result_path(wanted.folder, "2", 1)
    path.write_text(path.read_text().replace(material.digest, "0" * 64))
    more = asked("aam-fashion", out, tmp_path, ("2", "5-aam"))
    with pytest.raises(ResultError, match="other frames"):
        run(more, pending(more), silent)
    assert not result_path(wanted.folder, "5-aam", 1).exists()


def test_a_recipe_that_learns_a_new_field_is_the_same_one():
    plan = plan_of(EXPERIMENTS["maap"], EXPERIMENTS["maap"].row("roi"), SCALES["slim"], 1)
    assert plan_from(json.loads(json.dumps(plan.to_dict()))) == plan
    older = plan.to_dict()
    del older["recipe"]["augment"]
    assert plan_from(older) == plan
    assert plan_from(older).digest == plan.digest


def test_plans_differ_where_weights_would(material):
    plans = {
        plan_of(experiment, row, scale, seed).digest
        for experiment in (EXPERIMENTS["aam-table1"],)
        for row in experiment.rows
        for scale in SCALES.values()
        for seed in (1, 2)
    }
    assert len(plans) == 7 * 3 * 2
    maap = EXPERIMENTS["maap"]
    low, roi = (plan_of(maap, maap.row(name), SMOKE, 1) for name in ("low", "roi"))
    assert roi.low == low
    assert roi.passes == 2 * SMOKE.training
    other = replace(material, digest="0" * 64)
    assert run_folder(low, material, Path()) != run_folder(low, other, Path())


def test_a_second_process_waits_for_the_first(material, tmp_path):
    experiment = EXPERIMENTS["aam-fashion"]
    plan = plan_of(experiment, experiment.row("2"), SMOKE, 1)
    folder = run_folder(plan, material, tmp_path)
    folder.mkdir()
    second = threading.Thread(
        target=train_plan, args=(plan, material, tmp_path, lambda progress: None)
    )
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert not (folder / "recipe.json").exists()
    second.join(30)
    assert not second.is_alive()
    assert (folder / "checkpoint.safetensors").exists()


def test_a_run_that_was_moved_is_not_gone_on_with(command, material, out, tmp_path):
    wanted = asked("maap", out, tmp_path / "results", ("low",))
    run(wanted, pending(wanted), silent)
    moved = tmp_path / "moved"
    shutil.copytree(out, moved)
    said = command(
        "maap", "--scale", "smoke", "--rows", "low", "--out", moved,
        "--results", tmp_path / "other", code=1,
    )  # fmt: skip
    assert "Remove it and it is run again" in said


# Figures.


def test_patches_are_true_where_half_of_them_is_covered(material):
    shown = np.zeros((2, 32, 32), bool)
    shown[0] = True
    labels = torch.zeros((2, 20), dtype=torch.int8)
    labels[0, 3] = 1
    x = material.test.x[:2]
    net = build("mean_vgg11", load_vocabulary("aam20"), 1 / 16, poolings=2)
    with torch.no_grad():
        net.head.bias.fill_(10.0)  # every patch says everything
    judged = replace(material, test=Examples(x, labels), evidence=None, shown=shown)
    found = measure(net, judged)
    assert found["patch_base"] == 0.5
    assert found["patch_precision"] == found["patch_recall"] == found["patch_f"] == 1.0
    shown[0, :, 8:] = False  # a patch is 18 of 64 pixels wide, 16 of them lie here
    expected = sum(16 - left > 9 for left in range(0, 64 - 18 + 1, 4)) / 12
    found = measure(net, judged)
    assert found["patch_precision"] == pytest.approx(expected)
    assert found["patch_recall"] == 1.0


def test_new_heads_find_what_features_hold(material):
    """Frames whose upper half is bright: an own head that was never trained cannot know."""
    generator = torch.Generator().manual_seed(3)
    x = torch.rand((48, 2, 64, 64), generator=generator)
    labels = torch.full((48, 20), -1, dtype=torch.int8)
    labels[:, 4] = torch.arange(48) % 2
    x[labels[:, 4] == 1, 0] *= torch.linspace(1, 3, 64)[:, None]
    shuffled = torch.randperm(48, generator=generator)
    half = [Examples(x[i].half(), labels[i]) for i in (shuffled[:24], shuffled[24:])]
    torch.manual_seed(1)
    net = build("vgg11", load_vocabulary("aam20"), 1 / 16, poolings=2)
    frames = HeadFrames("two kinds", *half, digest="")
    found = measure_heads(net, frames, seed=1)
    assert found["new_heads"] == 1
    assert found["heads_ap"] > 0.95
    # On real frames six attributes are reported, so all of them must have labels.
    everything = [replace(part, labels=part.labels[:, 4:5].repeat(1, 20)) for part in half]
    sourced = HeadFrames("three sources", *everything, digest="", sources=("a", "b", "c") * 8)
    on_sources = measure_heads(net, sourced, seed=1)
    assert on_sources["heads_low"] <= on_sources["heads_ap"] <= on_sources["heads_high"]


def test_real_frames_teach_by_half_a_and_judge_by_half_b(tmp_path):
    files = sorted(p.name for p in DATA.iterdir() if p.suffix in (".raw", ".cbf", ".hdf5"))
    index = ["file,source,half,frame"] + [
        f"{name},source {n},{'AB'[n % 2]},0" for n, name in enumerate(files)
    ]
    labels = ["file,labels,confidence"] + [f"{name},Ring,high" for name in files]
    (tmp_path / "INDEX.csv").write_text("\n".join(index) + "\n")
    (tmp_path / "LABELS.csv").write_text("\n".join(labels) + "\n")
    for name in files:
        shutil.copyfile(DATA / name, tmp_path / name)
    found = real_heads(tmp_path, 32)
    assert found.learned.x.shape == (2, 2, 32, 32)
    assert found.judged.x.shape == (1, 2, 32, 32)
    assert found.sources == ("source 1",)
    (tmp_path / "INDEX.csv").write_text("\n".join(index).replace(",B,", ",A,") + "\n")
    with pytest.raises(MaterialError, match="none in half B"):
        real_heads(tmp_path, 32)


# Fashion-MNIST.


def idx(path: Path, array: np.ndarray) -> None:
    head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(head + array.tobytes()))


@pytest.fixture
def images(tmp_path) -> Path:
    """The four files, with classes that stripes tell apart."""
    rng = np.random.default_rng(4)
    for name, count in (("train", 80), ("t10k", 30)):
        classes = rng.integers(10, size=count).astype(np.uint8)
        frames = rng.integers(40, size=(count, 28, 28)).astype(np.uint8)
        for frame, number in zip(frames, classes, strict=True):
            frame[2 * number + 2] = 255
        idx(tmp_path / f"{name}-images-idx3-ubyte.gz", frames)
        idx(tmp_path / f"{name}-labels-idx1-ubyte.gz", classes)
    return tmp_path


def test_fashion_runs_on_its_own_data(command, images, tmp_path):
    said = command(
        "aam-fashion", "--scale", "smoke", "--data", images, "--rows", "2,2-aam",
        "--out", tmp_path / "runs", "--results", tmp_path / "results",
    )  # fmt: skip
    folder = tmp_path / "results" / "aam-fashion" / "smoke-fashion-mnist"
    content = json.loads(result_path(folder, "2", 1).read_text())
    assert 0 <= content["figures"]["accuracy"] <= 1
    assert f"| {content['figures']['accuracy']:.4f} | 0.9050 | no |" in said
    assert "energy inside" not in said
    material = read_images(images, SMOKE)
    assert material.test.labels.sum() == SMOKE.test
    assert float(material.training.x[:, 0].max()) == 1.0
    assert bool((material.training.x[:, 1] == 1).all())


def test_accuracy_counts_the_likeliest_class(images):
    material = read_images(images, SMOKE)
    net = build("fashion2", load_vocabulary("fashion10"), 1 / 16)
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias[:] = torch.arange(10.0)
    share = float((material.test.labels[:, 9] == 1).float().mean())
    assert measure(net, material)["accuracy"] == pytest.approx(share)


def test_images_that_are_not_there_or_damaged_are_refused(images):
    name = "t10k-labels-idx1-ubyte"
    packed = images / f"{name}.gz"
    whole = packed.read_bytes()
    for damaged in (whole[:-9], gzip.compress(gzip.decompress(whole)[:-1]), gzip.compress(b"x")):
        packed.write_bytes(damaged)
        with pytest.raises(MaterialError, match="fetch it anew"):
            read_idx(images / name)
    idx(packed, np.zeros(29, np.uint8))
    with pytest.raises(MaterialError, match="do not belong together"):
        read_images(images, SMOKE)
    packed.unlink()
    with pytest.raises(MaterialError, match="the four files"):
        read_images(images, SMOKE)
    (images / name).write_bytes(gzip.decompress(whole))
    assert len(read_idx(images / name)) == 30
    with pytest.raises(MaterialError, match="smaller --scale"):
        read_images(images, SCALES["slim"])


# Photographs.


def photograph(path: Path, bright: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 80, 3), 30, np.uint8)
    pixels[:, 40:] = 250 if bright else 60
    Image.fromarray(pixels).save(path)


@pytest.fixture
def voc(tmp_path) -> Path:
    """Photographs twice as wide as high; the right half is bright where there is a bird."""
    folder = tmp_path / "VOC2012"
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for part, count in (("train", 60), ("val", 30)):
        names = [f"{part}_{n:03}" for n in range(count)]
        for n, name in enumerate(names):
            photograph(folder / "JPEGImages" / f"{name}.jpg", n % 2 == 1)
        for kind in load_vocabulary("voc20").ids:
            said = [("-1", "1")[n % 2] if kind == "bird" else "-1" for n in range(count)]
            if kind == "cow":
                said[0] = " 0"
            lines = [f"{name} {mark}" for name, mark in zip(names, said, strict=True)]
            (lists / f"{kind}_{part}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def coco(tmp_path) -> Path:
    """The same; every photograph has a traffic light in its right half, every other a cat, too."""
    folder = tmp_path / "coco"
    (folder / "annotations").mkdir(parents=True)
    for part, count in (("train2014", 60), ("val2014", 30)):
        images, annotations = [], []
        for n in range(count):
            photograph(folder / part / f"{n}.jpg", n % 2 == 1)
            images.append({"id": 7 * n, "file_name": f"{n}.jpg"})
            for category in (10, 17)[: 1 + n % 2]:
                box = {"image_id": 7 * n, "category_id": category, "bbox": [40, 0, 40, 40]}
                annotations.append(box)
        images.append({"id": 7 * count, "file_name": "nothing.jpg"})  # without any object
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 10, "name": "traffic light"}, {"id": 17, "name": "cat"}],
        }
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(content))
    return folder


def test_photographs_keep_their_aspect_and_say_what_is_masked(voc):
    found = read_photographs("voc2012", voc, SMOKE)
    value, coverage = found.training.x[1].float()
    assert bool((coverage[16:48] == 1).all())
    assert not coverage[:16].any()
    assert not coverage[48:].any()
    assert float(value[32, 8]) == pytest.approx(30 / 255, abs=0.01)
    assert float(value[32, 56]) == pytest.approx(250 / 255, abs=0.01)
    ids = load_vocabulary("voc20").ids
    assert found.training.labels[:4, ids.index("bird")].tolist() == [0, 1, 0, 1]
    assert found.training.labels[:2, ids.index("cow")].tolist() == [-1, 0]
    assert len(found.watched.x) == SMOKE.watched


def test_objects_of_coco_lie_where_their_boxes_are(coco):
    found = read_photographs("coco2014", coco, SMOKE)
    vocabulary = load_vocabulary("coco80")
    assert found.test.labels[:, vocabulary.index("traffic_light")].all()
    assert found.test.labels[:3, vocabulary.index("cat")].tolist() == [0, 1, 0]
    expected = np.zeros((64, 64), bool)
    expected[16:48, 32:] = True
    np.testing.assert_array_equal(found.shown[0], expected)


@pytest.mark.parametrize(
    ("name", "rows", "kind", "figure"),
    [("icasc", "a_ch", "voc2012", "mean_ap"), ("loss-attention", "loss", "coco2014", "patch_f")],
)
def test_papers_run_on_their_photographs(command, request, tmp_path, name, rows, kind, figure):
    folder = request.getfixturevalue(kind.removesuffix("2012").removesuffix("2014"))
    said = command(
        name, "--scale", "smoke", "--data", folder, "--rows", rows,
        "--out", tmp_path / "runs", "--results", tmp_path / "results",
    )  # fmt: skip
    content = json.loads(
        result_path(tmp_path / "results" / name / f"smoke-{kind}", rows, 1).read_text()
    )
    assert content["figures"][figure] is not None
    assert "| no, but grey |" in said


def test_photographs_that_are_not_there_are_refused(voc, coco):
    with pytest.raises(MaterialError, match="as it is published"):
        read_photographs("voc2012", coco, SMOKE)
    with pytest.raises(MaterialError, match="smaller --scale"):
        read_photographs("voc2012", voc, SCALES["slim"])
    (voc / "JPEGImages" / "val_003.jpg").write_bytes(b"no picture")
    with pytest.raises(MaterialError, match=r"val_003\.jpg .*fetch it anew"):
        read_photographs("voc2012", voc, SMOKE)
    annotations = coco / "annotations" / "instances_val2014.json"
    annotations.write_text(annotations.read_text()[:-5])
    with pytest.raises(MaterialError, match="damaged"):
        read_photographs("coco2014", coco, SMOKE)
    (voc / "ImageSets" / "Main" / "sofa_val.txt").write_text("val_000 7\n")
    with pytest.raises(MaterialError, match="damaged"):
        read_photographs("voc2012", voc, SMOKE)


# The command.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("maap", "--data", "."), "--data"),
        (("maap", "--rows", "nobody"), "there are plain, more"),
        (("table-9",), "there are aam-table1"),
        (("maap", "--scale", "huge"), "there are smoke, slim, full"),
        (("maap", "--seeds", "one"), "such as 1,2"),
    ],
)
def test_what_does_not_exist_is_refused(arguments, message):
    app = typer.Typer()
    app.command()(reproduce)
    found = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})
    assert found.exit_code == 2
    assert message in " ".join(found.output.split())


def test_shards_that_are_too_few_are_refused_with_the_way_out(command, material, out, tmp_path):
    said = command("maap", "--shards", out / "smoke", "--out", out, "--results", tmp_path, code=1)
    assert "has 40 frames, slim takes 4500" in said
    assert "smaller --scale" in said


# The table.


def test_means_and_deviations_are_those_of_numpy():
    rng = np.random.default_rng(5)
    values = {str(n): list(rng.normal(n, 0.1, size=3)) for n in range(4)}
    for each in values.values():
        mean, deviation = mean_and_deviation(each)
        assert mean == pytest.approx(np.mean(each))
        assert deviation == pytest.approx(np.std(each, ddof=1))
    variances = [np.var(each, ddof=1) for each in values.values()]
    assert pooled_deviation(values) == pytest.approx(np.sqrt(np.mean(variances)))
    uneven = {"a": [1.0, 2.0], "b": [1.0, 2.0, 6.0], "c": [4.0]}
    assert pooled_deviation(uneven) == pytest.approx(np.sqrt((0.5 + 14.0) / 3))
    assert math.isnan(mean_and_deviation([1.0])[1])
    assert math.isnan(pooled_deviation({"a": [1.0], "b": [2.0]}))


def test_orders_are_claimed_beyond_two_deviations_alone():
    values = {"a": [0.50, 0.52], "b": [0.55, 0.57], "c": [0.53, 0.55], "d": [0.9]}
    deviation = np.std([0.50, 0.52], ddof=1)
    found = claims(values)
    assert [(c.above, c.below) for c in found] == [("b", "a"), ("c", "a")][: len(found)]
    assert [c.difference for c in found] == pytest.approx([0.05, 0.03][: len(found)])
    for claim in found:
        assert claim.difference > 2 * claim.deviation
        assert claim.deviation == pytest.approx(deviation)
    claimed = {(c.above, c.below) for c in found}
    for (a, x), (b, y) in combinations(list(values.items())[:3], 2):
        apart = abs(np.mean(x) - np.mean(y)) > 2 * deviation
        assert ({(a, b), (b, a)} & claimed != set()) == apart


def test_a_deviation_that_is_small_by_luck_claims_nothing():
    values = {"lucky": [0.500, 0.500], "too": [0.510, 0.510], "other": [0.40, 0.46]}
    assert ("too", "lucky") not in {(c.above, c.below) for c in claims(values)}


def test_the_table_says_whether_the_paper_agrees(material):
    experiment = EXPERIMENTS["icasc"]

    def result(row: str, seed: int, mean_ap: float) -> Result:
        plan = plan_of(experiment, experiment.row(row), SCALES["slim"], seed)
        return Result(
            "icasc", "slim", row, seed, {"mean_ap": mean_ap, "parameters": 9, "energy": None},
            "bench-v1", "0" * 64, plan.to_dict(), plan.digest, plan.passes, 2.0,
            {"processor": "p", "cores": 2, "threads": 1, "torch": "t", "device": "cpu"}, "0",
        )  # fmt: skip

    found = [
        result(row, seed, mean_ap + 0.001 * seed)
        for row, mean_ap in (("plain", 0.5), ("a_ch", 0.6), ("a_px", 0.4))
        for seed in (1, 2)
    ]
    text = render(experiment, SCALES["slim"], found, other="yes")
    assert "`a_ch` above `plain`: +0.1000, more than 2 x 0.0007; so in the paper" in text
    assert "`plain` above `a_px`: +0.1000, more than 2 x 0.0007; the other way round" in text
    assert "- no order is claimed of 0 of the 3 pairs" in text
    assert "| ResNet-18 | 0.5015 ± 0.0007 | 0.7744 | yes | 1, 2 | 27,000 | 9 | 2.0 |" in text
    assert "6 of 6 runs have ended" in text
    smoke = render(experiment, SMOKE, found, other="yes")
    assert "no order is claimed of 3 of the 3 pairs" in smoke
