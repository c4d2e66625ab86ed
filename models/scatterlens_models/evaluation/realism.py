"""How the simulator's frames differ from real ones: a picture, statistics and a domain test.

All is measured on prepared frames (2, S, S), as the network takes them. Frames of one real source
are near-duplicates, so each counts 1 / (frames of its source), and intervals come from drawing
sources anew. There are few sources: the domain test is a small-sample method, to be read beside
its null (simulated against simulated), and has no bar.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from scatterlens_models.decoding import DecodeChild, FrameRejected
from scatterlens_models.evaluation.real import RealFrame, read_real, source_weights
from scatterlens_models.preprocess import (
    COMPRESSED_CEILING,
    LOG_RANGE,
    MINIMUM_COVERAGE,
    PreprocessSpec,
    prepare,
)
from scatterlens_models.synthetic.dataset import simulate
from scatterlens_models.synthetic.geometry import PREPARED_SIDE
from scatterlens_models.synthetic.sampling import GROUP_SIZE
from scatterlens_models.vocabulary import load_vocabulary

FIRST_INDEX = 3_000_000
"""Simulated frames from here on belong to no split."""
FIRST_NULL_INDEX = 3_500_000
POWER_BANDS = ((1, 4), (4, 16), (16, 64), (64, 128))
"""Radial bands of the power spectrum, cycles per frame side."""
POWER_FLOOR = 1e-8
LEAST_ZERO_SHARE = 1e-3
"""Zero shares below one per mille count as one per mille where they are compared."""
RIDGE = 0.1
"""Added to the variance (1) of each standardised statistic."""
LEAST_VARIANCE = 1e-12
RESAMPLES = 500


class NoRealFramesError(ValueError):
    """The folder holds no real frames that can be compared; the message says what is absent."""


class TooFewFramesError(ValueError):
    """Too few simulated frames for a comparison; the message says how many are needed."""


@dataclass(frozen=True, eq=False)
class Example:
    """One prepared frame and where it comes from."""

    prepared: np.ndarray
    """(2, S, S) float32: compressed counts and coverage."""
    source: str
    """Real source, or simulated experiment."""
    title: str


# Frames


def find_real(folder: Path, half: str | None = None) -> list[RealFrame]:
    """Rows of a folder's index; `half` A or B keeps the sources of that half only."""
    for name in ("INDEX.csv", "LABELS.csv"):
        if not (folder / name).is_file():
            raise NoRealFramesError(f"no real frames in {folder}: it holds no {name}")
    with (folder / "INDEX.csv").open(newline="", encoding="utf-8") as stream:
        kept = {row["file"] for row in csv.DictReader(stream) if half in (None, row["half"])}
    found = [f for f in read_real(folder, load_vocabulary("aam20")) if f.file in kept]
    if len({frame.source for frame in found}) < 2:
        raise NoRealFramesError(
            f"{folder} has frames of fewer than two sources{f' in half {half}' if half else ''}: "
            "one must be left out and another stay"
        )
    return found


def real_examples(folder: Path, frames: Iterable[RealFrame]) -> Iterator[Example | None]:
    """Decode and prepare frames as the service does; None for pictures, whose counts are lost."""
    spec = PreprocessSpec(PREPARED_SIDE)
    with DecodeChild() as child:
        for chosen in frames:
            try:
                frame = child.decode(folder / chosen.file, chosen.index)
            except FrameRejected as refusal:
                raise NoRealFramesError(f"{chosen.file} cannot be compared: {refusal}") from refusal
            title = f"{chosen.source}\n{chosen.file[-24:]}"
            yield None if frame.lossy else Example(prepare(frame, spec)[0], chosen.source, title)


def simulated_examples(seed: int, indices: Iterable[int], profile: str) -> Iterator[Example]:
    """Simulated frames; the source is the experiment, that is the instrument."""
    for index in indices:
        made = simulate(seed, index, profile)
        instrument = made.scene.instrument
        title = f"{index}\n{instrument.detector} {instrument.technique}"
        yield Example(made.prepared, str(made.scene.group), title)


def experiments(count: int, first: int = FIRST_INDEX) -> range:
    """Indices of `count` frames, each of another experiment."""
    return range(first, first + GROUP_SIZE * count, GROUP_SIZE)


