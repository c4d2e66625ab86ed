"""Whether nuisances give the labels away.

Nobody should be able to tell what a sample is from the detector, the beamstop, the exposure or the
mask alone. Two measures say how far that holds: the mutual information of each label with each
nuisance, and a linear probe that sees nothing but the mask.

Shapes: N frames, A attributes, F features.
"""

import multiprocessing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit

from scatterlens_models.metrics import average_precisions, base_rate
from scatterlens_models.synthetic.detectability import judge
from scatterlens_models.synthetic.labels import label
from scatterlens_models.synthetic.render import render
from scatterlens_models.synthetic.sampling import GROUP_SIZE, sample
from scatterlens_models.vocabulary import load_vocabulary

LEAKAGE_BAR = 0.01
"""Nat that a nuisance may tell of a label."""
SHUFFLES = 50
NUISANCES = ("detector", "stop", "exposure")
_EXPOSURE_BINS = 8
_MASK_CELLS = 16
_RIDGES = (30.0, 300.0, 3_000.0, 30_000.0)
_TRAINING_SHARE = 0.8


# A survey: one frame of each of many experiments


@dataclass(frozen=True, eq=False)
class Survey:
    """Labels and nuisances of frames that share no instrument."""

    ids: tuple[str, ...]
    labels: np.ndarray
    """(N, A) int8: 1 present, 0 absent, -1 unsure."""
    detector: np.ndarray
    """(N,) name."""
    stop: np.ndarray
    """(N,) kind of beamstop."""
    flat: np.ndarray
    """(N,) flat background, counts per native pixel."""
    technique: np.ndarray
    """(N,) name."""
    on_image: np.ndarray
    """(N,) bool, whether the direct beam meets the part that is read out."""
    dark: np.ndarray
    """(N,) bool, whether there is no beam at all."""
    masks: np.ndarray
    """(N, F) live coverage in 16 x 16 cells, and the share of dead pixels."""

    def nuisance(self, name: str) -> np.ndarray:
        """Values (N,) of one of `NUISANCES`, the exposure in bins of equally many frames."""
        return (
            quantile_bins(self.flat, _EXPOSURE_BINS) if name == "exposure" else getattr(self, name)
        )

    @property
    def strata(self) -> np.ndarray:
        """Number (N,) of the group of frames with like visibility; see `mutual_information`."""
        _, technique = np.unique(self.technique, return_inverse=True)
        return technique + 100 * self.on_image + 1000 * self.dark


class Surveyed(NamedTuple):
    """One frame of a survey, in the order of the arrays of `Survey`."""

    labels: np.ndarray
    detector: str
    stop: str
    flat: float
    technique: str
    on_image: bool
    dark: bool
    masks: np.ndarray


def survey(
    seed: int, start: int, frames: int, jobs: int = 1, vocabulary: str = "aam20"
) -> Iterator[Surveyed]:
    """Draw and label one frame of each experiment from index `start` on, without any noise.

    Frames of one experiment share the instrument: 5,000 frames in a row would hold a hundred
    instruments only, far too few to tell chance from leakage.
    """
    indices = range(start, start + frames * GROUP_SIZE, GROUP_SIZE)
    look = partial(_look, seed, vocabulary)
    if jobs == 1:
        yield from map(look, indices)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, torch.set_num_threads, (1,)) as pool:
        yield from pool.imap(look, indices, chunksize=16)


def _look(seed: int, vocabulary: str, index: int) -> Surveyed:
    scene = sample(seed, index)
    rendered = render(scene)
    labelled = label(scene, judge(scene, rendered), rendered, load_vocabulary(vocabulary))
    instrument = scene.instrument
    y, x = instrument.beam_yx
    rows, cols = instrument.crop[2:]
    return Surveyed(
        labels=labelled.labels,
        detector=instrument.detector,
        stop=instrument.stop,
        flat=scene.background.flat,
        technique=instrument.technique,
        on_image=0 <= y < rows and 0 <= x < cols,
        dark=scene.dark,
        masks=_mask_features(rendered.maps.coverage, scene.dead_share),
    )


def _mask_features(coverage: np.ndarray, dead_share: float) -> np.ndarray:
    cell = coverage.shape[0] // _MASK_CELLS
    cells = coverage.reshape(_MASK_CELLS, cell, _MASK_CELLS, cell).mean((1, 3))
    return np.append(cells.ravel(), dead_share).astype(np.float32)


