"""Per-attribute temperature and threshold, both from a validation split.

Temperature scaling after Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural
Networks", ICML 2017, once for each attribute.
"""

import numpy as np
from scipy.optimize import fminbound

FEWEST_LABELS = 20
"""With fewer labels of either kind, temperature stays 1 and the threshold 0.5."""
BINS = 15
"""Of the expected calibration error."""
LEAST_PRECISION = 0.5
"""A tag is a claim: it should be right more often than wrong."""


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def _enough(positive: np.ndarray) -> bool:
    return min(int(positive.sum()), int((~positive).sum())) >= FEWEST_LABELS


def fit_temperatures(logits_NA: np.ndarray, labels_NA: np.ndarray) -> np.ndarray:
    """Temperature of each attribute, (A,): minimises the negative log-likelihood of logit / T."""
    temperatures = np.ones(labels_NA.shape[1])
    for a in range(labels_NA.shape[1]):
        known = labels_NA[:, a] >= 0
        logits = logits_NA[known, a].astype(float)
        positive = labels_NA[known, a] == 1
        if not _enough(positive):
            continue
        sign = np.where(positive, 1.0, -1.0)

        def loss(
            log_temperature: float, logits: np.ndarray = logits, sign: np.ndarray = sign
        ) -> float:
            return float(np.logaddexp(0, -sign * logits / np.exp(log_temperature)).mean())

        temperatures[a] = np.exp(fminbound(loss, -3, 3))
    return temperatures


def fit_thresholds(probabilities_NA: np.ndarray, labels_NA: np.ndarray) -> np.ndarray:
    """Probability of each attribute above which F1 is largest, (A,).

    Only thresholds are considered above which at least `LEAST_PRECISION` of the frames carry the
    attribute: the best F1 of an attribute that is hardly recognised is reached by tagging nearly
    everything. If there is none, the threshold is 1 and nothing is tagged.
    """
    thresholds = np.full(labels_NA.shape[1], 0.5)
    for a in range(labels_NA.shape[1]):
        known = labels_NA[:, a] >= 0
        scores, positive = probabilities_NA[known, a], labels_NA[known, a] == 1
        if not _enough(positive):
            continue
        order = np.argsort(-scores)
        hits, tagged = np.cumsum(positive[order]), np.arange(1, len(order) + 1)
        f1 = np.where(hits >= LEAST_PRECISION * tagged, 2 * hits / (tagged + positive.sum()), 0.0)
        best = int(np.argmax(f1))
        if f1[best] == 0:
            thresholds[a] = 1.0
            continue
        # Halfway to the next score, so that rounding cannot flip the frame at the edge.
        below = scores[order[best + 1]] if best + 1 < len(order) else 0.0
        thresholds[a] = 0.5 * (scores[order[best]] + below)
    return thresholds


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> float:
    """Mean |share of positives - mean probability| over equal bins, weighted by their frames."""
    known = labels >= 0
    p, positive = probabilities[known], labels[known] == 1
    if not len(p):
        return float("nan")
    index = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [
        abs(positive[index == b].mean() - p[index == b].mean()) * (index == b).mean()
        for b in np.unique(index)
    ]
    return float(np.sum(gaps))
