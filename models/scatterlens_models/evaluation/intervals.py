"""How sure a figure is: intervals from drawing whole experiments anew.

Frames of one experiment share an instrument and resemble one another, so frames drawn one by one
would make every figure look surer than it is (Efron & Tibshirani 1993, chapter 8).
"""

from collections.abc import Callable

import numpy as np

RESAMPLES = 300
INTERVAL = (0.05, 0.95)
"""Quantiles of the 90 % interval."""


def drawn_rows(clusters_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of as many clusters as there are, each drawn with replacement."""
    names, inverse = np.unique(clusters_N, return_inverse=True)
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    return np.concatenate([members[i] for i in rng.integers(len(names), size=len(names))])


def cluster_interval(
    figure: Callable[[np.ndarray], np.ndarray],
    clusters_N: np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """90 % interval of a figure over draws of clusters; NaN where no draw defines it.

    Args:
        figure: from rows to values of any shape, NaN where undefined.
        clusters_N: cluster of each row.
        resamples: number of draws.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    values = np.stack([figure(drawn_rows(clusters_N, rng)) for _ in range(resamples)])
    defined = ~np.isnan(values).all(axis=0)
    found = np.full((2, *values.shape[1:]), np.nan)
    found[:, defined] = np.nanquantile(values[:, defined], INTERVAL, axis=0)
    return found[0], found[1]
