"""The figure on real frames: average precision with an interval over sources.

Frames of one source resemble one another, so each counts 1 / (usable frames
of its source), and the interval comes from drawing sources anew.
"""

import numpy as np

from scatterlens_models.datasets.real_frames import RealFrame, read_rules
from scatterlens_models.metrics import average_precision
from scatterlens_models.vocabulary import Vocabulary

RESAMPLES = 2000


def source_weights(sources: list[str]) -> np.ndarray:
    """1 / (frames of the same source), (N,)."""
    names, counts = np.unique(sources, return_counts=True)
    count = dict(zip(names.tolist(), counts.tolist(), strict=True))
    return np.array([1 / count[source] for source in sources])


def _precisions(
    frames: list[RealFrame], probabilities_NA: np.ndarray, vocabulary: Vocabulary, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """AP of the R reported attributes (R,), and of sources drawn anew (up to RESAMPLES, R)."""
    keep = np.array([frame.usable for frame in frames])
    labels = np.stack([frame.labels for frame in frames])[keep]
    sources = [frame.source for frame in frames if frame.usable]
    scores, weights = probabilities_NA[keep], source_weights(sources)
    members = [np.flatnonzero(np.array(sources) == name) for name in sorted(set(sources))]
    rng = np.random.default_rng(seed)
    draws = [
        np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        for _ in range(RESAMPLES)
    ]
    columns = [vocabulary.index(a) for a in read_rules()["reported"]["average_precision"]]

    def figure(rows: np.ndarray) -> np.ndarray:
        return np.array(
            [average_precision(scores[rows, a], labels[rows, a], weights[rows]) for a in columns]
        )

    drawn = np.stack([figure(rows) for rows in draws])
    # Few sources: a draw may hold nothing that any of the attributes can be judged on.
    return figure(np.arange(len(labels))), drawn[~np.isnan(drawn).all(axis=1)]


def real_difference(
    frames: list[RealFrame],
    first_NA: np.ndarray,
    second_NA: np.ndarray,
    vocabulary: Vocabulary,
    seed: int = 0,
) -> tuple[float, tuple[float, float]]:
    """Mean AP of the first probabilities less that of the second, and its 90 % interval.

    Both are measured on the same draws of sources, so what makes a source hard for both cancels.
    """
    (first, first_drawn), (second, second_drawn) = (
        _precisions(frames, scores, vocabulary, seed) for scores in (first_NA, second_NA)
    )
    drawn = np.nanmean(first_drawn, axis=1) - np.nanmean(second_drawn, axis=1)
    low, high = np.quantile(drawn, [0.05, 0.95])
    return float(np.nanmean(first) - np.nanmean(second)), (float(low), float(high))


def real_figure(
    frames: list[RealFrame],
    probabilities_NA: np.ndarray,
    tags_NA: np.ndarray,
    vocabulary: Vocabulary,
    seed: int = 0,
) -> dict:
    """AP of the reported attributes with 90 % intervals; hits and false alarms of the others."""
    reported = read_rules()["reported"]["average_precision"]
    found, resampled = _precisions(frames, probabilities_NA, vocabulary, seed)
    keep = np.array([frame.usable for frame in frames])
    labels = np.stack([frame.labels for frame in frames])[keep]
    sources = [frame.source for frame in frames if frame.usable]
    tags, weights = tags_NA[keep], source_weights(sources)
    means = np.nanmean(resampled, axis=1)
    low, high = np.nanquantile(resampled, [0.05, 0.95], axis=0)
    positives = [int((labels[:, vocabulary.index(a)] == 1).sum()) for a in reported]
    known = [labels[:, vocabulary.index(a)] >= 0 for a in reported]
    chance = [
        float(np.average(labels[k, vocabulary.index(a)] == 1, weights=weights[k]))
        for a, k in zip(reported, known, strict=True)
    ]
    return {
        "frames": int(keep.sum()),
        "sources": len(set(sources)),
        "mean_ap": round(float(np.nanmean(found)), 4),
        "mean_ap_interval": [round(float(q), 4) for q in np.quantile(means, [0.05, 0.95])],
        "chance": round(float(np.mean(chance)), 4),
        "attributes": {
            a: {
                "ap": round(float(found[i]), 4),
                "interval": [round(float(low[i]), 4), round(float(high[i]), 4)],
                "chance": round(chance[i], 4),
                "positives": positives[i],
            }
            for i, a in enumerate(reported)
        },
        "others": {
            a: {
                "positives": int((labels[:, i] == 1).sum()),
                "hits": int(((labels[:, i] == 1) & tags[:, i]).sum()),
                "negatives": int((labels[:, i] == 0).sum()),
                "false_alarms": int(((labels[:, i] == 0) & tags[:, i]).sum()),
            }
            for i, a in enumerate(vocabulary.ids)
            if a not in reported and (labels[:, i] >= 0).any()
        },
    }
