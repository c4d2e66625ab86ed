"""The gate: on predictions made up so that the truth about them is known, and on bundles."""

import hashlib
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from scatterlens_models.commands import models
from scatterlens_models.datasets.manifest import write_manifest
from scatterlens_models.datasets.members import FrameMember
from scatterlens_models.evaluation.calibration import expected_calibration_error
from scatterlens_models.evaluation.draws import (
    average_precisions_of,
    calibration_errors_of,
    draw_weights,
)
from scatterlens_models.evaluation.gate import Paired, judge
from scatterlens_models.evaluation.gate_frames import NoGateError, run_gate
from scatterlens_models.metrics import average_precision
from scatterlens_models.vocabulary import load_vocabulary
from support.bundles import make_bundle
from support.detector_files import npy

A = 6
IDS = [f"attribute_{a}" for a in range(A)]


def world(frames: int = 2000, experiments: int = 200, seed: int = 0):
    """Labels, experiments, and the logit of what is true: calibrated by construction."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (frames, A))
    labels = (rng.random((frames, A)) < sigmoid(logits)).astype(np.int8)
    return labels, np.arange(frames) % experiments, logits


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def failed(verdict) -> set[tuple[str, str | None]]:
    return {(check.figure, check.attribute) for check in verdict.checks if not check.passed}


def judge_one(candidate, production, labels, experiments, pointing=None):
    pair = Paired("made/test", labels, experiments, candidate, production, pointing)
    return judge("c" * 12, "p" * 12, IDS, [pair])


def test_equal_predictions_pass_with_no_loss_at_all():
    labels, experiments, logits = world()
    verdict = judge_one(sigmoid(logits), sigmoid(logits), labels, experiments, (0.6, 0.6))
    assert verdict.passed
    assert {check.loss for check in verdict.checks} == {0.0}
    assert len(verdict.checks) == 2 + A + 1


def test_one_attribute_that_is_worse_is_refused_though_the_mean_is_not():
    labels, experiments, logits = world()
    worse = logits.copy()
    rng = np.random.default_rng(1)
    worse[:, 2] = 0.6 * worse[:, 2] + rng.normal(0, 1.5, len(worse))
    better = logits + 0.5 * (2.0 * labels - 1)  # the others gain, so the mean does not fall
    better[:, 2] = worse[:, 2]
    verdict = judge_one(sigmoid(better), sigmoid(logits), labels, experiments)
    assert ("ap", IDS[2]) in failed(verdict)
    assert ("mean_ap", None) not in failed(verdict)
    assert not verdict.passed


def test_worse_calibration_is_refused_though_the_ranking_is_the_same():
    labels, experiments, logits = world()
    verdict = judge_one(sigmoid(3 * logits), sigmoid(logits), labels, experiments)
    assert failed(verdict) == {("mean_ece", None)}


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_not_refused(seed):
    """As good a model with errors of its own, on many frames and on few."""
    rng = np.random.default_rng(seed)
    for frames, experiments in ((1500, 150), (40, 12)):
        labels, groups, logits = world(frames, experiments, seed)
        pair = [sigmoid(logits + rng.normal(0, 0.3, logits.shape)) for _ in range(2)]
        assert failed(judge_one(*pair, labels, groups)) == set()


def test_a_few_frames_refuse_only_what_is_beyond_doubt_and_say_how_few_they_are():
    labels, groups, logits = world(60, 12)
    rng = np.random.default_rng(3)
    pair = [sigmoid(logits + rng.normal(0, 0.8, logits.shape)) for _ in range(2)]
    verdict = judge_one(*pair, labels, groups)
    assert any(check.loss > check.tolerance for check in verdict.checks)
    assert verdict.passed
    assert all("60 frames of 12 experiments" in check.note for check in verdict.checks)
    useless = judge_one(sigmoid(-logits), sigmoid(logits), labels, groups)
    assert ("mean_ap", None) in failed(useless)


def test_overlays_that_point_elsewhere_are_refused():
    labels, experiments, logits = world()
    p = sigmoid(logits)
    assert failed(judge_one(p, p, labels, experiments, (0.56, 0.6))) == {("pointing", None)}
    assert judge_one(p, p, labels, experiments, (0.58, 0.6)).passed


def test_what_one_experiment_alone_shows_is_not_refused():
    labels, groups, logits = world(60, 12)
    labels[:, 0] = 0
    labels[groups == 3, 0] = 1
    rare = logits.copy()
    rare[:, 0] = np.where(labels[:, 0] == 1, -9, 9)
    verdict = judge_one(sigmoid(rare), sigmoid(-rare), labels, groups)
    (check,) = [check for check in verdict.checks if check.attribute == IDS[0]]
    assert check.loss == pytest.approx(1.0, abs=0.1)
    assert (check.passed, check.interval) == (True, None)
    assert check.note == "too few experiments define it"


def test_an_attribute_that_no_frame_shows_is_not_judged():
    labels, experiments, logits = world(300, 50)
    labels[:, 0] = 0
    verdict = judge_one(sigmoid(logits), sigmoid(logits), labels, experiments)
    assert IDS[0] not in {check.attribute for check in verdict.checks}
    assert json.loads(json.dumps(verdict.to_report(), allow_nan=False))["passed"] is True


def test_figures_over_draws_are_those_of_frames_drawn_one_by_one():
    labels, groups, logits = world(300, 30)
    labels[::7] = -1
    scores = np.round(sigmoid(logits), 1)  # with ties
    for weights in draw_weights(groups, 5):
        rows = np.repeat(np.arange(300), weights.astype(int))
        for a in range(A):
            both = scores[:, a], labels[:, a]
            drawn = both[0][rows], both[1][rows]
            (ap,) = average_precisions_of(*both, weights[np.newaxis])
            (ece,) = calibration_errors_of(*both, weights[np.newaxis])
            assert ap == pytest.approx(average_precision(*drawn))
            assert ece == pytest.approx(expected_calibration_error(*drawn))


def test_without_frames_nothing_passes():
    assert not judge("c" * 12, "p" * 12, IDS, []).passed


@pytest.fixture
def dataset(tmp_path):
    """Frames with rings of counts, labelled by what the first bundle says of them."""
    vocabulary = load_vocabulary("aam20")
    rng = np.random.default_rng(5)
    members = []
    for number in range(12):
        data = npy(rng.poisson(2 + 20 * (number % 2), (64, 64)).astype(np.int32))
        path = tmp_path / f"{number}.npy"
        path.write_bytes(data)
        members.append(
            FrameMember(
                hashlib.sha256(data).hexdigest(),
                path,
                (number % 2, 1 - number % 2) + (-1,) * 18,
                f"source {number}",
                f"experiment {number}",
                "ada",
                "test",
            )
        )
    write_manifest(tmp_path / "real.jsonl", vocabulary, members)
    return tmp_path / "real.jsonl"


def test_two_bundles_are_measured_on_the_test_frames_of_a_dataset(tmp_path, dataset):
    first, second = (make_bundle(tmp_path, f"model{seed}", seed=seed) for seed in (0, 1))
    verdict = run_gate(second, first, None, [dataset])
    assert verdict.frames == (("real/test", 12, 12),)
    assert {check.attribute for check in verdict.checks} == {None, *first.vocabulary.ids[:2]}
    # The same network under another name is another version, and no worse.
    twin = make_bundle(tmp_path, "twin", seed=0)
    assert run_gate(twin, first, None, [dataset]).passed
    with pytest.raises(NoGateError, match="is production itself"):
        run_gate(first, first, None, [dataset])


def test_the_gate_says_what_it_lacks(tmp_path, dataset):
    bundle = make_bundle(tmp_path, "model")
    with pytest.raises(NoGateError, match="SCATTERLENS_GATE_SHARDS"):
        run_gate(make_bundle(tmp_path, "twin"), bundle, None)
    other = make_bundle(tmp_path, "other", vocabulary_name="experimental20")
    with pytest.raises(NoGateError, match="cannot be compared"):
        run_gate(other, bundle, None, [dataset])


def test_the_command_prints_a_table_and_writes_the_report(tmp_path, dataset):
    bundle = make_bundle(tmp_path, "model")
    twin, report = make_bundle(tmp_path, "twin"), tmp_path / "report.json"
    options = ["--against", str(twin.path), "--manifest", str(dataset), "--out", str(report)]
    done = CliRunner().invoke(models, ["gate", str(bundle.path), *options])
    assert done.exit_code == 0, done.output
    assert "passed" in done.output
    assert json.loads(report.read_text())["against"] == twin.version
    lacking = CliRunner().invoke(models, ["gate", str(bundle.path), "--against", "slim-aam"])
    assert lacking.exit_code == 2
