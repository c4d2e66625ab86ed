"""Average precision and its mean, with unknown labels left out and frames weighted."""

import numpy as np


def average_precision(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Area under the step-wise precision-recall curve, as scikit-learn defines it.

    Args:
        scores: (N,) any monotonic score.
        labels: (N,) 1 present, 0 absent, -1 unknown (left out).
        weights: (N,) of each frame; one where not given.

    Returns:
        NaN where no frame is known to be positive, or none to be negative.
    """
    known = labels >= 0
    scores, positive = scores[known], labels[known] == 1
    weight = np.ones(len(scores)) if weights is None else weights[known].astype(float)
    if not positive.any() or positive.all():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(weight[order] * positive[order])
    shown = np.cumsum(weight[order])
    # Equal scores are one step: the curve has a point only where the score changes.
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    precision, recall = hits[last_of_tie] / shown[last_of_tie], hits[last_of_tie] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def average_precisions(
    scores_NA: np.ndarray, labels_NA: np.ndarray, weights_N: np.ndarray | None = None
) -> np.ndarray:
    """Average precision of each attribute, (A,); NaN where it is not defined."""
    return np.array(
        [
            average_precision(scores_NA[:, a], labels_NA[:, a], weights_N)
            for a in range(labels_NA.shape[1])
        ]
    )


def mean_average_precision(scores_NA: np.ndarray, labels_NA: np.ndarray) -> float:
    """Mean over the attributes for which average precision is defined."""
    return float(np.nanmean(average_precisions(scores_NA, labels_NA)))


def base_rate(labels_NA: np.ndarray) -> float:
    """mAP of a random score: the mean share of positives among known labels."""
    positives, known = (labels_NA == 1).sum(axis=0), (labels_NA >= 0).sum(axis=0)
    return float(np.mean(positives / np.maximum(known, 1)))
