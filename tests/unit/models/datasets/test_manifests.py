"""Manifests: what is written is read again, and nothing else."""

import json
import resource
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from scatterlens_models.datasets.checks import refuse_missing_positives, verified_path
from scatterlens_models.datasets.counting import labels_of, parts
from scatterlens_models.datasets.errors import (
    BrokenManifestError,
    DatasetError,
    ForeignLabelError,
    FrameVanishedError,
    LeakageError,
    MixedVocabulariesError,
    NoPositivesError,
)
from scatterlens_models.datasets.importing.tables import read_csv
from scatterlens_models.datasets.manifest import join, read_manifest, write_manifest
from scatterlens_models.datasets.members import RecipeMember
from scatterlens_models.vocabulary import load_vocabulary


def test_a_manifest_gives_back_its_members(tmp_path, aam20, member):
    members = [
        member(1, "train", weight=2.5),
        member(2, "train", frame_id=f"{2:064x}.7"),
        member(3, "test", "f", "t", path=None),
        RecipeMember("realistic", 5, 100, 50, "train", 0.5),
    ]
    written = write_manifest(tmp_path / "d.jsonl", aam20, members)
    read = read_manifest(tmp_path / "d.jsonl")
    assert read == written
    assert list(read.members) == members
    assert read.frames[1].index == 7
    assert read.frames[0].index is None


def test_a_dataset_may_move_with_its_frames(tmp_path, aam20, member):
    (tmp_path / "one").mkdir()
    inside = member(1, path=tmp_path / "one" / "frames" / "a.edf")
    write_manifest(tmp_path / "one" / "d.jsonl", aam20, [inside])
    (tmp_path / "one").rename(tmp_path / "two")
    read = read_manifest(tmp_path / "two" / "d.jsonl")
    assert read.frames[0].path == tmp_path / "two" / "frames" / "a.edf"


def test_a_manifest_is_never_written_over(tmp_path, aam20, member):
    before = write_manifest(tmp_path / "d.jsonl", aam20, [member(1)])
    with pytest.raises(DatasetError, match="choose another name"):
        write_manifest(tmp_path / "d.jsonl", aam20, [member(2)])
    assert read_manifest(tmp_path / "d.jsonl") == before
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"author": "ada"', '"author": "eve"'),
        ("[1, 0,", "[0, 0,"),
        ('"apart": "source"', '"apart": "experiment"'),
    ],
)
def test_an_edited_manifest_is_refused(tmp_path, aam20, member, old, new):
    path = tmp_path / "d.jsonl"
    write_manifest(path, aam20, [member(1)])
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(BrokenManifestError, match="take the original"):
        read_manifest(path)


def test_a_truncated_manifest_is_refused(tmp_path, aam20, member):
    path = tmp_path / "d.jsonl"
    write_manifest(path, aam20, [member(1), member(2)])
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(BrokenManifestError, match="is not what was written"):
        read_manifest(path)


def test_another_file_is_no_manifest(tmp_path):
    path = tmp_path / "d.jsonl"
    for content in (b"", b'{"frames": []}\n', b"\x89PNG\r\n\xff"):
        path.write_bytes(content)
        with pytest.raises(BrokenManifestError, match="datasets import"):
            read_manifest(path)


def test_another_vocabulary_under_the_same_name_is_refused(tmp_path, aam20, member):
    other = replace(aam20, attributes=aam20.attributes[::-1])
    write_manifest(tmp_path / "d.jsonl", other, [member(1)])
    with pytest.raises(MixedVocabulariesError, match="other attributes under the name aam20"):
        read_manifest(tmp_path / "d.jsonl")


@pytest.mark.parametrize("labels", [(1, 0), (2,) + (0,) * 19])
def test_labels_that_do_not_fit_the_vocabulary_are_refused(tmp_path, aam20, member, labels):
    with pytest.raises(ForeignLabelError, match="import it again"):
        write_manifest(tmp_path / "d.jsonl", aam20, [member(1, labels=labels)])
    assert not list(tmp_path.iterdir())


