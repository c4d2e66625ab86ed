"""What a report says, against independent oracles."""

import json
import re

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from scatterlens_models.evaluation.intervals import cluster_interval, drawn_rows
from scatterlens_models.evaluation.look_alikes import correlations, look_alikes
from scatterlens_models.evaluation.overlay_quality import (
    centre_maps,
    even_maps,
    overlay_quality,
)
from scatterlens_models.evaluation.page import Shown, write_report
from scatterlens_models.evaluation.plots import frame_with_map
from scatterlens_models.evaluation.predictions import Predictions
from scatterlens_models.evaluation.strata import DPRIME_EDGES, ap_by_dprime, ap_by_kind, thirds
from scatterlens_models.evaluation.study import study
from scatterlens_models.vocabulary import load_vocabulary
from support.bundles import make_bundle


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def predictions(rng):
    count, attributes = 240, 20
    labels = rng.integers(-1, 2, (count, attributes)).astype(np.int8)
    evidence = np.zeros((count, attributes, 32, 32), np.uint8)
    evidence[:, :, 4:12, 8:20] = 200
    evidence[labels != 1] = 0
    p = np.clip(0.5 + 0.2 * (labels == 1) + rng.normal(0, 0.2, labels.shape), 0.001, 0.999)
    return Predictions(
        p,
        rng.normal(0, 1, (count, attributes, 16, 16)).astype(np.float16),
        np.ones((count, 64, 64), np.float16),
        labels,
        rng.uniform(12, 300, (count, attributes)),
        evidence,
        np.repeat(np.arange(24), 10),
        np.repeat(["pilatus", "eiger"], 120),
        rng.random(count),
    )


# Intervals.


def test_whole_experiments_are_drawn(rng):
    clusters = np.array([7, 7, 7, 3, 3, 9])
    for _ in range(20):
        rows = drawn_rows(clusters, rng)
        counts = np.bincount(rows, minlength=6)
        assert len(set(counts[:3])) == 1
        assert counts[3] == counts[4]
        assert counts[0] + counts[3] + counts[5] == 3


def test_the_interval_of_a_mean_is_that_of_its_clusters(rng):
    # 200 clusters of ten equal values: the mean varies like that of 200 values, not of 2,000.
    values = np.repeat(rng.normal(0, 1, 200), 10)
    low, high = cluster_interval(
        lambda rows: np.array([values[rows].mean()]), np.repeat(np.arange(200), 10), 2000
    )
    width = 2 * 1.645 * values[::10].std() / np.sqrt(200)
    assert float(high[0] - low[0]) == pytest.approx(width, rel=0.1)


def test_what_no_draw_defines_has_no_interval():
    low, high = cluster_interval(lambda rows: np.array([np.nan, 1.0]), np.arange(5), 10)
    assert np.isnan([low[0], high[0]]).all()
    assert (low[1], high[1]) == (1.0, 1.0)


# Strata.


def test_positives_are_parted_by_detectability_and_negatives_stay(predictions):
    p, labels, dprime = predictions.probabilities, predictions.labels, predictions.dprime
    found = ap_by_dprime(p, labels, dprime)
    assert found.shape == (len(DPRIME_EDGES) - 1, 20)
    inside = (labels[:, 3] == 0) | ((labels[:, 3] == 1) & (dprime[:, 3] >= 160))
    expected = average_precision_score(labels[inside, 3] == 1, p[inside, 3])
    assert found[-1, 3] == pytest.approx(expected, abs=1e-12)


def test_a_stratum_of_a_few_frames_says_nothing(predictions):
    few = ap_by_kind(predictions.probabilities, predictions.labels, np.repeat([0, 1], [235, 5]))
    assert np.isnan(few["1"]).all()
    assert np.isfinite(few["0"]).all()


def test_thirds_hold_as_many_values_each(rng):
    found = thirds(rng.random(300))
    assert {name: int((found == name).sum()) for name in ("low", "middle", "high")} == {
        "low": 100,
        "middle": 100,
        "high": 100,
    }


# Overlays.


def test_energy_and_cells_by_hand():
    evidence = np.zeros((1, 1, 32, 32), np.uint8)
    evidence[0, 0, :16, :16] = 100  # the four upper left cells of a 4 x 4 grid
    maps = np.zeros((1, 1, 4, 4))
    maps[0, 0, 0, 0], maps[0, 0, 0, 1], maps[0, 0, 3, 3], maps[0, 0, 2, 2] = 4.0, 1.0, 3.0, -9.0
    # Evidence is even, so its mask is 205 of 256 pixels: two cells, and more than half of two.
    found = overlay_quality(maps, evidence, np.ones((1, 1), int))
    assert found.energy_inside[0] == pytest.approx(5 / 8)
    assert found.precision[0] == pytest.approx(1 / 2)  # (0, 0) of (0, 0) and (3, 3)
    assert found.recall[0] == pytest.approx(1 / 4)
    assert found.f_score[0] == pytest.approx(1 / 3)


