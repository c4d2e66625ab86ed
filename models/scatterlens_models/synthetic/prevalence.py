"""How often each attribute is there, and which go together.

Shapes: N frames, A attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scatterlens_models.synthetic.detectability import RULES

RARE, COMMON = 0.06, 0.60
"""Share of frames in which an attribute should at least and at most be present."""


@dataclass(frozen=True, eq=False)
class Prevalence:
    """How often each attribute is there, as shares of all frames."""

    present: np.ndarray
    """(A,)"""
    unsure: np.ndarray
    """(A,)"""
    hard: np.ndarray
    """(A,) share of the present ones that are hard to see; 0 where there are none."""
    together: np.ndarray
    """(A, A) P(column present | row present); 0 in the row of what is never present."""


def prevalence(labels: np.ndarray, dprime: np.ndarray) -> Prevalence:
    """Count labels (N, A) of which `dprime` (N, A) says how visible they are."""
    positive = (labels == 1).astype(float)
    count = np.maximum(positive.sum(0), 1)
    hard = positive * (dprime < RULES["detectability"]["hard"])
    return Prevalence(
        present=positive.mean(0),
        unsure=(labels == -1).mean(0),
        hard=hard.sum(0) / count,
        together=positive.T @ positive / count[:, None],
    )


class Implication(NamedTuple):
    """What is true of `consequence` where `premise` is present."""

    premise: str
    consequence: str
    frames: int
    """With the premise."""
    present: float
    unsure: float
    absent: float
    present_without: float
    """Share of frames without the premise that have the consequence all the same."""
    must_hold: bool
    """True where a frame with the premise and surely without the consequence is an error."""


_ORIENTATIONS = tuple(f"orientation_{kind}" for kind in ("sharp", "intermediate", "broad"))
_WIDTHS = tuple(f"width_{kind}" for kind in ("sharp", "intermediate", "broad"))
_MUST_HOLD = (
    ("symmetry_ring", "ring"),
    ("symmetry_ring", "anisotropic"),
    ("symmetry_halo", "halo"),
    *((name, "symmetry_ring") for name in _ORIENTATIONS),
    *((name, "ring") for name in _WIDTHS),
)
_EXPECTED = (("spotted", "higher_orders"), ("ring", "diffuse_low_q"))


def implications(labels: np.ndarray, ids: Sequence[str]) -> list[Implication]:
    """Check which attributes (N, A) go together as they must, those that a vocabulary has."""
    found: list[Implication] = []
    for pair in (*_MUST_HOLD, *_EXPECTED):
        if not set(pair) <= set(ids):
            continue
        premise, consequence = (labels[:, ids.index(name)] for name in pair)
        given, otherwise = consequence[premise == 1], consequence[premise == 0]
        found.append(
            Implication(
                *pair,
                frames=len(given),
                present=_share(given == 1),
                unsure=_share(given == -1),
                absent=_share(given == 0),
                present_without=_share(otherwise == 1),
                must_hold=pair in _MUST_HOLD,
            )
        )
    return found


def _share(true: np.ndarray) -> float:
    return float(true.mean()) if true.size else 0.0