# Leakage


@pytest.mark.parametrize(
    ("second", "shared"),
    [
        ({"frame_id": f"{1:064x}", "experiment": "f", "source": "t"}, "frame file"),
        ({"frame_id": f"{1:064x}.3", "experiment": "f", "source": "t"}, "frame file"),
        ({"source": "t"}, "experiment 'e'"),
        ({"experiment": "f"}, "source 's'"),
    ],
)
def test_what_two_splits_share_is_refused_by_name(tmp_path, aam20, member, second, shared):
    members = [member(1, "train"), member(2, "test", **second)]
    with pytest.raises(LeakageError, match=f"train and test share the {shared}"):
        write_manifest(tmp_path / "d.jsonl", aam20, members)
    assert not list(tmp_path.iterdir())


def test_leakage_is_looked_for_on_reading_too(tmp_path, aam20, member, monkeypatch):
    monkeypatch.setattr(
        "scatterlens_models.datasets.manifest.refuse_faults", lambda *arguments: None
    )
    write_manifest(tmp_path / "d.jsonl", aam20, [member(1, "train"), member(2, "test")])
    monkeypatch.undo()
    with pytest.raises(LeakageError, match="split the dataset anew"):
        read_manifest(tmp_path / "d.jsonl")


def test_a_source_may_be_shared_where_experiments_are_kept_apart(tmp_path, aam20, member):
    members = [member(1, "train"), member(2, "test", "f")]
    read = write_manifest(tmp_path / "d.jsonl", aam20, members, "experiment")
    assert read_manifest(tmp_path / "d.jsonl") == read


def test_simulated_experiments_are_not_shared(tmp_path, aam20):
    train = RecipeMember("realistic", 5, 0, 110, "train")
    for start in (110, 149):  # the third experiment has the indices 100 to 149
        members = [train, RecipeMember("realistic", 5, start, 10, "test")]
        with pytest.raises(LeakageError, match="leave 50 indices"):
            write_manifest(tmp_path / "d.jsonl", aam20, members)
    next_one = RecipeMember("realistic", 5, 150, 10, "test")
    write_manifest(tmp_path / "d.jsonl", aam20, [train, next_one])
    other_seed = RecipeMember("realistic", 6, 0, 10, "test")
    write_manifest(tmp_path / "e.jsonl", aam20, [train, other_seed])
    again = RecipeMember("realistic", 5, 109, 10, "train")
    with pytest.raises(DatasetError, match="overlap"):
        write_manifest(tmp_path / "f.jsonl", aam20, [train, again])


def test_the_same_frame_twice_is_refused(tmp_path, aam20, member):
    with pytest.raises(DatasetError, match="twice: keep one"):
        write_manifest(tmp_path / "d.jsonl", aam20, [member(1), member(1)])


def test_a_weight_is_above_nothing(tmp_path, aam20, member):
    for weight in (0.0, -1.0, float("nan")):
        with pytest.raises(DatasetError, match="above 0"):
            write_manifest(tmp_path / "d.jsonl", aam20, [member(1, weight=weight)])


# Joining, counting, positives


def test_two_vocabularies_do_not_mix(tmp_path, aam20, member):
    full = load_vocabulary("full")
    one = write_manifest(tmp_path / "a.jsonl", aam20, [member(1)])
    other = write_manifest(tmp_path / "b.jsonl", full, [member(2, labels=(0,) * len(full.ids))])
    with pytest.raises(MixedVocabulariesError, match="aam20 and full do not mix"):
        join([one, other])


