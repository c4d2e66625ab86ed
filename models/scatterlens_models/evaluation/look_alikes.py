"""What a model takes for what: look-alikes, and attributes that go together.

A model that has learned which attributes go together in the simulator, rather than what they look
like, shows here: its probabilities are more alike than the labels are.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from scatterlens_models.vocabulary import Vocabulary

FEWEST = 10
"""Frames that a row must rest on."""


@dataclass(frozen=True)
class LookAlike:
    """How often an attribute is seen where only one that resembles it is."""

    present: str
    absent: str
    frames: int
    """Frames that have the one and surely not the other."""
    tagged: float
    """Share of them where the absent one is tagged all the same."""
    elsewhere: float
    """The same share over frames that have neither."""


def look_alikes(
    tags_NA: np.ndarray, labels_NA: np.ndarray, vocabulary: Vocabulary
) -> list[LookAlike]:
    """False alarms within each confusion set of a vocabulary, the worst first."""
    found = []
    for members in vocabulary.confusions:
        for one, other in permutations(members, 2):
            absent = labels_NA[:, other] == 0
            with_one = absent & (labels_NA[:, one] == 1)
            without = absent & (labels_NA[:, one] == 0)
            if min(with_one.sum(), without.sum()) < FEWEST:
                continue
            found.append(
                LookAlike(
                    vocabulary.ids[one],
                    vocabulary.ids[other],
                    int(with_one.sum()),
                    float(tags_NA[with_one, other].mean()),
                    float(tags_NA[without, other].mean()),
                )
            )
    return sorted(found, key=lambda row: row.elsewhere - row.tagged)


def correlations(values_NA: np.ndarray, labels_NA: np.ndarray) -> np.ndarray:
    """Pearson correlation of each pair over the frames where both labels are known, (A, A).

    NaN where one of them does not vary. With `values_NA` the labels themselves, this is phi.
    """
    count = labels_NA.shape[1]
    found = np.full((count, count), np.nan)
    for a in range(count):
        for b in range(a, count):
            known = (labels_NA[:, a] >= 0) & (labels_NA[:, b] >= 0)
            x, y = values_NA[known, a].astype(float), values_NA[known, b].astype(float)
            if len(x) > 1 and x.std() > 0 and y.std() > 0:
                found[a, b] = found[b, a] = np.corrcoef(x, y)[0, 1]
    return found
