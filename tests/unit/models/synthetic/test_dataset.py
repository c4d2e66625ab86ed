"""Scenes, splits and shards."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from scatterlens_models.synthetic import dataset
from scatterlens_models.synthetic.commands import synth
from scatterlens_models.synthetic.sampling import GROUP_SIZE, UnknownProfileError, sample
from scatterlens_models.synthetic.scene import ImpossibleSceneError, SceneParams

TINY = dataset.Split("tiny", seed=11, start=1_000, frames=3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    assert list(dataset.build(TINY, folder)) == [0, 3]
    return folder


def test_a_scene_survives_its_json():
    for index in range(0, 10_000, 100):
        scene = sample(20200907, index)
        assert SceneParams.from_json(scene.to_json()) == scene


def test_the_same_seed_and_index_give_the_same_frame():
    first, again = dataset.simulate(5, 123), dataset.simulate(5, 123)
    assert first.scene == again.scene
    np.testing.assert_array_equal(first.prepared, again.prepared)
    np.testing.assert_array_equal(first.labelled.dprime, again.labelled.dprime)
    assert dataset.simulate(6, 123).scene != first.scene
    assert dataset.simulate(5, 124).scene != first.scene


def test_an_experiment_shares_its_instrument_and_no_other():
    instruments = [sample(5, index).instrument for index in range(3 * GROUP_SIZE)]
    assert [len(set(instruments[g * 50 : g * 50 + 50])) for g in range(3)] == [1, 1, 1]
    assert len(set(instruments)) == 3


def test_parts_of_the_benchmark_share_no_experiment():
    groups = [
        set(range(s.start // GROUP_SIZE, (s.start + s.frames - 1) // GROUP_SIZE + 1))
        for s in dataset.find_splits("bench-v1")
    ]
    assert sum(map(len, groups)) == len(set().union(*groups))


def test_shards_give_back_what_was_simulated(tiny):
    with dataset.open_shards(tiny) as shards:
        assert len(shards) == 3
        for i in range(3):
            made = dataset.simulate(TINY.seed, TINY.start + i)
            frame = shards.x(slice(i, i + 1))[0]
            assert np.abs(frame[0] - made.prepared[0]).max() <= 0.51 / dataset.INPUT_SCALE
            assert np.abs(frame[1] - made.prepared[1]).max() <= 0.51 / 255
            np.testing.assert_array_equal(shards.labels[i], made.labelled.labels)
            # Sums in more threads than one round otherwise.
            np.testing.assert_allclose(shards.dprime[i], made.labelled.dprime, rtol=1e-5)
            np.testing.assert_array_equal(
                shards.evidence(slice(i, i + 1))[0], made.labelled.evidence
            )
            assert shards.scene(i) == made.scene
            assert shards.groups[i] == 20


def test_frames_come_in_the_order_that_was_asked_for(tiny):
    with dataset.open_shards(tiny) as shards:
        everything = shards.x(slice(None))
        np.testing.assert_array_equal(shards.x(np.array([2, 0])), everything[[2, 0]])


def test_a_finished_build_is_not_made_again(tiny):
    before = dataset.shard_path(tiny, 0).stat().st_mtime_ns
    assert list(dataset.build(TINY, tiny)) == [3]
    assert dataset.shard_path(tiny, 0).stat().st_mtime_ns == before


def test_what_a_killed_build_left_is_removed_and_built_again(tmp_path):
    (tmp_path / "shard-0000.part").write_bytes(b"half")
    with pytest.raises(dataset.BrokenShardError, match="synth build"):
        dataset.open_shards(tmp_path)
    assert list(dataset.build(replace(TINY, frames=1), tmp_path)) == [0, 1]
    assert [path.name for path in tmp_path.glob("shard*")] == ["shard-0000.h5"]


def test_a_full_disk_is_told_and_leaves_no_half_shard(tmp_path):
    # A limit on the size of files fails as a full disk does: in the middle of a write.
    build = (
        "import resource, sys, pathlib; from scatterlens_models.synthetic import dataset;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "list(dataset.build(dataset.Split('tiny', 11, 1_000, 3), pathlib.Path(sys.argv[1])))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "UnwritableShardError" in ended.stderr
    assert "File too large. Make room" in ended.stderr
    assert not list(tmp_path.glob("shard*"))
    assert list(dataset.build(TINY, tmp_path)) == [0, 3]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("instrument", "energy_kev"), -8.0, "energy_kev is -8.0; it must be above 0"),
        (("instrument", "distance_m"), 0, "distance_m"),
        (("instrument", "polarization"), 1.5, "polarization"),
        (("components", 0, "eta"), 1.2, "eta is 1.2; it must be an order parameter, 0 to 1"),
        (("components", 0, "kind"), "spiral", "kind is spiral; it must be one of rings"),
        (("components", 0, "positions"), [-0.1], "positions"),
    ],
)
def test_parameters_outside_physics_are_refused_by_name(path, value, named):
    scene = next(s for i in range(50) if (s := sample(3, i)).components)
    content = json.loads(scene.to_json())
    *parents, last = path
    place = content
    for step in parents:
        place = place[step]
    place[last] = value
    with pytest.raises(ImpossibleSceneError, match=re.escape(named)):
        SceneParams.from_json(json.dumps(content))


def test_a_second_build_into_the_same_folder_is_refused(tmp_path):
    first = dataset.build(replace(TINY, frames=1), tmp_path)
    next(first)
    with pytest.raises(dataset.BuildRunningError, match="another folder"):
        next(dataset.build(replace(TINY, frames=1), tmp_path))
    assert list(first) == [1]


def test_a_truncated_shard_is_refused(tiny, tmp_path):
    whole = dataset.shard_path(tiny, 0).read_bytes()
    dataset.shard_path(tmp_path, 0).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(dataset.BrokenShardError, match="delete it and build again"):
        dataset.open_shards(tmp_path)


def test_shards_of_another_build_are_refused(tiny):
    with pytest.raises(dataset.BrokenShardError, match="another build"):
        list(dataset.build(replace(TINY, seed=12), tiny))


def test_unknown_splits_and_profiles_name_the_known_ones():
    with pytest.raises(dataset.UnknownSplitError, match="bench-v1/test"):
        dataset.find_splits("bench-v9")
    with pytest.raises(UnknownProfileError, match="realistic"):
        sample(1, 1, profile="imaginary")


def test_the_command_refuses_an_unknown_split_with_the_remedy(tmp_path):
    result = CliRunner().invoke(synth, ["build", "--split", "x", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "bench-v1/train" in result.output


def test_the_command_counts_the_labels_of_a_folder(tiny):
    result = CliRunner().invoke(synth, ["stats", str(tiny), "--together"])
    assert result.exit_code == 0
    assert "width_intermediate" in result.output
    assert "3 frames" in result.output


@pytest.mark.timeout(300)  # a hundred frames, on a machine that may be training beside it
def test_the_benchmark_is_the_one_that_was_published():
    published = dataset.load_manifest("bench-v1")["parts"]["bench-v1/test"]
    split = dataset.find_splits("bench-v1/test")[0]
    made = [dataset.simulate(split.seed, split.start + i) for i in range(100)]
    labels = np.stack([one.labelled.labels for one in made])
    assert dataset.labels_digest(labels) == published["first_100_labels_sha256"]
    scenes = dataset.rounded([one.scene.to_json() for one in made])
    assert dataset.scenes_digest(scenes) == published["first_100_rounded_scenes_sha256"]


def test_every_attribute_of_the_benchmark_is_neither_rare_nor_everywhere():
    for part in dataset.load_manifest("bench-v1")["parts"].values():
        shares = np.array(part["present"]) / part["frames"]
        assert shares.min() > 0.06
        assert shares.max() < 0.65