def test_joined_datasets_are_drawn_by_their_weights(tmp_path, aam20, member):
    one = write_manifest(tmp_path / "a.jsonl", aam20, [member(1, "train", weight=2.0)])
    recipe = RecipeMember("realistic", 5, 0, 30, "train")
    other = write_manifest(tmp_path / "b.jsonl", aam20, [recipe])
    joined = write_manifest(tmp_path / "c.jsonl", aam20, join([one, other], [5.0, 1.0]))
    assert [m.weight for m in joined.members] == [10.0, 1.0]
    (part,) = parts(joined)
    assert part.frames == 1
    assert part.simulated == 30
    assert part.drawn == {"s": 0.25, "simulated": 0.75}
    with pytest.raises(DatasetError, match="one for each"):
        join([one, other], [5.0])


def test_a_split_without_positives_is_refused_by_attribute(aam20, member):
    labels = labels_of([member(1), member(2)], 20)
    with pytest.raises(NoPositivesError, match="no frame of train shows diffuse_high_q, halo"):
        refuse_missing_positives(labels, aam20, "train")
    refuse_missing_positives(labels, aam20, "train", ["diffuse_low_q"])
    with pytest.raises(NoPositivesError, match="shows ring: add frames that do, or leave it out"):
        refuse_missing_positives(labels, aam20, "train", ["diffuse_low_q", "ring"])


# Frames that vanished


def test_a_frame_that_vanished_or_changed_is_refused_by_path(frames, aam20, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,ring\na.edf,present\n")
    (member,) = read_csv(table, aam20, frames)
    assert verified_path(member, None, {}) == frames / "a.edf"
    content = (frames / "a.edf").read_bytes()
    (frames / "a.edf").write_bytes(content[:-1] + b"\x7f")
    with pytest.raises(FrameVanishedError, match=r"a\.edf is no longer the file"):
        verified_path(member, None, {})
    (frames / "a.edf").unlink()
    with pytest.raises(FrameVanishedError, match=r"a\.edf is gone"):
        verified_path(member, None, {})


def test_a_blob_is_looked_for_in_the_folder_of_blobs(tmp_path, aam20, frames):
    table = tmp_path / "labels.csv"
    table.write_text("file,ring\na.edf,present\n")
    (member,) = read_csv(table, aam20, frames)
    blob = replace(member, path=None)
    with pytest.raises(FrameVanishedError, match="name the folder of blobs"):
        verified_path(blob, None, {})
    place = tmp_path / "blobs" / member.sha256[:2] / member.sha256
    place.parent.mkdir(parents=True)
    place.write_bytes((frames / "a.edf").read_bytes())
    assert verified_path(blob, tmp_path / "blobs", {}) == place


def test_the_hash_of_a_manifest_covers_every_line(tmp_path, aam20, member):
    path = tmp_path / "d.jsonl"
    first = write_manifest(path, aam20, [member(1)]).id
    assert first == json.loads(path.read_text().splitlines()[0])["id"]
    others = [
        write_manifest(tmp_path / f"{n}.jsonl", aam20, [changed]).id
        for n, changed in enumerate(
            [member(1, "train"), member(1, experiment="f"), member(1, path=Path("/b"))]
        )
    ]
    assert len({first, *others}) == 4


def test_names_with_strange_signs_survive(tmp_path, aam20, member):
    strange = replace(member(1), author='Jörg\u2028\n"x"', source="\u0085é")
    write_manifest(tmp_path / "d.jsonl", aam20, [strange, member(2)])
    assert read_manifest(tmp_path / "d.jsonl").frames[0] == strange


def test_a_full_disk_leaves_no_manifest(tmp_path, aam20, member):
    # A limit on the size of files fails as a full disk does: in the middle of a write.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_manifest(tmp_path / "d.jsonl", aam20, [member(n) for n in range(100)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(tmp_path.iterdir())


def test_a_stack_is_hashed_once_for_all_its_frames(frames, aam20, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,frame,ring\n" + "".join(f"stack.npy,{n},1\n" for n in range(3)))
    digests = {}
    paths = [verified_path(m, None, digests) for m in read_csv(table, aam20, frames)]
    assert paths == [frames / "stack.npy"] * 3
    assert list(digests) == [frames / "stack.npy"]
