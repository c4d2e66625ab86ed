"""All that is measured of a bundle on one part of a benchmark, as one dictionary for JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from scatterlens_models.bundle import Bundle
from scatterlens_models.evaluation.calibration import expected_calibration_error
from scatterlens_models.evaluation.intervals import cluster_interval
from scatterlens_models.evaluation.look_alikes import correlations, look_alikes
from scatterlens_models.evaluation.overlay_quality import (
    OverlayQuality,
    centre_maps,
    even_maps,
    overlay_quality,
)
from scatterlens_models.evaluation.pointing import pointing_game
from scatterlens_models.evaluation.predictions import Predictions
from scatterlens_models.evaluation.strata import (
    DPRIME_EDGES,
    HARD,
    ap_by_dprime,
    ap_by_kind,
    thirds,
)
from scatterlens_models.metrics import average_precisions, base_rate
from scatterlens_models.vocabulary import UnknownVocabularyError, Vocabulary, load_vocabulary

BINS = 10
"""Of a reliability diagram."""


def study(bundle: Bundle, found: Predictions, twin: Predictions | None = None) -> dict[str, Any]:
    """Measure a bundle by what it said.

    Args:
        bundle: for its vocabulary and thresholds.
        found: what it said of a part.
        twin: what its plain twin said of the same part; stands beside it where given.
    """
    ids = bundle.vocabulary.ids
    p, labels = found.probabilities, found.labels
    tags = p >= bundle.thresholds
    ap = average_precisions(p, labels)

    def precisions(rows: np.ndarray) -> np.ndarray:
        each = average_precisions(p[rows], labels[rows])
        return np.append(each, _mean(each))

    low, high = cluster_interval(precisions, found.experiments)
    hard = np.where((labels == 1) & (found.dprime >= HARD), -1, labels)
    precision, recall, f1 = _at_thresholds(tags, labels)
    return {
        "frames": len(p),
        "experiments": len(np.unique(found.experiments)),
        "mean_ap": _mean(ap),
        "mean_ap_interval": [float(low[-1]), float(high[-1])],
        "base_rate": base_rate(labels),
        "hard_mean_ap": _mean(average_precisions(p, hard)),
        "attributes": {
            attribute: {
                "ap": ap[a],
                "interval": [low[a], high[a]],
                "base_rate": float((labels[:, a] == 1).sum() / max((labels[:, a] >= 0).sum(), 1)),
                "positives": int((labels[:, a] == 1).sum()),
                "threshold": float(bundle.thresholds[a]),
                "precision": precision[a],
                "recall": recall[a],
                "f1": f1[a],
                "ece": expected_calibration_error(p[:, a], labels[:, a]),
                "reliability": _reliability(p[:, a], labels[:, a]),
            }
            for a, attribute in enumerate(ids)
        },
        "by_dprime": {
            "edges": [*DPRIME_EDGES[:-1], None],
            "ap": _by_attribute(ids, ap_by_dprime(p, labels, found.dprime)),
        },
        "by_detector": _means(ap_by_kind(p, labels, found.detectors)),
        "by_exposure": _means(ap_by_kind(p, labels, thirds(found.exposures))),
        "look_alikes": [asdict(row) for row in look_alikes(tags, labels, _confusable(bundle))],
        "co_occurrence": {
            "labels": correlations(labels, labels).tolist(),
            "probabilities": correlations(p, labels).tolist(),
        },
        "overlays": _overlays(ids, found, twin),
        "twin": None if twin is None else _twin(twin),
    }


def _confusable(bundle: Bundle) -> Vocabulary:
    """The bundle's vocabulary with its confusion sets, which bundles do not carry."""
    try:
        shipped = load_vocabulary(bundle.vocabulary.name)
    except UnknownVocabularyError:
        return bundle.vocabulary
    return shipped if shipped.ids == bundle.vocabulary.ids else bundle.vocabulary


def _mean(values: np.ndarray) -> float:
    """Mean of what is defined; NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _at_thresholds(
    tags_NA: np.ndarray, labels_NA: np.ndarray
) -> tuple[list[float], list[float], list[float]]:
    """Precision, recall and F1 of the tags, each (A,); zero where nothing is tagged."""
    hits = (tags_NA & (labels_NA == 1)).sum(axis=0)
    tagged = (tags_NA & (labels_NA >= 0)).sum(axis=0)
    present = (labels_NA == 1).sum(axis=0)
    precision, recall = hits / np.maximum(tagged, 1), hits / np.maximum(present, 1)
    f1 = 2 * hits / np.maximum(tagged + present, 1)
    return precision.tolist(), recall.tolist(), f1.tolist()


def _reliability(p: np.ndarray, labels: np.ndarray) -> list[dict[str, float]]:
    """Mean probability and share of positives in each bin that holds frames."""
    known = labels >= 0
    p, positive = p[known], labels[known] == 1
    index = np.minimum((p * BINS).astype(int), BINS - 1)
    return [
        {
            "probability": float(p[index == b].mean()),
            "share": float(positive[index == b].mean()),
            "frames": int((index == b).sum()),
        }
        for b in np.unique(index)
    ]


def _by_attribute(ids: Sequence[str], values_KA: np.ndarray) -> dict[str, list[float]]:
    return {attribute: values_KA[:, a].tolist() for a, attribute in enumerate(ids)}


def _means(kinds: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Mean AP of each kind, and over how many attributes."""
    return {
        kind: {
            "mean_ap": _mean(ap),
            "attributes": int((~np.isnan(ap)).sum()),
        }
        for kind, ap in kinds.items()
    }


def _overlays(
    ids: Sequence[str], found: Predictions, twin: Predictions | None
) -> dict[str, dict[str, Any]]:
    """Overlay quality of the bundle's maps, its twin's, and of maps that know nothing."""
    grid = found.maps.shape[-1]
    sources: dict[str, np.ndarray] = {"maps": found.maps}
    if twin is not None:
        sources["plain twin"] = twin.maps
    sources["even"] = even_maps(found.coverage, grid)
    sources["centre"] = centre_maps(len(found.labels), grid)
    named = {
        name: _quality(overlay_quality(maps, found.evidence, found.labels), ids)
        for name, maps in sources.items()
    }
    coverage = found.coverage.astype(np.float32)
    game = pointing_game(found.maps, found.evidence, found.labels, coverage)
    hits = {"maps": game.hits, "even": game.random, "centre": game.centre}
    if twin is not None:
        hits["plain twin"] = pointing_game(twin.maps, found.evidence, found.labels, coverage).hits
    for name, each in hits.items():
        named[name]["pointing"] = _mean(each)
        for a, attribute in enumerate(ids):
            named[name]["attributes"][attribute]["pointing"] = float(each[a])
    return named


def _quality(quality: OverlayQuality, ids: Sequence[str]) -> dict[str, Any]:
    each: dict[str, np.ndarray] = vars(quality)
    return {
        **{name: _mean(values) for name, values in each.items()},
        "attributes": {
            attribute: {name: float(values[a]) for name, values in each.items()}
            for a, attribute in enumerate(ids)
        },
    }


def _twin(twin: Predictions) -> dict[str, Any]:
    ap = average_precisions(twin.probabilities, twin.labels)
    return {"mean_ap": _mean(ap), "ap": ap.tolist()}
