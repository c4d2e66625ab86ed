"""Where a model is good: average precision by detectability, detector and exposure.

Of a stratum only the positives are chosen by detectability; all known negatives stay, so that its
figure says how such positives are told from everything else.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from scatterlens_models.metrics import average_precisions

HARD = 40.0
"""Positives below this detectability d' form the hard stratum."""
DPRIME_EDGES = (12.0, 20.0, 40.0, 80.0, 160.0, np.inf)
"""From where a label is sure (d' 12) over the hard stratum (below 40) to what nobody can miss."""
FEWEST = 10
"""Positives and negatives that an average precision needs to be worth saying."""


def ap_by_dprime(scores_NA: np.ndarray, labels_NA: np.ndarray, dprime_NA: np.ndarray) -> np.ndarray:
    """AP of the positives between neighbouring `DPRIME_EDGES`, (bins, A); NaN where too few."""
    found = []
    for low, high in pairwise(DPRIME_EDGES):
        outside = (labels_NA == 1) & ((dprime_NA < low) | (dprime_NA >= high))
        found.append(_enough(scores_NA, np.where(outside, -1, labels_NA)))
    return np.stack(found)


def ap_by_kind(
    scores_NA: np.ndarray, labels_NA: np.ndarray, kinds_N: np.ndarray
) -> dict[str, np.ndarray]:
    """AP (A,) of the frames of each kind (a detector, say), by its name."""
    return {
        str(kind): _enough(scores_NA[kinds_N == kind], labels_NA[kinds_N == kind])
        for kind in np.unique(kinds_N)
    }


def thirds(values_N: np.ndarray, names: Sequence[str] = ("low", "middle", "high")) -> np.ndarray:
    """Name of the part of equal size that each value belongs to, (N,)."""
    edges = np.quantile(values_N, np.linspace(0, 1, len(names) + 1)[1:-1])
    return np.array(names)[np.searchsorted(edges, values_N, side="right")]


def _enough(scores_NA: np.ndarray, labels_NA: np.ndarray) -> np.ndarray:
    found = average_precisions(scores_NA, labels_NA)
    few = np.minimum((labels_NA == 1).sum(axis=0), (labels_NA == 0).sum(axis=0)) < FEWEST
    return np.where(few, np.nan, found)