def test_a_dark_map_has_no_energy_anywhere():
    evidence = np.full((1, 1, 32, 32), 9, np.uint8)
    found = overlay_quality(np.full((1, 1, 8, 8), -1.0), evidence, np.ones((1, 1), int))
    assert (found.energy_inside[0], found.recall[0], found.f_score[0]) == (0, 0, 0)


def test_only_positive_labels_count():
    evidence = np.full((2, 2, 32, 32), 9, np.uint8)
    found = overlay_quality(np.ones((2, 2, 24, 24)), evidence, np.array([[1, 0], [-1, 0]]))
    assert np.isfinite(found.energy_inside[0])
    assert np.isnan(found.energy_inside[1])


def test_maps_that_know_nothing_are_even_or_central():
    coverage = np.ones((1, 64, 64))
    coverage[0, :, :32] = 0
    even = even_maps(coverage, 16)
    assert even[0, 0, :, :8].max() == 0
    assert even[0, 0, :, 8:].min() == 1
    blob = centre_maps(1, 16)[0, 0]
    assert blob[7, 7] == blob.max() == blob[8, 8]
    assert blob[0, 0] < 0.01


# Look-alikes.


def test_false_alarms_are_counted_where_only_the_look_alike_is():
    vocabulary = load_vocabulary("aam20")
    ring, halo = vocabulary.index("ring"), vocabulary.index("halo")
    labels = np.full((100, 20), -1)
    labels[:, halo] = 0
    labels[:40, ring], labels[40:, ring] = 1, 0
    tags = np.zeros((100, 20), bool)
    tags[:10, halo], tags[40:43, halo] = True, True
    (found,) = look_alikes(tags, labels, vocabulary)
    assert (found.present, found.absent, found.frames) == ("ring", "halo", 40)
    assert (found.tagged, found.elsewhere) == (0.25, 0.05)


def test_correlations_are_pearsons_over_known_pairs(predictions):
    p, labels = predictions.probabilities, predictions.labels
    found = correlations(p, labels)
    known = (labels[:, 2] >= 0) & (labels[:, 7] >= 0)
    assert found[2, 7] == pytest.approx(pearsonr(p[known, 2], p[known, 7])[0], abs=1e-12)
    assert found[7, 2] == found[2, 7]


# The whole.


def test_the_study_agrees_with_scikit_learn(bundle, predictions):
    found = study(bundle, predictions)
    for a, attribute in enumerate(bundle.vocabulary.ids):
        known = predictions.labels[:, a] >= 0
        truth, p = predictions.labels[known, a] == 1, predictions.probabilities[known, a]
        one = found["attributes"][attribute]
        expected = precision_recall_fscore_support(
            truth, p >= bundle.thresholds[a], average="binary", zero_division=0
        )[:3]
        assert (one["precision"], one["recall"], one["f1"]) == pytest.approx(expected, abs=1e-12)
        assert one["ap"] == pytest.approx(average_precision_score(truth, p), abs=1e-12)
        assert one["interval"][0] < one["ap"] < one["interval"][1]
        assert sum(b["frames"] for b in one["reliability"]) == known.sum()
    assert found["overlays"]["even"]["pointing"] == pytest.approx(
        np.nanmean(
            [found["overlays"]["even"]["attributes"][a]["pointing"] for a in bundle.vocabulary.ids]
        )
    )
    assert found["look_alikes"]  # bundles carry no confusion sets: those of aam20 are found


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(tmp_path, bundle, predictions):
    pixels = frame_with_map(np.random.rand(64, 64), np.ones((64, 64)), np.eye(16))
    assert pixels.shape == (64, 64, 3)
    shown = [Shown("ring", "found", "p <0.9>", b"\x89PNG")]
    found = study(bundle, predictions, predictions)
    path = write_report(tmp_path / "report", bundle, found, shown, "bench/<test>")
    text = path.read_text()
    assert text.startswith("<!doctype html>")
    assert "p &lt;0.9&gt;" in text
    assert "bench/&lt;test&gt;" in text
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert text.count("<svg") == 6
    content = json.loads((tmp_path / "report/report.json").read_text())
    assert content["version"] == bundle.version
    assert content["twin"]["mean_ap"] == pytest.approx(content["mean_ap"])


def test_masked_pixels_of_a_picture_are_neutral():
    coverage = np.ones((32, 32))
    coverage[:4] = 0
    pixels = frame_with_map(np.zeros((32, 32)), coverage, np.ones((8, 8)))
    assert (pixels[:4] == pixels[0, 0]).all()
    assert not (pixels[4:] == pixels[0, 0]).all()
