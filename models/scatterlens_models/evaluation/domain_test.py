"""How well a classifier tells two kinds of frames apart, sources being held out together.

There are few real sources: this is a small-sample method, to be read beside a null.

Shapes: N frames, F statistics, K and L units of the two kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RIDGE = 0.1
"""Added to the variance (1) of each standardised statistic."""
LEAST_VARIANCE = 1e-12
RESAMPLES = 500


class TooFewFramesError(ValueError):
    """Too few simulated frames for a comparison; the message says how many are needed."""


@dataclass(frozen=True, eq=False)
class Kind:
    """Frames of one kind, in units that are held out together."""

    features: np.ndarray
    """(N, F) statistics."""
    unit: np.ndarray
    """(N,) 0 to K - 1: the real source, or the block of simulated experiments. Units count alike,
    and so do the frames of one."""


def real_kind(features_NF: np.ndarray, sources: Sequence[str]) -> Kind:
    """Each source is a unit."""
    return Kind(features_NF, np.unique(sources, return_inverse=True)[1])


def simulated_kind(features_NF: np.ndarray, experiments: Sequence[str], count: int) -> Kind:
    """Split experiments into `count` units; one experiment lies in one unit only."""
    names, experiment = np.unique(experiments, return_inverse=True)
    if len(names) < count:
        raise TooFewFramesError(
            f"{len(names)} simulated experiments cannot be split into {count} parts, one for each "
            f"real source: simulate {count} frames at least"
        )
    return Kind(features_NF, experiment % count)


def area_under_roc(
    higher: np.ndarray, lower: np.ndarray, weights_N: np.ndarray, weights_M: np.ndarray
) -> float:
    """Weighted share of pairs in which `higher` (N,) exceeds `lower` (M,); ties count half."""
    above = (higher[:, None] > lower) + 0.5 * (higher[:, None] == lower)
    return float(weights_N @ above @ weights_M / (weights_N.sum() * weights_M.sum()))


def domain_test(first: Kind, second: Kind, seed: int = 0) -> tuple[float, tuple[float, float]]:
    """How well a classifier tells two kinds apart: AUC of held-out scores, and 90 % interval.

    The interval is 1.645 standard errors to each side. They come from drawing units anew and
    fitting all models again, copies of a unit always being held out together: with the fitted
    models kept, intervals came out narrower than the spread of repeated draws, by up to a third.
    """
    ones = np.ones(int(first.unit.max()) + 1)
    moments = _moments(first), _moments(second)
    area = _held_out_area(first, second, moments, ones, ones)
    rng = np.random.default_rng(seed)
    redrawn = [
        _held_out_area(first, second, moments, _redraw(rng, len(ones)), _redraw(rng, len(ones)))
        for _ in range(RESAMPLES)
    ]
    reach = 1.645 * float(np.std(redrawn))
    return area, (max(area - reach, 0.0), min(area + reach, 1.0))


def fold_models(
    first: Kind, second: Kind, times_K: np.ndarray, times_L: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge linear discriminants: directions (K, F) and middle points (K, F).

    Model k is fitted without unit k of either kind; `times` says how often each unit was drawn.
    """
    return _fold_models((_moments(first), _moments(second)), times_K, times_L)


_Moments = tuple[np.ndarray, np.ndarray]


def _moments(kind: Kind) -> _Moments:
    """Mean (K, F) and second moment (K, F, F) of each unit."""
    members = [kind.features[kind.unit == k] for k in range(int(kind.unit.max()) + 1)]
    return np.stack([m.mean(0) for m in members]), np.stack([m.T @ m / len(m) for m in members])


def _fold_models(
    moments: tuple[_Moments, _Moments], times_K: np.ndarray, times_L: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    others = 1 - np.eye(len(times_K))
    (mean, scatter), (other_mean, other_scatter) = (
        _training_moments(*kind, times * others)
        for kind, times in zip(moments, (times_K, times_L), strict=True)
    )
    within, apart = 0.5 * (scatter + other_scatter), mean - other_mean
    variance = np.diagonal(within, axis1=1, axis2=2) + 0.25 * apart**2
    # Each statistic is standardised by the ridge's being relative to its variance.
    ridge = RIDGE * np.maximum(variance, LEAST_VARIANCE)[:, None] * np.eye(mean.shape[1])
    directions = np.linalg.solve(within + ridge, apart[..., None])[..., 0]
    return directions, 0.5 * (mean + other_mean)


def _training_moments(mean: np.ndarray, second: np.ndarray, weights_KK: np.ndarray) -> _Moments:
    """Mean (K, F) and covariance (K, F, F) of what each fold trains on."""
    share = weights_KK / weights_KK.sum(1, keepdims=True)
    centre = share @ mean
    return centre, np.tensordot(share, second, 1) - centre[:, :, None] * centre[:, None]


def _held_out_area(
    first: Kind,
    second: Kind,
    moments: tuple[_Moments, _Moments],
    times_K: np.ndarray,
    times_L: np.ndarray,
) -> float:
    directions, middles = _fold_models(moments, times_K, times_L)
    scores, weights = [], []
    for kind, times in ((first, times_K), (second, times_L)):
        centred = kind.features - middles[kind.unit]
        scores.append((centred * directions[kind.unit]).sum(1))
        weights.append((times / np.bincount(kind.unit))[kind.unit])
    return area_under_roc(scores[0], scores[1], weights[0], weights[1])


def _redraw(rng: np.random.Generator, units: int) -> np.ndarray:
    """How often each unit is drawn (K,); two at least, so that one can be left out."""
    while True:
        times = rng.multinomial(units, np.full(units, 1 / units)).astype(float)
        if np.count_nonzero(times) > 1:
            return times
