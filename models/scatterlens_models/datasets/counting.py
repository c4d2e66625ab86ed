"""What is in a dataset: how many frames of which split and source show which attribute."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scatterlens_models.datasets.manifest import Manifest
from scatterlens_models.datasets.members import SPLITS, FrameMember, Split, of_split

SIMULATED = "simulated"
"""Stands for the source of what recipes make."""


@dataclass(frozen=True, eq=False)
class Part:
    """What one split holds."""

    split: Split | None
    """None for what has no split yet."""
    frames: int
    simulated: int
    """Frames that recipes make; their labels are known once they are made."""
    sources: dict[str, tuple[int, int]]
    """Frames and experiments of each source."""
    labels: np.ndarray
    """(N, A) int8 of the frames, without the simulated ones."""
    drawn: dict[str, float]
    """Share of the draws in training, by source; simulated frames under `SIMULATED`."""


def parts(manifest: Manifest) -> list[Part]:
    """Every split that holds anything."""
    found = [_part(manifest, split) for split in (*SPLITS, None)]
    return [part for part in found if part.frames or part.simulated]


def labels_of(frames: Sequence[FrameMember], attributes: int) -> np.ndarray:
    """Labels (N, A) int8 of frames."""
    return np.array([frame.labels for frame in frames], np.int8).reshape(-1, attributes)


def _part(manifest: Manifest, split: Split | None) -> Part:
    frames, recipes = of_split(manifest.frames, split), of_split(manifest.recipes, split)
    weight: dict[str, float] = {}
    for name, share in _weights(frames, ((r.count, r.weight) for r in recipes)):
        weight[name] = weight.get(name, 0.0) + share
    experiments: dict[str, list[str]] = {}
    for frame in frames:
        experiments.setdefault(frame.source, []).append(frame.experiment)
    return Part(
        split,
        len(frames),
        sum(recipe.count for recipe in recipes),
        {name: (len(found), len(set(found))) for name, found in experiments.items()},
        labels_of(frames, len(manifest.vocabulary.ids)),
        {name: share / sum(weight.values()) for name, share in weight.items()},
    )


def _weights(
    frames: Iterable[FrameMember], recipes: Iterable[tuple[int, float]]
) -> Iterable[tuple[str, float]]:
    for frame in frames:
        yield frame.source, frame.weight
    for count, weight in recipes:
        yield SIMULATED, count * weight
