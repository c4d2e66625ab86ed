"""Metrics, calibration and the pointing game against independent oracles."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from scatterlens_models.datasets.real_frames import RealFrame, labels_from_words
from scatterlens_models.evaluation.calibration import (
    expected_calibration_error,
    fit_temperatures,
    fit_thresholds,
    sigmoid,
)
from scatterlens_models.evaluation.pointing import evidence_mask, pointing_game
from scatterlens_models.evaluation.real import real_difference, real_figure
from scatterlens_models.metrics import average_precision, average_precisions, base_rate
from scatterlens_models.vocabulary import load_vocabulary


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def test_average_precision_equals_scikit_learn_with_ties_and_weights(rng):
    for _ in range(20):
        labels = rng.integers(0, 2, 60)
        scores = np.round(rng.random(60), 1)
        weights = rng.random(60)
        assert average_precision(scores, labels, weights) == pytest.approx(
            average_precision_score(labels, scores, sample_weight=weights), abs=1e-12
        )


def test_unknown_labels_do_not_count(rng):
    labels, scores = rng.integers(-1, 2, 200), rng.random(200)
    known = labels >= 0
    assert average_precision(scores, labels) == pytest.approx(
        average_precision_score(labels[known], scores[known])
    )


def test_average_precision_is_undefined_without_both_kinds():
    assert np.isnan(average_precision(np.array([0.1, 0.2]), np.array([1, 1])))
    assert np.isnan(average_precision(np.array([0.1, 0.2]), np.array([0, -1])))


def test_random_scores_reach_the_base_rate(rng):
    labels = (rng.random((20_000, 3)) < [0.1, 0.3, 0.5]).astype(int)
    found = np.mean(average_precisions(rng.random((20_000, 3)), labels))
    assert found == pytest.approx(base_rate(labels), abs=0.02)


def test_temperature_is_recovered_from_overconfident_logits(rng):
    truth = rng.normal(0, 2, 20_000)
    labels = (rng.random(20_000) < sigmoid(truth)).astype(int)
    found = fit_temperatures(2.5 * truth[:, None], labels[:, None])
    assert found[0] == pytest.approx(2.5, rel=0.05)
    raw, calibrated = sigmoid(2.5 * truth), sigmoid(2.5 * truth / found[0])
    assert expected_calibration_error(calibrated, labels) < 0.02
    assert expected_calibration_error(raw, labels) > 0.05


def test_the_threshold_is_where_f1_is_largest(rng):
    scores = rng.random((500, 1))
    labels = (rng.random((500, 1)) < scores**2).astype(int)
    threshold = fit_thresholds(scores, labels)[0]
    found = f1_score(labels[:, 0], scores[:, 0] >= threshold)
    assert found == pytest.approx(
        max(f1_score(labels[:, 0], scores[:, 0] >= s) for s in scores[:, 0]), abs=1e-12
    )


def test_a_tag_is_right_more_often_than_wrong(rng):
    scores = rng.random((2000, 2))
    labels = (rng.random((2000, 2)) < 0.1).astype(int)
    # Only the upper tenth of the first attribute's scores says something.
    labels[scores[:, 0] > 0.9, 0] = rng.random((scores[:, 0] > 0.9).sum()) < 0.8
    told, untold = fit_thresholds(scores, labels)
    tagged = labels[scores[:, 0] >= told, 0]
    assert len(tagged) > 150
    assert 0.7 < tagged.mean() < 0.9
    assert (scores[:, 1] >= untold).sum() <= 10


def test_few_labels_leave_threshold_and_temperature_alone():
    labels = np.array([[1], [0], [1]])
    assert fit_thresholds(np.array([[0.9], [0.1], [0.8]]), labels)[0] == 0.5
    assert fit_temperatures(np.array([[9.0], [-9.0], [5.0]]), labels)[0] == 1


def test_the_evidence_mask_is_the_smallest_set_with_the_share():
    weights = np.array([[4.0, 3.0], [2.0, 1.0]])
    np.testing.assert_array_equal(evidence_mask(weights, 0.7), [[True, True], [False, False]])
    np.testing.assert_array_equal(evidence_mask(weights, 0.8), [[True, True], [True, False]])


def test_what_no_patch_covers_is_not_pointed_at():
    maps = np.zeros((2, 1, 4, 4))
    maps[:, :, 1:3, 1:3] = -1.0
    maps[:, :, 2, 1] = -0.5  # the least against the attribute, of the cells that can say anything
    evidence = np.zeros((2, 1, 32, 32), np.uint8)
    evidence[:, :, 16:24, 8:16] = 200
    coverage = np.ones((2, 32, 32))
    found = pointing_game(maps, evidence, np.ones((2, 1), int), coverage)
    assert found.hits[0] == 1
    nothing = pointing_game(np.zeros_like(maps), evidence, np.ones((2, 1), int), coverage)
    assert nothing.hits[0] == 0


def test_pointing_hits_where_the_peak_lies_on_the_evidence():
    maps = np.zeros((2, 1, 4, 4))
    maps[0, 0, 0, 3] = maps[1, 0, 3, 0] = 1
    evidence = np.zeros((2, 1, 8, 8), np.uint8)
    evidence[:, 0, :2, 6:] = 200
    coverage = np.ones((2, 8, 8))
    coverage[:, 4:] = 0
    found = pointing_game(maps, evidence, np.ones((2, 1), int), coverage)
    assert found.hits[0] == 0.5
    assert found.random[0] == pytest.approx(1 / 8)
    assert found.centre[0] == 0
    assert found.positives[0] == 2


def test_words_become_labels_with_what_was_not_judged_left_unknown():
    vocabulary = load_vocabulary("aam20")
    labels = labels_from_words({"Ring", "2-fold symmetry", "Beam off image"}, vocabulary)
    by_id = dict(zip(vocabulary.ids, labels.tolist(), strict=True))
    assert by_id["ring"] == by_id["symmetry_2"] == by_id["symmetry_ring"] == 1
    assert by_id["halo"] == by_id["higher_orders"] == 0
    assert by_id["isotropic"] == by_id["symmetry_4"] == by_id["width_sharp"] == -1
    assert by_id["symmetry_halo"] == -1


@pytest.fixture
def real_frames():
    """24 frames of four sources, with labels from words."""
    vocabulary = load_vocabulary("aam20")
    words = [{"Ring", "Isotropic"}, {"Halo", "Higher orders"}, {"Diffuse low-q", "Anisotropic"}]
    return [
        RealFrame(
            f"{i}.edf", f"source{i % 4}", 0, True, labels_from_words(words[i % 3], vocabulary)
        )
        for i in range(24)
    ]


def test_a_perfect_model_scores_one_on_real_frames_whatever_is_resampled(real_frames):
    frames, vocabulary = real_frames, load_vocabulary("aam20")
    truth = np.stack([frame.labels for frame in frames])
    found = real_figure(frames, (truth == 1).astype(float), truth == 1, vocabulary)
    assert found["mean_ap"] == 1
    assert found["mean_ap_interval"] == [1, 1]
    assert found["others"]["diffuse_high_q"]["false_alarms"] == 0


def test_a_difference_on_real_frames_is_that_of_the_two_figures(real_frames):
    vocabulary = load_vocabulary("aam20")
    truth = np.stack([frame.labels for frame in real_frames])
    perfect = (truth == 1).astype(float)
    noise = np.random.default_rng(2).random(truth.shape)
    gain, (low, high) = real_difference(real_frames, perfect, noise, vocabulary)
    figures = [
        real_figure(real_frames, scores, truth == 1, vocabulary)["mean_ap"]
        for scores in (perfect, noise)
    ]
    assert gain == pytest.approx(figures[0] - figures[1], abs=1e-4)
    assert 0 < low <= gain <= high
    assert real_difference(real_frames, noise, noise, vocabulary) == (0, (0, 0))
