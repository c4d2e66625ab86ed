"""Splits by experiment or source: whole units, aims met, the same for the same seed."""

from collections import Counter
from dataclasses import replace

import pytest

from scatterlens_models.datasets.errors import DatasetError, LeakageError
from scatterlens_models.datasets.manifest import write_manifest
from scatterlens_models.datasets.members import RecipeMember
from scatterlens_models.datasets.splitting import split_members
from scatterlens_models.datasets.units import units

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


@pytest.fixture
def many(member):
    """200 frames of 40 experiments of 10 sources."""
    return [member(n, experiment=f"e{n // 5}", source=f"s{n // 20}", path=None) for n in range(200)]


def splits_by(members, name):
    found = {}
    for member in members:
        found.setdefault(getattr(member, name), set()).add(member.split)
    return found


def test_things_are_one_unit_where_a_chain_joins_them():
    assert units([{1}, {2}, {2, 3}, {1, 4}, {5}, {3, 4}]) == [0, 0, 0, 0, 1, 0]
    assert units([{1}, {2}, {3}]) == [0, 1, 2]


def test_no_experiment_is_parted_and_the_aims_are_met(many):
    done = split_members(many, "experiment", SHARES, seed=1)
    assert {len(splits) for splits in splits_by(done, "experiment").values()} == {1}
    assert Counter(m.split for m in done) == {"train": 120, "validation": 40, "test": 40}
    assert max(len(splits) for splits in splits_by(done, "source").values()) > 1
    assert [replace(m, split=None) for m in done] == many


def test_no_source_is_parted_where_sources_are_kept_apart(many):
    done = split_members(many, "source", SHARES, seed=1)
    assert {len(splits) for splits in splits_by(done, "source").values()} == {1}
    assert Counter(m.split for m in done) == {"train": 120, "validation": 40, "test": 40}


def test_the_seed_decides(many):
    again = [split_members(many, "experiment", SHARES, seed=1) for _ in range(2)]
    assert again[0] == again[1]
    assert split_members(many, "experiment", SHARES, seed=2) != again[0]


def test_frames_of_one_file_are_never_parted(member):
    stack = [member(n, experiment=f"e{n}", frame_id=f"{7:064x}.{n}") for n in range(10)]
    done = split_members(
        [*stack, member(11, experiment="f")], "experiment", {"train": 0.5, "test": 0.5}, 1
    )
    assert len({m.split for m in done[:10]}) == 1
    assert done[10].split != done[0].split


def test_what_has_a_split_keeps_it_and_draws_its_kin_along(many, member):
    judge = member(999, "test", experiment="e0", source="s0")
    recipe = RecipeMember("realistic", 1, 0, 5, "validation")
    done = split_members([judge, recipe, *many], "source", {"train": 0.8, "validation": 0.2}, 3)
    assert done[:2] == [judge, recipe]
    assert {m.split for m in done[2:] if m.source == "s0"} == {"test"}
    assert {m.split for m in done[2:] if m.source != "s0"} == {"train", "validation"}


def test_one_split_may_be_divided_anew(many):
    first = split_members(many, "source", {"train": 0.5, "test": 0.5}, 1)
    again = split_members(first, "source", {"train": 0.6, "validation": 0.4}, 1, within="train")
    assert [m for m in again if m.split == "test"] == [m for m in first if m.split == "test"]
    assert Counter(m.split for m in again) == {"train": 60, "validation": 40, "test": 100}


def test_a_unit_that_two_splits_hold_is_not_made_good_in_silence(tmp_path, aam20, member):
    members = [member(1, "train"), member(2, "test"), member(3, None)]
    done = split_members(
        [*members, member(4, source="t", experiment="t")], "source", {"train": 1}, 1
    )
    assert [m.split for m in done[:2]] == ["train", "test"]
    with pytest.raises(LeakageError):
        write_manifest(tmp_path / "d.jsonl", aam20, done)


def test_every_split_gets_something(member):
    few = [member(n, experiment=f"e{n}", source=f"s{n}") for n in range(3)]
    for seed in range(5):
        done = split_members(few, "source", {"train": 0.98, "validation": 0.01, "test": 0.01}, seed)
        assert {m.split for m in done} == {"train", "validation", "test"}


def test_too_few_units_are_refused_with_a_way_out(member):
    series = [member(n, experiment=f"e{n}") for n in range(9)]
    with pytest.raises(DatasetError, match=r"1 parts that share no source.*keep apart experiments"):
        split_members(series, "source", SHARES, 1)
    split_members(series, "experiment", SHARES, 1)


def test_shares_add_up(many):
    for shares in ({"train": 0.5}, {"train": 1.2, "test": -0.2}):
        with pytest.raises(DatasetError, match="add up to 1"):
            split_members(many, "source", shares, 1)
