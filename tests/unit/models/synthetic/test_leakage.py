"""The two measures of what nuisances tell of labels."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, mutual_info_score
from typer.testing import CliRunner

from scatterlens_models.synthetic import leakage
from scatterlens_models.synthetic.commands import synth
from scatterlens_models.synthetic.sampling import sample


@pytest.fixture
def rng():
    return np.random.default_rng(20200907)


def _labels(rng, frames, attributes, share=0.3):
    return (rng.random((frames, attributes)) < share).astype(np.int8)


# Mutual information


def test_mutual_information_equals_scikit_learn(rng):
    for _ in range(20):
        values = rng.choice(["none", "circular", "linear"], 300)
        labels = rng.integers(-1, 2, 300).astype(np.int8)
        known = labels >= 0
        found = leakage.mutual_information(labels, values, shuffles=0)
        assert found.raw == pytest.approx(mutual_info_score(labels[known], values[known]))


def test_within_strata_it_is_their_weighted_mean(rng):
    values, strata = rng.integers(0, 4, 900), rng.choice([3, 10, 1002], 900, p=[0.6, 0.3, 0.1])
    labels = rng.integers(-1, 2, 900).astype(np.int8)
    known = labels >= 0
    expected = sum(
        mutual_info_score(labels[here], values[here]) * here.sum() / known.sum()
        for here in (known & (strata == s) for s in (3, 10, 1002))
    )
    assert leakage.mutual_information(labels, values, strata).raw == pytest.approx(expected)


def test_chance_is_taken_off_even_where_labels_are_rare_and_strata_small(rng):
    corrected, raw = [], []
    for _ in range(30):
        labels = _labels(rng, 1000, 1, share=0.05)[:, 0]
        strata = rng.integers(0, 10, 1000)
        found = leakage.mutual_information(labels, rng.integers(0, 14, 1000), strata, 20)
        corrected.append(found.corrected)
        raw.append(found.raw)
    assert np.mean(raw) > 0.02
    assert abs(np.mean(corrected)) < 0.003


def test_a_label_that_follows_the_nuisance_is_found(rng):
    stop = rng.choice(["none", "circular", "linear", "wedge"], 5000)
    labels = (rng.random(5000) < np.where(stop == "circular", 0.45, 0.25)).astype(np.int8)
    assert leakage.mutual_information(labels, stop).corrected > leakage.LEAKAGE_BAR
    apart = rng.permutation(stop)
    assert abs(leakage.mutual_information(labels, apart).corrected) < 0.001


def test_a_label_that_follows_visibility_only_is_clean_within_strata(rng):
    on_image = rng.random(5000) < 0.8
    stop = np.where(on_image, rng.choice(["circular", "linear"], 5000), "none")
    labels = (rng.random(5000) < np.where(on_image, 0.4, 0.05)).astype(np.int8)
    assert leakage.mutual_information(labels, stop).corrected > leakage.LEAKAGE_BAR
    assert abs(leakage.mutual_information(labels, stop, on_image).corrected) < 0.001


def test_a_label_that_is_always_unsure_tells_nothing():
    found = leakage.mutual_information(np.full(9, -1, np.int8), np.arange(9))
    assert found == (0.0, 0.0)


def test_quantile_bins_hold_equally_many(rng):
    bins = leakage.quantile_bins(10 ** rng.normal(size=800), 8)
    np.testing.assert_array_equal(np.bincount(bins), [100] * 8)


# The probe of the masks


def test_logistic_regression_equals_scikit_learn(rng):
    features = np.column_stack([rng.normal(size=(400, 5)), np.ones(400)])
    labels = (features @ rng.normal(size=(6, 2)) + rng.normal(size=(400, 2)) > 0).astype(np.int8)
    labels[rng.random(labels.shape) < 0.1] = -1
    weights = leakage.fit_logistic(features, labels, ridge=10.0)
    for a in (0, 1):
        known = labels[:, a] >= 0
        oracle = LogisticRegression(C=0.1, tol=1e-8)
        oracle.fit(features[known, :5], labels[known, a])
        np.testing.assert_allclose(weights[:5, a], oracle.coef_[0], atol=2e-3)
        np.testing.assert_allclose(weights[5, a], oracle.intercept_[0], atol=2e-3)


def test_chance_is_the_mean_of_random_orders(rng):
    labels = np.arange(200) < 15
    drawn = [average_precision_score(labels, rng.random(200)) for _ in range(400)]
    assert leakage.chance_ap(15, 200) == pytest.approx(np.mean(drawn), abs=0.006)
    assert leakage.chance_ap(15, 200) > 15 / 200


def test_the_probe_finds_a_label_that_the_mask_gives_away(rng):
    masks, labels = rng.random((1000, 30)), _labels(rng, 1000, 4)
    assert not leakage.mask_probe(masks, labels, resamples=100).leaks
    labels[:, 2] = masks[:, 5] + 0.5 * rng.random(1000) > 0.75
    found = leakage.mask_probe(masks, labels, resamples=100)
    assert found.leaks
    assert found.low < found.mean_ap - found.chance < found.high
    assert found.frames == 200


def test_the_interval_of_a_clean_probe_holds_nought_as_often_as_it_says(rng):
    holds = 0
    for _ in range(25):
        found = leakage.mask_probe(rng.random((300, 4)), _labels(rng, 300, 2), resamples=60)
        holds += found.low <= 0 <= found.high
    assert holds >= 20


def test_the_probe_copes_with_labels_that_are_all_alike(rng):
    labels = np.zeros((100, 2), np.int8)
    found = leakage.mask_probe(np.ones((100, 3)), labels, resamples=5)
    assert (found.mean_ap, found.base_rate, found.low) == (0.0, 0.0, 0.0)


def test_too_few_frames_are_refused_with_the_number_that_is_needed(rng):
    with pytest.raises(leakage.TooFewFramesError, match="40 or more"):
        leakage.mask_probe(rng.random((39, 4)), _labels(rng, 39, 3))


# Surveys


@pytest.fixture(scope="module")
def seen():
    return leakage.gather(leakage.survey(5, 1000, 4))


def test_a_survey_takes_one_frame_of_each_experiment(seen):
    scenes = [sample(5, 1000 + 50 * i) for i in range(4)]
    assert seen.detector.tolist() == [scene.instrument.detector for scene in scenes]
    assert seen.stop.tolist() == [scene.instrument.stop for scene in scenes]
    assert seen.flat.tolist() == [scene.background.flat for scene in scenes]
    assert seen.labels.shape == (4, len(seen.ids))
    assert seen.masks.shape == (4, 16 * 16 + 1)
    assert len({scene.group for scene in scenes}) == 4


def test_a_survey_sees_the_same_in_any_number_of_processes(seen):
    again = leakage.gather(leakage.survey(5, 1000, 4, jobs=2))
    np.testing.assert_array_equal(again.labels, seen.labels)
    np.testing.assert_array_equal(again.masks, seen.masks)


def test_strata_keep_beam_technique_and_darkness_apart(seen):
    plain = replace(
        seen,
        technique=np.array(["saxs", "saxs", "waxs", "saxs"]),
        on_image=np.array([True, False, True, True]),
        dark=np.array([False, False, False, True]),
    )
    assert len(set(plain.strata.tolist())) == 4


# Commands


@pytest.fixture
def made_up(monkeypatch, rng):
    """Stands in for the frames, which take minutes; half have the beam on the image."""

    def survey(seed, start, frames, jobs):
        for number in range(frames):
            yield leakage.Surveyed(
                labels=_labels(rng, 1, 20)[0],
                detector=str(rng.choice(["eiger", "pilatus"])),
                stop=str(rng.choice(["none", "linear"])),
                flat=float(rng.random()),
                technique="saxs",
                on_image=number % 2 == 0,
                dark=False,
                masks=rng.random(257).astype(np.float32),
            )

    monkeypatch.setattr(leakage, "survey", survey)
    monkeypatch.setattr(leakage, "leaks", partial(leakage.leaks, shuffles=3))
    monkeypatch.setattr(leakage, "mask_probe", partial(leakage.mask_probe, resamples=5))
    monkeypatch.setattr("scatterlens_models.synthetic.commands._console._width", 200)


def test_the_command_prints_both_measures(made_up):
    result = CliRunner().invoke(synth, ["leakage", "--frames", "120"])
    assert result.exit_code == 0, result.output
    for text in ("symmetry_ring", "largest", "exposure", "base rate", "beam on the image"):
        assert text in result.output
    assert "too few" not in result.output


def test_the_command_says_which_probe_has_too_few_frames(made_up):
    result = CliRunner().invoke(synth, ["leakage", "--frames", "60"])
    assert result.exit_code == 0, result.output
    assert "beam on the image: 30 frames are too few" in result.output


@pytest.mark.parametrize(
    "bad", [["--frames", "10"], ["--jobs", "0"], ["--start", "-1"], ["--seed", "-3"]]
)
def test_the_command_refuses_what_makes_no_sense(bad):
    result = CliRunner().invoke(synth, ["leakage", *bad])
    assert result.exit_code == 2
    assert bad[0] in result.output
