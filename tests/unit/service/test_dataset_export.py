"""A search exported as a dataset, read by what training reads it by."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from scatterlens_models.commands import train
from scatterlens_models.datasets.loading import load_dataset
from scatterlens_models.datasets.manifest import Manifest, read_manifest
from support.gateway import picture


@pytest.fixture
def scans(service, work) -> dict[str, list[str]]:
    """Ids of two frames in each of four scans, and of one that cannot be read."""
    sent: dict[str, list[str]] = {}
    for seed in range(8):
        scan = f"s{seed // 2}"
        (item,) = service.post(picture(seed), scan=scan, proposal="p1").json()["items"]
        sent.setdefault(scan, []).append(item["frame_id"])
    cut_short = picture(8)[:200]
    assert service.post(cut_short, scan="s0", proposal="p1").status_code == 202
    work()
    return sent


def say(service, frame_id: str, author: dict[str, str] | None = None, **values: str) -> None:
    labels = {attribute: {"value": value} for attribute, value in values.items()}
    address = f"/api/v1/frames/{frame_id}/labels"
    answer = service.http.put(address, json={"labels": labels}, headers=author or {})
    assert answer.status_code == 200, answer.text


def read(answer, folder: Path) -> Manifest:
    assert answer.status_code == 200, answer.text
    path = folder / "search.jsonl"
    path.write_bytes(answer.content)
    return read_manifest(path)


def test_training_takes_what_a_search_finds(service, scans, tmp_path):
    frame_id = scans["s1"][0]
    say(service, frame_id, ring="present", halo="absent", textured="unsure", spotted="present")
    other = service.new_key(name="eve", role="annotator")
    say(service, frame_id, other, ring="present", spotted="absent")
    manifest = read(service.get("dataset.jsonl", proposal="p1"), tmp_path)
    assert {member.frame_id for member in manifest.frames} == {
        one for ids in scans.values() for one in ids
    }
    said = {member.frame_id: member for member in manifest.frames}
    labels = dict(zip(manifest.vocabulary.ids, said[frame_id].labels, strict=True))
    assert {attribute: one for attribute, one in labels.items() if one >= 0} == {
        "ring": 1,
        "halo": 0,
    }
    assert said[frame_id].author == "eve + test"
    assert set(said[scans["s2"][0]].labels) == {-1}
    of_scan = {
        scan: {said[one].split for one in ids} | {said[one].experiment for one in ids}
        for scan, ids in scans.items()
    }
    assert all(len(found) == 2 for found in of_scan.values())  # one split, one experiment
    assert {member.split for member in manifest.frames} == {"train", "validation", "test"}
    split = said[frame_id].split
    assert split is not None
    examples = load_dataset(manifest, 64, split, blobs=service.settings.blob_folder)
    learned = [member.labels for member in manifest.frames if member.split == split]
    assert [tuple(row) for row in examples.labels.tolist()] == learned


def test_one_scan_is_learned_from_as_a_whole_unless_it_shall_judge(service, scans, tmp_path):
    manifest = read(service.get("dataset.jsonl", scan="s2"), tmp_path)
    assert [(member.frame_id, member.split) for member in manifest.frames] == [
        (one, "train") for one in reversed(scans["s2"])
    ]
    judging = read(service.get("dataset.jsonl", scan="s2", split="test"), tmp_path)
    assert {member.split for member in judging.frames} == {"test"}


def test_a_bound_key_exports_what_it_may_see(service, scans, tmp_path):
    (sent,) = service.post(picture(99), scan="s9", proposal="p2").json()["items"]
    key = service.new_key(name="bound", proposal="p2")
    answer = service.http.get("/api/v1/dataset.jsonl", headers=key)
    assert [member.frame_id for member in read(answer, tmp_path).frames] == [sent["frame_id"]]


def test_too_many_frames_or_none_are_refused_with_a_remedy(open_service):
    service = open_service(max_dataset_frames=2)
    assert service.get("dataset.jsonl").json()["type"] == "no_frames"
    for seed in range(3):
        service.post(picture(seed), scan=f"{seed}")
    refused = service.get("dataset.jsonl")
    assert (refused.status_code, refused.json()["type"]) == (422, "too_many_frames")
    assert "Narrow the search" in refused.json()["remedy"]
    assert service.get("dataset.jsonl", scan="1").status_code == 200


# The exporter of torch speaks of its own future, and of packages that we do not use.
@pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning", "ignore::DeprecationWarning:onnxscript.*"
)
def test_a_network_is_trained_on_an_exported_search(service, scans, tmp_path):
    ids = service.get("attributes").json()
    present = {one["id"]: "present" for one in ids}
    absent = {one["id"]: "absent" for one in ids}
    for first, second in scans.values():
        say(service, first, **present)
        say(service, second, **absent)
    path = tmp_path / "search.jsonl"
    path.write_bytes(service.get("dataset.jsonl").content)
    app = typer.Typer()
    app.command()(train)
    learned = ["--dataset", f"{path}", "--blobs", f"{service.settings.blob_folder}"]
    tiny = ["--passes", "8", "--batch", "2", "--width", "0.125", "--size", "64"]
    command = ["slim-resnet18", *learned, *tiny, "--evaluations", "1", "--run", f"{tmp_path}/run"]
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.output
    assert "bundle slim-resnet18" in run.output
