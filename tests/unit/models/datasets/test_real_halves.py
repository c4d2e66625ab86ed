"""The labelled real frames as a dataset: halves apart, and decoded as the service decodes them."""

import csv
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from scatterlens_models.datasets.checks import refuse_missing_positives
from scatterlens_models.datasets.counting import labels_of
from scatterlens_models.datasets.errors import LeakageError, NoPositivesError
from scatterlens_models.datasets.importing.real_halves import read_real_halves
from scatterlens_models.datasets.loading import load_dataset
from scatterlens_models.datasets.manifest import read_manifest, write_manifest
from scatterlens_models.datasets.members import of_split
from scatterlens_models.datasets.splitting import split_members
from scatterlens_models.preprocess import PreprocessSpec, prepare


@pytest.fixture(scope="module")
def real(real_data, aam20):
    return read_real_halves(real_data, aam20)


def test_the_halves_are_train_and_test_and_share_nothing(real, real_index, aam20, tmp_path):
    half = {row["file"]: row["half"] for row in real_index}
    assert {m.split for m in real if half[m.path.name] == "A"} == {"train"}
    assert {m.split for m in real if half[m.path.name] == "B"} == {"test"}
    assert not {m.source for m in of_split(real, "train")} & {
        m.source for m in of_split(real, "test")
    }
    written = write_manifest(tmp_path / "real.jsonl", aam20, real)
    assert read_manifest(tmp_path / "real.jsonl") == written


def test_frames_of_low_confidence_are_left_out(real, real_data):
    with (real_data / "LABELS.csv").open(newline="") as stream:
        sure = {r["file"] for r in csv.DictReader(stream) if r["confidence"] in ("high", "medium")}
    assert {m.path.name for m in real} == sure
    assert len(real) == len(sure)


def test_labels_are_those_of_the_table(real, real_data, aam20):
    with (real_data / "LABELS.csv").open(newline="") as stream:
        words = {row["file"]: row["labels"].split(";") for row in csv.DictReader(stream)}
    for name, word in {"ring": "Ring", "halo": "Halo", "higher_orders": "Higher orders"}.items():
        a = aam20.index(name)
        assert [m.labels[a] for m in real] == [int(word in words[m.path.name]) for m in real]
    for name in ("symmetry_4", "width_sharp"):
        assert {m.labels[aam20.index(name)] for m in real} == {-1}


def test_half_b_stays_apart_however_half_a_is_divided(real, aam20, tmp_path):
    judges = of_split(real, "test")
    for seed in range(5):
        done = split_members(
            real, "source", {"train": 0.7, "validation": 0.3}, seed, within="train"
        )
        assert of_split(done, "test") == judges
        assert Counter(m.split for m in done)["validation"] > 0
        write_manifest(tmp_path / f"{seed}.jsonl", aam20, done)


def test_half_b_cannot_be_mixed_into_what_is_learned(real, aam20, tmp_path):
    first = next(m for m in real if m.split == "test")
    mixed = [replace(m, split="train") if m is first else m for m in real]
    with pytest.raises(LeakageError, match=f"share the experiment '{first.source}'"):
        write_manifest(tmp_path / "real.jsonl", aam20, mixed)


def test_six_attributes_are_shown_in_both_halves_and_the_rest_is_refused(real, aam20):
    reported = ["ring", "higher_orders", "diffuse_low_q", "isotropic", "halo", "anisotropic"]
    for split in ("train", "test"):
        labels = labels_of(of_split(real, split), 20)
        refuse_missing_positives(labels, aam20, split, reported)
        with pytest.raises(NoPositivesError, match=f"no frame of {split} shows .*symmetry_4"):
            refuse_missing_positives(labels, aam20, split)


def test_real_frames_are_loaded_as_the_service_sees_them(real, aam20, child, tmp_path):
    small = [m for m in real if m.path.stat().st_size < 1_500_000][:4]
    manifest = write_manifest(tmp_path / "real.jsonl", aam20, small)
    split = small[0].split
    chosen = of_split(small, split)
    loaded = load_dataset(manifest, 64, split)
    assert loaded.x.shape == (len(chosen), 2, 64, 64)
    for x, labels, member in zip(loaded.x, loaded.labels, chosen, strict=True):
        frame = child.decode(member.path, member.index or 0)
        expected = prepare(frame, PreprocessSpec(64))[0]
        np.testing.assert_allclose(x.numpy(), expected, atol=1e-3)
        assert tuple(labels.tolist()) == member.labels
