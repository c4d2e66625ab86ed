"""Snapshots of the service's corrected frames: last words, consensus, experiments, blobs."""

import hashlib
import json

import pytest

from scatterlens_models.datasets.errors import ForeignLabelError, FrameVanishedError, RowError
from scatterlens_models.datasets.importing.snapshot import read_snapshot
from scatterlens_models.datasets.manifest import read_manifest, write_manifest


@pytest.fixture
def kept(frames, tmp_path):
    """Blobs of a, b, c and the stack; gives the folder and the digest of each."""
    digests = {}
    for name in ("a.edf", "b.edf", "c.edf", "stack.npy"):
        content = (frames / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        (tmp_path / "blobs" / digest[:2]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "blobs" / digest[:2] / digest).write_bytes(content)
        digests[name.partition(".")[0]] = digest
    return tmp_path / "blobs", digests


def export(tmp_path, *judgements):
    """Lines of (frame id, attribute, value, author, minute, proposal, scan)."""
    lines = []
    for frame_id, attribute, value, author, minute, proposal, scan in judgements:
        line = {"frame_id": frame_id, "attribute": attribute, "value": value, "author": author}
        line |= {"time": f"2026-11-24T10:{minute:02}:00Z", "proposal": proposal, "scan": scan}
        lines.append(json.dumps(line))
    path = tmp_path / "labels.ndjson"
    path.write_text("\n".join(lines) + "\n")
    return path


def labels(member, vocabulary):
    return {a: v for a, v in zip(vocabulary.ids, member.labels, strict=True) if v >= 0}


def test_the_last_word_of_each_author_counts_and_they_must_agree(kept, tmp_path, aam20):
    blobs, ids = kept
    path = export(
        tmp_path,
        (ids["a"], "ring", "present", "ada", 5, "p1", "s1"),
        (ids["a"], "ring", "absent", "ada", 1, "p1", "s1"),
        (ids["a"], "ring", "present", "eve", 2, "p1", "s1"),
        (ids["a"], "halo", "present", "ada", 3, "p1", "s1"),
        (ids["a"], "halo", "absent", "eve", 3, "p1", "s1"),
        (ids["a"], "spotted", "present", "ada", 3, "p1", "s1"),
        (ids["a"], "spotted", "unsure", "eve", 3, "p1", "s1"),
        (ids["a"], "isotropic", "absent", "eve", 3, "p1", "s1"),
    )
    (member,) = read_snapshot(path, aam20, blobs)
    assert labels(member, aam20) == {"ring": 1, "isotropic": 0}
    assert member.author == "ada + eve"
    assert member.experiment == "p1/s1"
    assert member.path is None
    assert member.frame_id == ids["a"]


def test_a_frame_of_two_scans_makes_them_one_experiment(kept, tmp_path, aam20):
    blobs, ids = kept
    path = export(
        tmp_path,
        (ids["a"], "ring", "present", "ada", 1, "p1", "s1"),
        (ids["a"], "ring", "present", "eve", 1, "p2", "s7"),
        (ids["b"], "ring", "absent", "eve", 1, "p2", "s7"),
        (ids["c"], "ring", "absent", "eve", 1, "p2", None),
    )
    first, second, third = read_snapshot(path, aam20, blobs, source="beamline 9")
    assert first.experiment == second.experiment == "p1/s1 + p2/s7"
    assert third.experiment == "p2/no scan"
    assert first.source == "beamline 9"


def test_frames_of_a_stack_are_told_apart(kept, tmp_path, aam20):
    blobs, ids = kept
    path = export(
        tmp_path,
        (f"{ids['stack']}.0", "ring", "present", "ada", 1, "p", "s"),
        (f"{ids['stack']}.2", "ring", "absent", "ada", 1, "p", "s"),
    )
    members = read_snapshot(path, aam20, blobs)
    assert [m.index for m in members] == [0, 2]
    write_manifest(tmp_path / "d.jsonl", aam20, members)
    assert list(read_manifest(tmp_path / "d.jsonl").members) == members


def test_lines_that_cannot_be_used_are_refused_by_number(kept, tmp_path, aam20):
    blobs, ids = kept
    good = (ids["a"], "ring", "present", "ada", 1, "p", "s")
    for place, changed, error, told in [
        (1, "sunny", ForeignLabelError, "line 2 .*'sunny' is no attribute"),
        (2, "maybe", RowError, "line 2 .*value"),
        (0, "12", RowError, "line 2 .*frame_id"),
        (0, "0" * 64, FrameVanishedError, "line 2 .*no frame"),
        (0, f"{ids['stack']}.9", RowError, "line 2 .*0 to 2, not 9"),
    ]:
        bad = [*good]
        bad[place] = changed
        with pytest.raises(error, match=told):
            read_snapshot(export(tmp_path, good, bad), aam20, blobs)
    (tmp_path / "labels.ndjson").write_text("not json\n")
    with pytest.raises(RowError, match="line 1"):
        read_snapshot(tmp_path / "labels.ndjson", aam20, blobs)


def test_a_time_without_a_zone_is_refused(kept, tmp_path, aam20):
    blobs, ids = kept
    path = export(tmp_path, (ids["a"], "ring", "present", "ada", 1, "p", "s"))
    path.write_text(path.read_text().replace("00Z", "00"))
    with pytest.raises(RowError, match="no zone"):
        read_snapshot(path, aam20, blobs)


def test_a_damaged_blob_is_refused(kept, tmp_path, aam20, frames):
    blobs, ids = kept
    (blobs / ids["a"][:2] / ids["a"]).write_bytes((frames / "d.edf").read_bytes())
    path = export(tmp_path, (ids["a"], "ring", "present", "ada", 1, "p", "s"))
    with pytest.raises(FrameVanishedError, match="have the frame sent again"):
        read_snapshot(path, aam20, blobs)
