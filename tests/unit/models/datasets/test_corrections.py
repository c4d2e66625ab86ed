"""Corrections of a service as a dataset: who learns and who judges, now and in the next run."""

import hashlib
import json
from pathlib import Path

import pytest

from scatterlens_models.datasets.corrections import collect_corrections
from scatterlens_models.datasets.errors import DatasetError
from scatterlens_models.datasets.manifest import write_manifest
from scatterlens_models.datasets.members import FrameMember, RecipeMember
from support.gateway import picture


@pytest.fixture
def collect(tmp_path, aam20):
    """Labels of frames by number and scan, as members."""
    digests: dict[int, str] = {}
    blobs = tmp_path / "blobs"

    def digest(number: int) -> str:
        if number not in digests:
            content = picture(number, (16, 16))
            digests[number] = hashlib.sha256(content).hexdigest()
            path = blobs / digests[number][:2] / digests[number]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return digests[number]

    def collect(scans: dict[int, str], simulated: int = 10, before=None):
        lines = [
            {
                "frame_id": digest(number),
                "attribute": "ring",
                "value": "present",
                "author": "ada",
                "time": "2026-11-24T10:00:00Z",
                "proposal": "p",
                "scan": scan,
            }
            for number, scan in scans.items()
        ]
        path: Path = tmp_path / "labels.ndjson"
        path.write_text("\n".join(map(json.dumps, lines)))
        return collect_corrections(path, aam20, blobs, simulated, 20.0, before)

    return collect


def splits(members) -> dict[str, str | None]:
    return {m.experiment: m.split for m in members if isinstance(m, FrameMember)}


def test_experiments_are_divided_and_simulated_frames_stand_in_every_split(collect):
    members = collect({n: f"s{n // 2}" for n in range(12)})
    found = splits(members)
    assert set(found.values()) == {"train", "validation", "test"}
    assert {m.weight for m in members if isinstance(m, FrameMember)} == {20.0}
    recipes = [m for m in members if isinstance(m, RecipeMember)]
    assert [(m.split, m.count) for m in recipes] == [("train", 10), ("validation", 2), ("test", 2)]


def test_few_experiments_are_learned_from_alone_and_judge_nothing(collect):
    assert splits(collect({0: "s0", 1: "s1"})) == {"p/s0": "train", "p/s1": "train"}
    with pytest.raises(DatasetError, match="other experiments"):
        collect({0: "s0", 1: "s1"}, simulated=0)


def test_what_judged_goes_on_to_judge_while_new_scans_come_in(collect, aam20, tmp_path):
    scans = {n: f"s{n // 2}" for n in range(12)}
    first = collect(scans)
    before = write_manifest(tmp_path / "first.jsonl", aam20, first, "experiment")
    # A new frame of an old scan, and new scans.
    scans |= {20: "s0"} | {n: f"s{n}" for n in range(30, 60)}
    second = collect(scans, before=before)
    write_manifest(tmp_path / "second.jsonl", aam20, second, "experiment")
    found = splits(second)
    assert {name: found[name] for name in splits(first)} == splits(first)
    assert {found[f"p/s{n}"] for n in range(30, 60)} == {"train", "validation", "test"}
    assert splits(collect(scans, before=before)) == found


def test_scans_of_two_splits_that_a_frame_ties_together_are_divided_anew(collect, aam20, tmp_path):
    scans = {n: f"s{n}" for n in range(8)}
    first = collect(scans)
    before = write_manifest(tmp_path / "first.jsonl", aam20, first, "experiment")
    of_split = {split: name for name, split in splits(first).items()}
    one, other = (of_split[split].removeprefix("p/") for split in ("train", "test"))
    tied = {n: one if scan == other else scan for n, scan in scans.items()}
    second = collect(tied, before=before)
    write_manifest(tmp_path / "second.jsonl", aam20, second, "experiment")
    assert set(splits(second).values()) == {"train", "validation", "test"}
