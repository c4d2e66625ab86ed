"""Which rows may be said to differ: those further apart than two deviations over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

DEVIATIONS = 2.0
"""A difference of means must exceed this many standard deviations to be claimed."""


@dataclass(frozen=True)
class Claim:
    """One row is above another."""

    above: str
    below: str
    difference: float
    """Of the means."""
    deviation: float
    """The standard deviation over seeds that it was held against."""


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and standard deviation over seeds (n - 1); the latter NaN for a single seed."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return float(np.mean(values)), deviation


def pooled_deviation(values: Mapping[str, Sequence[float]]) -> float:
    """Standard deviation within rows, of all rows together; NaN where none has two seeds."""
    repeated = [v for v in values.values() if len(v) > 1]
    if not repeated:
        return float("nan")
    squares = sum(float(np.sum((np.asarray(v) - np.mean(v)) ** 2)) for v in repeated)
    return float(np.sqrt(squares / sum(len(v) - 1 for v in repeated)))


def claims(values: Mapping[str, Sequence[float]]) -> list[Claim]:
    """Every pair of rows that may be ordered, in the order of the rows.

    The deviation is the largest of three: that of either row, and that of all rows pooled. Two or
    three seeds of one row may lie close together by luck; those of all rows hardly do. A row
    with one seed is in no order at all.
    """
    pooled, found = pooled_deviation(values), []
    repeated = {row: mean_and_deviation(v) for row, v in values.items() if len(v) > 1}
    for (a, (mean_a, own_a)), (b, (mean_b, own_b)) in combinations(repeated.items(), 2):
        deviation, difference = max(pooled, own_a, own_b), abs(mean_a - mean_b)
        if difference > DEVIATIONS * deviation:
            above, below = (a, b) if mean_a > mean_b else (b, a)
            found.append(Claim(above, below, difference, deviation))
    return found
