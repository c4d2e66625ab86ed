"""Whether a new head is better than the one there is, as far as a few labelled frames can tell.

The own head never saw the labelled frames; a new one is judged by what it says of each frame when
it was held out. A higher figure on few frames is mostly luck, so the new head must win on nearly
all draws of the frames.
"""

from dataclasses import dataclass

import numpy as np

from scatterlens_models.metrics import average_precision
from scatterlens_models.training.heads import Head, KeptHead

DRAWS = 500
NEARLY_ALL = 0.95
"""Share of draws that a new head must win."""


@dataclass(frozen=True)
class Comparison:
    """Average precision on the labelled frames."""

    own: float
    new: float
    wins: float
    """Share of draws of the frames on which the new head is better."""


def compare(
    own_N: np.ndarray, new_N: np.ndarray, positive: np.ndarray, rng: np.random.Generator
) -> Comparison:
    """Compare two scores of the same frames; present and absent ones are drawn apart."""
    labels = positive.astype(np.int8)
    present, absent = np.flatnonzero(positive), np.flatnonzero(~positive)
    won = 0
    for _ in range(DRAWS):
        drawn = np.concatenate([rng.choice(kind, len(kind)) for kind in (present, absent)])
        own, new = (average_precision(scores[drawn], labels[drawn]) for scores in (own_N, new_N))
        won += new > own
    return Comparison(
        average_precision(own_N, labels), average_precision(new_N, labels), won / DRAWS
    )


def better(head: Head, own_N: np.ndarray, labels_N: np.ndarray, rng: np.random.Generator) -> Head:
    """The head, or the base's own where the new one does not win on nearly all draws.

    Args:
        head: fitted to these frames.
        own_N: probabilities by the base.
        labels_N: 1 present, 0 absent, -1 unknown.
        rng: of the draws.
    """
    if isinstance(head, KeptHead):
        return head
    known = labels_N >= 0
    found = compare(own_N[known], head.held_out, labels_N[known] == 1, rng)
    if found.wins >= NEARLY_ALL:
        return head
    return KeptHead(
        f"average precision {found.own:.3f} on the labelled frames; a new head has {found.new:.3f}"
        f" on those it did not see, and is better on {100 * found.wins:.0f} % of draws of them"
    )
