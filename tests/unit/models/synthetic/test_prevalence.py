"""Counts of labels, and which go together."""

import numpy as np
import pytest
from typer.testing import CliRunner

from scatterlens_models.synthetic import dataset
from scatterlens_models.synthetic.commands import synth
from scatterlens_models.synthetic.prevalence import implications, prevalence


def test_prevalence_of_four_frames():
    labels = np.array([[1, 1], [1, -1], [0, 1], [1, 0]], dtype=np.int8)
    dprime = np.array([[20, 50], [100, 5], [0, 39], [13, 0]], dtype=np.float32)
    found = prevalence(labels, dprime)
    np.testing.assert_allclose(found.present, [0.75, 0.5])
    np.testing.assert_allclose(found.unsure, [0, 0.25])
    np.testing.assert_allclose(found.hard, [2 / 3, 1 / 2])
    np.testing.assert_allclose(found.together, [[1, 1 / 3], [1 / 2, 1]])


def test_what_is_never_present_has_no_share_of_anything():
    found = prevalence(np.zeros((5, 2), np.int8), np.zeros((5, 2)))
    assert not found.present.any()
    assert not found.hard.any()
    assert not found.together.any()


def test_implications_count_what_holds_is_unsure_and_breaks():
    ids = ("ring", "width_sharp", "spotted")
    labels = np.array([[1, 1, 0], [1, 1, 0], [-1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
    (found,) = implications(labels, ids)
    assert (found.premise, found.consequence) == ("width_sharp", "ring")
    assert found.must_hold
    assert found.frames == 4
    assert (found.present, found.unsure, found.absent) == (0.5, 0.25, 0.25)
    assert found.present_without == 0.5


@pytest.fixture
def shards(tmp_path):
    list(dataset.build(dataset.Split("tiny", seed=11, start=1_000, frames=3), tmp_path))
    return tmp_path


def test_the_command_marks_what_is_rare_or_everywhere(shards):
    result = CliRunner().invoke(synth, ["stats", str(shards), "--together"])
    assert result.exit_code == 0, result.output
    assert "below 6 %" in result.output
    assert "consequence" in result.output


def test_the_command_refuses_a_folder_without_shards(tmp_path):
    result = CliRunner().invoke(synth, ["stats", str(tmp_path)])
    assert result.exit_code == 2
    assert "no shards" in result.output
