"""The gate: is a candidate no worse than production, on the same frames?

A figure is refused where it is worse by more than its tolerance *and* the paired interval over
experiments leaves no doubt that it is worse. On thousands of simulated frames the interval is
narrow and the tolerance decides; on a few real frames the interval decides, and the report says
how few they are. Decision 0017 says where the tolerances come from.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scatterlens_models.evaluation.draws import (
    average_precisions_of,
    calibration_errors_of,
    draw_weights,
)

MEAN_AP_TOLERANCE = 0.01
AP_TOLERANCE = 0.03
MEAN_ECE_TOLERANCE = 0.01
POINTING_TOLERANCE = 0.03
RESAMPLES = 500
INTERVAL = (0.005, 0.995)
"""99 %: twenty attributes are looked at, and one of them must not fail by chance."""
FEW_EXPERIMENTS = 30
DEFINED_DRAWS = 0.95
"""An interval from fewer of the draws is one of those few experiments that define the figure."""


@dataclass(frozen=True, eq=False)
class Paired:
    """What two models say of the same N frames with A attributes."""

    name: str
    """Of the frames."""
    labels: np.ndarray
    """(N, A) int8: 1 present, 0 absent, -1 unknown."""
    experiments: np.ndarray
    """(N,): frames of one number or name resemble one another."""
    candidate: np.ndarray
    """Probabilities (N, A)."""
    production: np.ndarray
    """Probabilities (N, A)."""
    pointing: tuple[float, float] | None = None
    """Share of hits in the pointing game, candidate and production; None without evidence."""


@dataclass(frozen=True)
class Check:
    """One figure of both models on the same frames."""

    frames: str
    figure: str
    """`mean_ap`, `ap`, `mean_ece` or `pointing`."""
    attribute: str | None
    candidate: float | None
    production: float | None
    """None where the frames do not define the figure."""
    loss: float | None
    """How much worse the candidate is; negative where it is better."""
    interval: tuple[float, float] | None
    """Of the loss, 99 % over draws of experiments; None for the pointing game."""
    tolerance: float
    passed: bool
    note: str | None = None


@dataclass(frozen=True)
class Verdict:
    """All checks; the candidate passes if each of them does."""

    candidate: str
    """Version."""
    against: str
    """Version of production."""
    frames: tuple[tuple[str, int, int], ...]
    """Name, number of frames and of experiments."""
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the candidate."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def to_report(self) -> dict[str, Any]:
        """Plain values, as the registry keeps them."""
        return {
            "candidate": self.candidate,
            "against": self.against,
            "passed": self.passed,
            "frames": [
                {"name": name, "frames": count, "experiments": experiments}
                for name, count, experiments in self.frames
            ],
            "checks": [
                {**asdict(check), "interval": check.interval and list(check.interval)}
                for check in self.checks
            ],
        }


def judge(
    candidate: str, against: str, attributes: Sequence[str], measured: Iterable[Paired]
) -> Verdict:
    """Compare two versions by what they say of the same frames.

    Args:
        candidate: version that would be promoted.
        against: version that is production.
        attributes: ids in the order of the columns.
        measured: both models on each set of frames.
    """
    frames, checks = [], []
    for pair in measured:
        experiments = len(np.unique(pair.experiments))
        frames.append((pair.name, len(pair.labels), experiments))
        checks += _checks(pair, attributes, experiments)
    return Verdict(candidate, against, tuple(frames), tuple(checks))


def _checks(pair: Paired, attributes: Sequence[str], experiments: int) -> Iterator[Check]:
    note = None
    if experiments < FEW_EXPERIMENTS:
        note = (
            f"{len(pair.labels)} frames of {experiments} experiments: only a loss that the"
            " interval leaves no doubt about counts"
        )
    # The first row counts every frame once; the others are draws.
    weights = np.vstack([np.ones(len(pair.labels)), draw_weights(pair.experiments, RESAMPLES)])
    ours, theirs = (_figures(p, pair.labels, weights) for p in (pair.candidate, pair.production))
    signs = np.array([-1.0, 1.0, *[-1.0] * len(attributes)])
    losses = signs * (ours - theirs)
    low, high = _interval(losses[1:])
    names = [("mean_ap", None), ("mean_ece", None), *(("ap", a) for a in attributes)]
    limits = [MEAN_AP_TOLERANCE, MEAN_ECE_TOLERANCE, *[AP_TOLERANCE] * len(attributes)]
    for i, ((figure, attribute), tolerance) in enumerate(zip(names, limits, strict=True)):
        loss = float(losses[0, i])
        if attribute is not None and math.isnan(loss):
            continue  # no frame here shows it, or all do
        yield Check(
            pair.name,
            figure,
            attribute,
            _number(ours[0, i]),
            _number(theirs[0, i]),
            _number(loss),
            None if math.isnan(low[i]) else (_round(low[i]), _round(high[i])),
            tolerance,
            # An undefined figure compares as false: what cannot be measured is not refused.
            passed=not (loss > tolerance and low[i] > 0),
            note="too few experiments define it" if math.isnan(low[i]) else note,
        )
    if pair.pointing is not None:
        ours_hit, theirs_hit = pair.pointing
        loss = theirs_hit - ours_hit
        yield Check(
            pair.name,
            "pointing",
            None,
            _number(ours_hit),
            _number(theirs_hit),
            _number(loss),
            None,
            POINTING_TOLERANCE,
            passed=not loss > POINTING_TOLERANCE,
        )


def _figures(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean AP, mean ECE, then AP of each attribute, (D, 2 + A); NaN where not defined."""
    columns = range(labels.shape[1])
    ap = np.stack(
        [average_precisions_of(probabilities[:, a], labels[:, a], weights) for a in columns], 1
    )
    ece = np.stack(
        [calibration_errors_of(probabilities[:, a], labels[:, a], weights) for a in columns], 1
    )
    return np.column_stack([_mean(ap), _mean(ece), ap])


def _mean(values_DA: np.ndarray) -> np.ndarray:
    """Mean over the attributes that are defined in a draw, (D,)."""
    defined = ~np.isnan(values_DA)
    count = defined.sum(axis=1)
    total = np.where(defined, values_DA, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _interval(losses_DF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of each figure, (F,); NaN where too few draws define it."""
    defined = (~np.isnan(losses_DF)).mean(axis=0) >= DEFINED_DRAWS
    found = np.full((2, losses_DF.shape[1]), np.nan)
    found[:, defined] = np.nanquantile(losses_DF[:, defined], INTERVAL, axis=0)
    return found[0], found[1]


def _round(value: float) -> float:
    return round(float(value), 4) + 0.0  # no negative zero


def _number(value: float) -> float | None:
    return None if math.isnan(value) else _round(value)
