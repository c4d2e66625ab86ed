"""Frames that an experiment learns from and is judged on, with a hash that says which they are."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scatterlens_models.datasets.examples import Examples, load_examples
from scatterlens_models.evaluation.pointing import evidence_mask
from scatterlens_models.reproduce.scales import Scale
from scatterlens_models.synthetic.dataset import (
    BuildRunningError,
    Split,
    UnwritableShardError,
    build,
    labels_digest,
)
from scatterlens_models.synthetic.shards import BrokenShardError, Shards, open_shards

_SMOKE_SEED = 20200907
_PARTS = {"train": "training", "validation": "watched", "test": "test"}
"""Folder of a part, and the field of a scale that says how many of its frames are used."""


class MaterialError(ValueError):
    """Frames that a scale asks for are not there; the message says how to get them."""


@dataclass(frozen=True, eq=False)
class Material:
    """Three parts; none of the test frames is ever trained on, or used to choose anything."""

    name: str
    training: Examples
    watched: Examples
    test: Examples
    evidence: np.ndarray | None
    """Of the first test frames, (n, A, 32, 32) uint8; None where nobody knows it."""
    digest: str
    """SHA-256 of the manifest of the frames that are used."""
    exclusive: bool = False
    """Whether every frame has exactly one of the labels."""
    shown: np.ndarray | None = None
    """Where anything lies that the first test frames are labelled with, bool (n, H, W)."""


def manifest_digest(manifest: Mapping[str, object]) -> str:
    """SHA-256 of a manifest of frames."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def smoke_frames(scale: Scale, folder: Path) -> None:
    """Simulate a few dozen frames where they are not there yet.

    Raises:
        MaterialError: another process is at it, or the disk is full.
    """
    for number, (part, field) in enumerate(_PARTS.items()):
        first = 3_000_000 + number * 10_000
        split = Split(f"smoke/{part}", _SMOKE_SEED, first, getattr(scale, field))
        try:
            for _ in build(split, folder / part):
                pass
        except (BuildRunningError, BrokenShardError, UnwritableShardError) as error:
            raise MaterialError(str(error)) from error


def read_shards(shards: Path, scale: Scale) -> Material:
    """Load the first frames of each part at the scale's input size.

    Raises:
        MaterialError: a part is absent or has too few frames.
    """
    parts: dict[str, Examples] = {}
    manifest: dict[str, object] = {"name": shards.name, "input_size": scale.input_size}
    evidence = np.empty(0)
    for part, field in _PARTS.items():
        count = getattr(scale, field)
        try:
            opened = open_shards(shards / part)
        except BrokenShardError as error:
            raise MaterialError(f"{error}: name the folder of a benchmark by --shards") from error
        with opened:
            if len(opened) < count:
                raise MaterialError(
                    f"{shards / part} has {len(opened)} frames, {scale.name} takes {count}: build"
                    " the rest by `scatterlens synth build`, or take a smaller --scale"
                )
            parts[field] = load_examples(opened, scale.input_size, count)
            manifest[part] = _described(opened, count)
            if part == "test":
                evidence = opened.evidence(slice(0, scale.overlays))
    return Material(
        shards.name,
        parts["training"],
        parts["watched"],
        parts["test"],
        evidence,
        manifest_digest(manifest),
        # Evidence is zero where a frame does not show an attribute.
        shown=np.logical_or.reduce(evidence_mask(evidence), axis=1),
    )


def _described(opened: Shards, count: int) -> dict[str, object]:
    return {
        "frames": count,
        "labels_sha256": labels_digest(opened.labels[:count]),
        "experiments_sha256": hashlib.sha256(opened.groups[:count].tobytes()).hexdigest(),
    }
