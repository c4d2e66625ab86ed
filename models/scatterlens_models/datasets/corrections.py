"""A dataset of what people corrected in a service, mixed with simulated frames.

Experiments are divided as everywhere. Where there are fewer than three of them, all are learned
from: simulated frames then calibrate and judge alone, which the manifest shows.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scatterlens_models.datasets.checks import keys_of
from scatterlens_models.datasets.importing.snapshot import read_snapshot
from scatterlens_models.datasets.manifest import Manifest
from scatterlens_models.datasets.members import FrameMember, Member, RecipeMember, Split
from scatterlens_models.datasets.splitting import split_members
from scatterlens_models.datasets.units import units
from scatterlens_models.vocabulary import Vocabulary

_log = logging.getLogger(__name__)

SEED = 20_261_124
"""Of the simulated frames: another than that of every benchmark."""
SHARES: Mapping[Split, float] = {"train": 0.7, "validation": 0.15, "test": 0.15}
_FEWEST_EXPERIMENTS = 3
_PARTS: Mapping[Split, tuple[int, float]] = {
    "train": (0, 1.0),
    "validation": (1_000_000, 0.2),
    "test": (2_000_000, 0.2),
}
"""First frame index, and how many beside those of training."""


def collect_corrections(
    labels: Path,
    vocabulary: Vocabulary,
    blobs: Path,
    simulated: int,
    weight: float,
    before: Manifest | None = None,
) -> list[Member]:
    """Labelled frames of a service, divided by experiment, and simulated frames beside them.

    Args:
        labels: JSON lines as the service exports them.
        vocabulary: that the labels are read by.
        blobs: folder of the blobs of the service.
        simulated: how many simulated frames are learned from; none where 0.
        weight: how often a labelled frame is drawn beside a simulated one.
        before: an earlier dataset; its frames stay in their splits, so that what judges stays
            what it was while new frames come in.

    Raises:
        FrameVanishedError: a frame's blob is gone or damaged.
        DatasetError: a line cannot be used, or there are too few experiments and nothing
            simulated that could judge.
    """
    frames = read_snapshot(labels, vocabulary, blobs)
    frames = [replace(frame, weight=weight) for frame in frames]
    return [*divide_frames(frames, simulated > 0, before), *simulated_parts(simulated)]


def simulated_parts(count: int) -> list[RecipeMember]:
    """Recipes of `count` frames to learn from, and a fifth as many to calibrate and to judge."""
    return [
        RecipeMember("realistic", SEED, start, max(round(count * share), 1), split)
        for split, (start, share) in _PARTS.items()
        if count
    ]


def divide_frames(
    frames: Sequence[FrameMember], others_judge: bool, before: Manifest | None = None
) -> Sequence[Member]:
    """Give the frames of a service their splits, by experiment.

    Args:
        frames: without a split.
        others_judge: there will be other frames to calibrate and to judge by, so that fewer than
            three experiments are learned from as a whole.
        before: an earlier dataset, as `collect_corrections` takes it.

    Raises:
        DatasetError: there are too few experiments, and nothing else that could judge.
    """
    number = units([set(keys_of(frame, "experiment")) for frame in frames])
    if others_judge and len(set(number)) < _FEWEST_EXPERIMENTS:
        return [replace(frame, split="train") for frame in frames]
    known: dict[str, Split | None] = {}
    if before is not None:
        known = {frame.frame_id: frame.split for frame in before.frames}
    settled: dict[int, Split | None] = {}
    for frame, unit in zip(frames, number, strict=True):
        split = known.get(frame.frame_id)
        if settled.setdefault(unit, split) != split and split is not None:
            if settled[unit] is not None:
                _log.warning("%s ties two splits together: divided anew", frame.experiment)
                return split_members(frames, "experiment", SHARES, seed=1)
            settled[unit] = split
    judged = {split for split in settled.values() if split}
    if not judged >= set(SHARES):  # the earlier dataset was not divided
        return split_members(frames, "experiment", SHARES, seed=1)
    return [
        replace(frame, split=settled[unit] or _drawn(frame.experiment))
        for frame, unit in zip(frames, number, strict=True)
    ]


def _drawn(experiment: str) -> Split:
    """Split of an experiment that came later: by its name alone, so that any run draws the same."""
    place = int(hashlib.sha256(experiment.encode()).hexdigest()[:8], 16) / 2**32
    return "train" if place < SHARES["train"] else "validation" if place < 0.85 else "test"