def gather(frames: Iterable[Surveyed], vocabulary: str = "aam20") -> Survey:
    """Put the frames of a survey together."""
    columns = zip(*frames, strict=True)
    return Survey(load_vocabulary(vocabulary).ids, *(np.array(column) for column in columns))


# Mutual information


class Information(NamedTuple):
    """What a nuisance tells of a label, nat."""

    raw: float
    corrected: float
    """Less what as many frames would show by chance; may fall below 0."""


class Leak(NamedTuple):
    """What one nuisance tells of one label, in all frames and in the mean over the strata."""

    attribute: str
    overall: Information
    within: Information

    @property
    def figures(self) -> tuple[float, float, float]:
        """Raw, corrected, and corrected within the strata."""
        return self.overall.raw, self.overall.corrected, self.within.corrected


def quantile_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """Number of the bin (N,) of each value, the bins holding equally many."""
    edges = np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, values, side="right")


def mutual_information(
    labels: np.ndarray,
    values: np.ndarray,
    strata: np.ndarray | None = None,
    shuffles: int = SHUFFLES,
) -> Information:
    """Mutual information of labels (N,) and a nuisance (N,), unsure labels left out.

    With strata (N,) it is the mean over them, weighed by their known labels. A label depends on
    the instrument through what can be seen, too, and rightly so: without the beam on the image
    there is no stop, and rings show as short arcs only; at grazing incidence stops are bars and
    films take the place of powders; without beam there is nothing to label and hardly any
    exposure. Among frames that are alike in this nothing of the kind is left, and what remains was
    drawn together that should have been drawn apart.

    The correction takes off the mean of what the same values show when they are shuffled (within
    the strata): Miller and Madow's, which counts the occupied cells, takes off too little where
    labels are rare and strata small.
    """
    known = labels >= 0
    if not known.any():
        return Information(0.0, 0.0)
    groups = np.zeros(len(labels)) if strata is None else strata
    _, group = np.unique(groups[known], return_inverse=True)
    _, value = np.unique(values[known], return_inverse=True)
    truth = labels[known].astype(np.intp)
    raw = _information(truth, value, group)
    rng = np.random.default_rng(0)
    place = np.argsort(group, kind="stable")
    chance = []
    for _ in range(shuffles):
        shuffled = np.empty_like(value)
        shuffled[place] = value[np.lexsort((rng.random(len(value)), group))]
        chance.append(_information(truth, shuffled, group))
    return Information(raw, raw - float(np.mean(chance)) if chance else raw)


def _information(truth: np.ndarray, value: np.ndarray, group: np.ndarray) -> float:
    """Conditional mutual information of numbers (N,) from 0 on, nat."""
    shape = (int(group.max()) + 1, int(value.max()) + 1, 2)
    cells = np.ravel_multi_index((group, value, truth), shape)
    table = np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape)
    expected = table.sum(2, keepdims=True) * table.sum(1, keepdims=True)
    expected = expected / np.maximum(table.sum((1, 2), keepdims=True), 1)
    filled = table > 0
    return float(np.sum(table[filled] * np.log(table[filled] / expected[filled])) / len(truth))


def leaks(seen: Survey, nuisance: str, shuffles: int = SHUFFLES) -> list[Leak]:
    """What one of `NUISANCES` tells of each label."""
    values, strata = seen.nuisance(nuisance), seen.strata
    return [
        Leak(
            name,
            mutual_information(column, values, shuffles=shuffles),
            mutual_information(column, values, strata, shuffles),
        )
        for name, column in zip(seen.ids, seen.labels.T, strict=True)
    ]


# The probe that sees the mask alone