def null_indices(sources: Sequence[str], first: int = FIRST_NULL_INDEX) -> list[int]:
    """Indices that mimic real sources: for each one experiment with as many frames."""
    _, counts = np.unique(sources, return_counts=True)
    stride = GROUP_SIZE * -(-int(counts.max()) // GROUP_SIZE)
    return [first + stride * s + i for s, count in enumerate(counts) for i in range(count)]


def in_turn(sources: Sequence[str], count: int) -> list[int]:
    """Positions of at most `count` frames, sources taken in turn; those of one stay together."""
    members = [np.flatnonzero(np.array(sources) == name) for name in dict.fromkeys(sources)]
    turns = [int(i) for turn in zip_longest(*members) for i in turn if i is not None]
    rank = {name: r for r, name in enumerate(dict.fromkeys(sources))}
    return sorted(turns[:count], key=lambda i: (rank[sources[i]], i))


# Statistics


def statistics(prepared: np.ndarray) -> dict[str, float]:
    """Eighteen numbers that describe one prepared frame (2, S, S).

    Values are those of compressed counts (0 to 1.2), except: shares (0 to 1), `log_range`
    (decades), `entropy` (bits), `power_*` (log10 of power per mode), `peak_offset` (half sides),
    `mirror_*` (correlation).
    """
    image, live = prepared[0].astype(float), prepared[1] >= MINIMUM_COVERAGE
    values = image[live]
    if not values.size:
        raise ValueError("a frame without live pixels has no statistics")
    low, median, high, top = np.quantile(values, [0.1, 0.5, 0.9, 0.999])
    return {
        "coverage": float(prepared[1].mean()),
        "zero_share": float(np.mean(values == 0)),
        "quantile_10": float(low),
        "median": float(median),
        "quantile_90": float(high),
        "log_range": float((top - median) * LOG_RANGE / np.log(10)),
        "spread": float(values.std()),
        "skewness": _skewness(values),
        "entropy": _entropy(values),
        "gradient": _gradient(image, live),
        "grain": _grain(image, live),
        **radial_power(image, live),
        "peak_offset": _peak_offset(image, live),
        "mirror_left_right": _mirror(image, live, 1),
        "mirror_up_down": _mirror(image, live, 0),
    }


def radial_power(image: np.ndarray, live: np.ndarray) -> dict[str, float]:
    """log10 of the mean power per mode in each radial band, of a square image (S, S).

    The image less its mean is seen through a Hann window without its dead pixels, and power is
    divided by the window's: white noise of variance v gives log10 v in every band.
    """
    side = len(image)
    hann = np.hanning(side + 2)[1:-1]
    window = hann[:, None] * hann * live
    centred = image - np.average(image, weights=window)
    power = np.abs(np.fft.fft2(centred * window)) ** 2 / (window**2).sum()
    cycles = np.fft.fftfreq(side, 1 / side)
    radius = np.hypot(cycles[:, None], cycles)
    return {
        f"power_{low}_{high}": float(
            np.log10(POWER_FLOOR + power[(radius >= low) & (radius < high)].mean())
        )
        for low, high in POWER_BANDS
    }


def _skewness(values: np.ndarray) -> float:
    centred = values - values.mean()
    square = centred * centred
    spread = np.sqrt(square.mean())
    return float((square * centred).mean() / spread**3) if spread > 0 else 0.0


def _entropy(values: np.ndarray) -> float:
    """Entropy of a histogram of 64 bins, bits."""
    counts, _ = np.histogram(values, 64, (0, COMPRESSED_CEILING))
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def _gradient(image: np.ndarray, live: np.ndarray) -> float:
    """Root mean square difference of live neighbours."""
    steps = np.concatenate(
        [np.diff(image, axis=axis)[_both(live, axis)].ravel() for axis in (0, 1)]
    )
    return float(np.sqrt(np.mean(steps**2))) if steps.size else 0.0


def _both(live: np.ndarray, axis: int) -> np.ndarray:
    return np.delete(live, -1, axis) & np.delete(live, 0, axis)


def _grain(image: np.ndarray, live: np.ndarray) -> float:
    """Median distance of a pixel from the mean of its left and right neighbours."""
    bend = image[:, 1:-1] - 0.5 * (image[:, :-2] + image[:, 2:])
    seen = live[:, 1:-1] & live[:, :-2] & live[:, 2:]
    return float(np.median(np.abs(bend[seen]))) if seen.any() else 0.0


def _peak_offset(image: np.ndarray, live: np.ndarray) -> float:
    """Distance of the brightest block of 8 x 8 pixels from the middle, half sides."""
    side = len(image)
    blocks = (image * live).reshape(side // 8, 8, side // 8, 8).mean((1, 3))
    row, col = np.unravel_index(np.argmax(blocks), blocks.shape)
    half = side / 16
    return float(np.hypot((row + 0.5) / half - 1, (col + 0.5) / half - 1))


def _mirror(image: np.ndarray, live: np.ndarray, axis: int) -> float:
    """Correlation of an image with its mirror image where both are live."""
    seen = live & np.flip(live, axis)
    if not seen.any():
        return 0.0
    one, other = image[seen], np.flip(image, axis)[seen]
    covariance = np.mean((one - one.mean()) * (other - other.mean()))
    return float(covariance / one.var()) if one.var() > 0 else 0.0


def quantiles(values_NF: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """10, 50 and 90 % of each statistic, (3, F), each source counting alike."""
    return np.quantile(
        values_NF, [0.1, 0.5, 0.9], axis=0, weights=source_weights(list(sources)),
        method="inverted_cdf",
    )  # fmt: skip


def bar_met(name: str, real: Sequence[float], simulated: Sequence[float]) -> bool | None:
    """Whether a statistic's bar holds for 10, 50 and 90 % of both; None where it has none.

    Zero share: medians within a factor of 2. Log range and power: the simulated median lies
    within the real 10 to 90 %.
    """
    if name == "zero_share":
        ratio = max(simulated[1], LEAST_ZERO_SHARE) / max(real[1], LEAST_ZERO_SHARE)
        return bool(0.5 <= ratio <= 2)
    if name == "log_range" or name.startswith("power_"):
        return bool(real[0] <= simulated[1] <= real[2])
    return None


# Domain test


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


# Comparison


def compare(real: list[Example], simulated: list[Example], null: list[Example]) -> dict[str, Any]:
    """Statistics with their bars, and the domain test with its null, as plain values.

    `simulated` are frames of many experiments; `null` are other simulated ones, that resemble
    the real ones in number of frames and of sources.
    """
    names = list(statistics(real[0].prepared))
    real_NF, simulated_NF, null_NF = (_matrix(kind) for kind in (real, simulated, null))
    sources, groups = [e.source for e in real], [e.source for e in simulated]
    real_q, simulated_q = quantiles(real_NF, sources), quantiles(simulated_NF, groups)
    weights, alike = source_weights(sources), np.ones(len(simulated))
    units = len(set(sources))
    pool = simulated_kind(simulated_NF, groups, units)
    return {
        "real": {"frames": len(real), "sources": units},
        "simulated": {"frames": len(simulated), "experiments": len(set(groups))},
        "statistics": {
            name: {
                "real": real_q[:, f].round(4).tolist(),
                "simulated": simulated_q[:, f].round(4).tolist(),
                "means": [
                    round(float(np.average(real_NF[:, f], weights=weights)), 4),
                    round(float(simulated_NF[:, f].mean()), 4),
                ],
                "real_larger": round(
                    area_under_roc(real_NF[:, f], simulated_NF[:, f], weights, alike), 3
                ),
                "bar_met": bar_met(name, real_q[:, f].tolist(), simulated_q[:, f].tolist()),
            }
            for f, name in enumerate(names)
        },
        "domain_test": {
            "real_against_simulated": _said(real_kind(real_NF, sources), pool),
            "simulated_against_simulated": _said(
                real_kind(null_NF, [e.source for e in null]), pool
            ),
        },
    }


def _matrix(examples: list[Example]) -> np.ndarray:
    """Statistics (N, F)."""
    return np.array([list(statistics(example.prepared).values()) for example in examples])


def _said(first: Kind, second: Kind) -> dict[str, Any]:
    area, interval = domain_test(first, second)
    return {"auc": round(area, 3), "interval": [round(end, 3) for end in interval]}


# Picture


def side_by_side(
    path: Path, simulated: Sequence[Example], real: Sequence[Example], count: int = 48
) -> None:
    """Write a PNG: up to `count` simulated frames on the left, as many real ones on the right.

    Colours run from 1 to 99.7 % of a frame's live pixels; dead pixels are light grey.
    """
    columns = 6
    rows = -(-min(count, max(len(simulated), len(real))) // columns)
    figure = Figure(figsize=(27, 2.35 * rows + 0.6), layout="constrained")
    panels: Any = figure.subfigures(1, 2, wspace=0.02)
    for panel, name, examples in zip(panels, ("simulated", "real"), (simulated, real), strict=True):
        sources = [example.source for example in examples]
        if len(set(sources)) > count:
            chosen = np.linspace(0, len(examples) - 1, count).round().astype(int).tolist()
        else:
            chosen = in_turn(sources, count)
        shown = len({sources[i] for i in chosen})
        origin = "experiments" if name == "simulated" else "sources"
        panel.suptitle(f"{len(chosen)} {name} frames of {shown} {origin}", fontsize=18)
        axes = panel.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes:
            axis.set_axis_off()
        for axis, i in zip(axes, chosen, strict=False):
            _show(axis, examples[i])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def _show(axis: Any, example: Example) -> None:
    image = np.where(example.prepared[1] < MINIMUM_COVERAGE, np.nan, example.prepared[0])
    low, high = np.nanpercentile(image, [1, 99.7])
    axis.set_facecolor("0.85")
    axis.set_axis_on()
    axis.set_xticks([])
    axis.set_yticks([])
    axis.imshow(image, cmap="viridis", vmin=low, vmax=max(high, low + 0.02))
    axis.set_title(example.title, fontsize=8)
