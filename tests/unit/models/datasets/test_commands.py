"""The command `datasets`, from labels to a verified dataset."""

import hashlib
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from scatterlens_models.datasets.commands import datasets
from scatterlens_models.datasets.manifest import read_manifest


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments, code=0):
        done = CliRunner().invoke(datasets, [str(a) for a in arguments])
        assert done.exit_code == code, done.output
        return done.output

    return invoke


@pytest.fixture
def table(frames):
    path = frames / "labels.csv"
    lines = [f"{name}.edf,beamline {name},1,{int(name in 'abc')},," for name in "abcdef"]
    path.write_text("\n".join(["file,source,ring,halo,spotted,author", *lines]) + "\n")
    return path


def test_a_table_becomes_a_dataset_that_is_split_shown_and_verified(run, table, tmp_path, frames):
    whole, divided = tmp_path / "all.jsonl", tmp_path / "split.jsonl"
    said = run("import", "csv", table, "--vocabulary", "aam20", "--out", whole)
    assert "6 frames, 0 simulated" in said
    assert read_manifest(whole).id[:12] in said
    shares = ("--train", 0.5, "--validation", 0, "--test", 0.5)
    run("split", whole, "--out", divided, *shares, "--seed", 4)
    read = read_manifest(divided)
    assert sorted(m.split for m in read.frames) == ["test"] * 3 + ["train"] * 3
    said = run("show", divided)
    assert read.id in said
    rows = [line.replace("│", "").split() for line in said.splitlines()]
    counts = {row[0]: row[1:] for row in rows if row}
    assert counts["ring"] == ["3", "0", "0"] * 2
    assert counts["spotted"] == ["0", "0", "3"] * 2
    assert "every frame is the one" in run("verify", divided, "--attribute", "ring")
    (frames / "a.edf").unlink()
    said = run("verify", divided, code=1)
    assert "a.edf is gone" in said
    assert "no frame of train shows" in said
    assert "no frame of test shows" in said


def test_recipes_join_real_frames_with_a_weight(run, table, tmp_path):
    real, made, both = (tmp_path / f"{name}.jsonl" for name in ("real", "made", "both"))
    halves = ("--train", 1, "--validation", 0, "--test", 0)
    run("import", "csv", table, "--vocabulary", "aam20", "--out", tmp_path / "all.jsonl")
    run("split", tmp_path / "all.jsonl", "--out", real, *halves)
    recipe = ("--vocabulary", "aam20", "--split", "train", "--count", 90, "--start", 50)
    run("recipe", "--out", made, *recipe)
    said = run("join", real, made, "--out", both, "--weight", 15, "--weight", 1)
    assert "6 frames, 90 simulated" in said
    row = next(line for line in run("show", both).splitlines() if "simulated" in line)
    assert " 90 " in row
    assert " 50.0 " in row
    assert "were not asked for positives" in run("verify", both)
    run("recipe", "--out", tmp_path / "full.jsonl", "--vocabulary", "full", *recipe[2:])
    said = run("join", real, tmp_path / "full.jsonl", "--out", tmp_path / "x", code=1)
    assert "aam20 and full do not mix" in said


def test_every_kind_that_is_exported_is_imported(run, table, tmp_path):
    first = tmp_path / "first.jsonl"
    run("import", "csv", table, "--vocabulary", "aam20", "--out", first)
    for kind in ("csv", "json", "hdf5", "label-studio", "coco"):
        out, again = tmp_path / f"labels.{kind}", tmp_path / f"{kind}.jsonl"
        assert "6 frames in" in run("export", kind, first, "--out", out)
        run("import", kind, out, "--vocabulary", "aam20", "--out", again)
        assert read_manifest(again).members == read_manifest(first).members


def test_a_service_needs_its_blobs(run, tmp_path, frames):
    content = (frames / "a.edf").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "blobs" / digest[:2]).mkdir(parents=True)
    (tmp_path / "blobs" / digest[:2] / digest).write_bytes(content)
    line = {"frame_id": digest, "attribute": "ring", "value": "present", "author": "ada"}
    labels = tmp_path / "labels.ndjson"
    labels.write_text(json.dumps({**line, "time": "2026-11-24T10:00:00+01:00", "scan": "7"}) + "\n")
    common = ("import", "service", labels, "--vocabulary", "aam20", "--out", tmp_path / "s.jsonl")
    assert "by --blobs" in run(*common, code=1)
    run(*common, "--blobs", tmp_path / "blobs", "--source", "beamline 9")
    (member,) = read_manifest(tmp_path / "s.jsonl").frames
    assert (member.experiment, member.source) == ("no proposal/7", "beamline 9")
    assert "name the folder of blobs" in run("verify", tmp_path / "s.jsonl", code=1)
    verify = ("verify", tmp_path / "s.jsonl", "--blobs", tmp_path / "blobs")
    run(*verify, "--attribute", "ring")


def test_real_frames_are_imported_in_halves(run, real_data, tmp_path):
    out = tmp_path / "real.jsonl"
    run("import", "real", real_data, "--vocabulary", "aam20", "--out", out)
    assert {m.split for m in read_manifest(out).frames} == {"train", "test"}
    shown = [word for a in ("ring", "halo", "isotropic") for word in ("--attribute", a)]
    assert "every frame is the one" in run("verify", out, *shown)


def test_real_frames_that_are_not_there_or_not_so_judged_are_refused(run, tmp_path, real_data):
    common = ("--out", tmp_path / "real.jsonl", "--vocabulary")
    assert "INDEX.csv is not there" in run("import", "real", tmp_path, *common, "aam20", code=1)
    said = run("import", "real", real_data, *common, "experimental20", code=1)
    assert "were judged for aam20" in said


def test_experiments_of_one_source_are_kept_apart_on_request(run, frames, tmp_path):
    table = frames / "labels.csv"
    table.write_text("file,experiment,ring\na.edf,one,1\nb.edf,two,1\n")
    whole, out = tmp_path / "all.jsonl", tmp_path / "split.jsonl"
    run("import", "csv", table, "--vocabulary", "aam20", "--out", whole, "--source", "lab")
    split = ("split", whole, "--out", out, "--train", 0.5, "--validation", 0, "--test", 0.5)
    assert "keep apart experiments alone" in run(*split, code=1)
    run(*split, "--apart", "experiment")
    assert {m.split for m in read_manifest(out).frames} == {"train", "test"}
    assert read_manifest(out).apart == "experiment"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--vocabulary", "aam2"], "shipped are"),
        (["--vocabulary", "experimental20"], "'spotted' is no attribute of experimental20"),
    ],
)
def test_refusals_are_one_line_with_a_remedy(run, table, tmp_path, arguments, told):
    said = run("import", "csv", table, *arguments, "--out", tmp_path / "d.jsonl", code=1)
    assert told in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "d.jsonl").exists()


def test_an_unknown_kind_and_an_existing_file_are_refused(run, table, tmp_path):
    common = (table, "--vocabulary", "aam20", "--out", tmp_path / "d.jsonl")
    assert "there are csv, json, hdf5, tags" in run("import", "xls", *common, code=1)
    run("import", "csv", *common)
    assert "'rinc' is no attribute" in run(
        "verify", tmp_path / "d.jsonl", "--attribute", "rinc", code=1
    )
    assert "choose another name" in run("import", "csv", *common, code=1)


def test_the_command_needs_no_torch():
    code = "import sys, scatterlens_models.datasets.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