@dataclass(frozen=True)
class Probe:
    """How well the masks alone tell the labels."""

    frames: int
    """On which it was tested."""
    mean_ap: float
    base_rate: float
    chance: float
    """Mean AP of a random order: a little above the base rate in few frames."""
    low: float
    """2.5 % and 97.5 % of the mean AP less chance, over resampled test frames."""
    high: float

    @property
    def leaks(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low > 0


class TooFewFramesError(ValueError):
    """Too few frames to train and test a probe; the message says how many are needed."""


def mask_probe(
    masks: np.ndarray, labels: np.ndarray, resamples: int = 500, fewest: int = 40
) -> Probe:
    """Train a linear probe on the first 80 % of the frames (N, F) and test it on the others.

    Args:
        masks: (N, F) what the probe sees.
        labels: (N, A) int8, -1 left out.
        resamples: draws of test frames for the interval.
        fewest: frames below which nothing can be said.

    Raises:
        TooFewFramesError: there are fewer frames than that.
    """
    if len(masks) < fewest:
        raise TooFewFramesError(
            f"{len(masks)} frames are too few for a probe; give it {fewest} or more"
        )
    cut = int(_TRAINING_SHARE * len(masks))
    spread = masks[:cut].std(0)
    scaled = (masks - masks[:cut].mean(0)) / np.where(spread > 1e-9, spread, 1.0)
    features = np.column_stack([scaled, np.ones(len(masks))])
    ridge = _choose_ridge(features[:cut], labels[:cut])
    scores = features[cut:] @ fit_logistic(features[:cut], labels[:cut], ridge)
    tested = labels[cut:]
    mean_ap, chance = _mean_and_chance(scores, tested, None)
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(resamples):
        weights = np.bincount(rng.integers(0, len(tested), len(tested)), minlength=len(tested))
        differences.append(np.subtract(*_mean_and_chance(scores, tested, weights)))
    # A frame drawn twice is tied with itself, which lifts AP in every resample by about as much:
    # the spread of the resamples is of use, their middle is not.
    low, high = np.quantile(differences, [0.025, 0.975]) - np.mean(differences)
    middle = mean_ap - chance
    return Probe(
        frames=len(tested),
        mean_ap=mean_ap,
        base_rate=base_rate(tested),
        chance=chance,
        low=float(middle + low),
        high=float(middle + high),
    )


def fit_logistic(features: np.ndarray, labels: np.ndarray, ridge: float) -> np.ndarray:
    """Weights (F, A) of logistic regressions on (N, F), unsure labels left out.

    The last feature is the constant, of which the penalty ridge / 2 |w|^2 makes an exception.
    """
    shape = (features.shape[1], labels.shape[1])
    penalty = np.full((shape[0], 1), ridge)
    penalty[-1] = 1e-2  # keeps the offset of what is never present from running away
    known, positive = labels >= 0, labels == 1

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        score = features @ weights
        cost = np.logaddexp(0, score) - positive * score
        slope = features.T @ (known * (expit(score) - positive)) + penalty * weights
        return float((cost * known).sum() + 0.5 * (penalty * weights**2).sum()), slope.ravel()

    options = {"maxiter": 300, "maxfun": 400, "ftol": 1e-10, "gtol": 1e-4}
    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(shape)


def _choose_ridge(features: np.ndarray, labels: np.ndarray) -> float:
    """The penalty that serves best on the last quarter when trained on the others."""
    cut = len(features) * 3 // 4

    def served(ridge: float) -> float:
        scores = features[cut:] @ fit_logistic(features[:cut], labels[:cut], ridge)
        return _mean_and_chance(scores, labels[cut:], None)[0]

    return max(_RIDGES, key=served)


def _mean_and_chance(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None
) -> tuple[float, float]:
    """Mean AP and mean chance AP, over the attributes that have both."""
    if weights is not None:
        drawn = weights > 0
        scores, labels, weights = scores[drawn], labels[drawn], weights[drawn]
    aps = average_precisions(scores, labels, weights)
    defined = ~np.isnan(aps)
    if not defined.any():
        return 0.0, 0.0
    count = np.ones(len(labels)) if weights is None else weights
    positives, known = count @ (labels == 1), count @ (labels >= 0)
    chances = [chance_ap(m, n) for m, n in zip(positives[defined], known[defined], strict=True)]
    return float(aps[defined].mean()), float(np.mean(chances))


def chance_ap(positives: float, frames: float) -> float:
    """Expected AP of a random order (Bestgen 2015): exact, and above the base rate."""
    harmonic = float(np.sum(1 / np.arange(1, int(frames) + 1)))
    return ((positives - 1) * (frames - harmonic) / (frames - 1) + harmonic) / frames
