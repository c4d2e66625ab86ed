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

from scatterlens_models.datasets.real_frames import RealFrame, read_real
from scatterlens_models.decoding import DecodeChild, FrameRejected
from scatterlens_models.evaluation.domain_test import (
    Kind,
    area_under_roc,
    domain_test,
    real_kind,
    simulated_kind,
)
from scatterlens_models.evaluation.image_statistics import statistics
from scatterlens_models.evaluation.real import source_weights
from scatterlens_models.preprocess import (
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
LEAST_ZERO_SHARE = 1e-3
"""Zero shares below one per mille count as one per mille where they are compared."""


class NoRealFramesError(ValueError):
    """The folder holds no real frames that can be compared; the message says what is absent."""


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


# Bars


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
