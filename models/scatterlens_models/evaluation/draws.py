"""Figures over many draws of experiments at once.

Drawing experiments anew (`intervals.py`) means that each frame counts as often as its experiment
was drawn. Kept as weights, the frames are sorted once for all draws.
"""

import numpy as np

from scatterlens_models.evaluation.calibration import BINS


def draw_weights(clusters_N: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """How often each frame counts in each draw of whole clusters, (draws, N)."""
    names, inverse = np.unique(clusters_N, return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return counts[:, inverse].astype(float)


def average_precisions_of(
    scores_N: np.ndarray, labels_N: np.ndarray, weights_DN: np.ndarray
) -> np.ndarray:
    """Average precision in each draw, (D,), as `average_precision` defines it; NaN likewise."""
    known = labels_N >= 0
    order = np.argsort(-scores_N[known], kind="stable")
    scores, positive = scores_N[known][order], labels_N[known][order] == 1
    weights = weights_DN[:, known][:, order]
    hits, shown = np.cumsum(weights * positive, axis=1), np.cumsum(weights, axis=1)
    found = np.full(len(weights), np.nan)
    if not len(scores):
        return found
    # Equal scores are one step: the curve has a point only where the score changes.
    last_of_tie = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    hits, shown = hits[:, last_of_tie], shown[:, last_of_tie]
    gained = np.diff(hits, axis=1, prepend=0.0)
    defined = (hits[:, -1] > 0) & (hits[:, -1] < shown[:, -1])
    areas = (gained * hits / np.maximum(shown, 1e-12)).sum(axis=1)
    found[defined] = areas[defined] / hits[defined, -1]
    return found


def calibration_errors_of(
    probabilities_N: np.ndarray, labels_N: np.ndarray, weights_DN: np.ndarray
) -> np.ndarray:
    """Expected calibration error in each draw, (D,); NaN where a draw has no known label."""
    known = labels_N >= 0
    p, positive = probabilities_N[known].astype(float), labels_N[known] == 1
    in_bin = np.eye(BINS)[np.minimum((p * BINS).astype(int), BINS - 1)]
    gaps = weights_DN[:, known] @ (in_bin * (positive - p)[:, np.newaxis])
    total = weights_DN[:, known].sum(axis=1)
    found = np.full(len(total), np.nan)
    found[total > 0] = np.abs(gaps[total > 0]).sum(axis=1) / total[total > 0]
    return found
