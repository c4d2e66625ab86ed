"""Simulated frames as data sets: one frame, and shards on disk (`shards.py` reads them).

A shard is one HDF5 file of up to 500 frames. It is written beside its place and moved there when
it is whole, so that a build that was killed leaves no half shard and goes on where it stopped.
"""

import fcntl
import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import torch

from scatterlens_models.synthetic.detectability import judge
from scatterlens_models.synthetic.detector import detect, noise_generator, prepare
from scatterlens_models.synthetic.geometry import PREPARED_SIDE
from scatterlens_models.synthetic.labels import Labelled, label
from scatterlens_models.synthetic.render import render
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.synthetic.scene import SceneParams
from scatterlens_models.synthetic.shards import (
    FORMAT,
    INPUT_SCALE,
    BrokenShardError,
    open_shard,
    open_shards,
)
from scatterlens_models.vocabulary import load_vocabulary

SHARD_FRAMES = 500


class UnknownSplitError(ValueError):
    """No such split; the message lists those that are defined."""


class BuildRunningError(RuntimeError):
    """Another process is writing into the same folder; wait for it or choose another."""


class UnwritableShardError(RuntimeError):
    """The disk does not take a shard; the message says why and what to do."""


@dataclass(frozen=True)
class Split:
    """A range of frame indices of one seed."""

    name: str
    seed: int
    start: int
    frames: int
    profile: str = "realistic"
    vocabulary: str = "aam20"


_SEED = 20200907

SPLITS = {
    split.name: split
    for split in (
        Split("bench-v1/train", _SEED, 0, 45_000),
        Split("bench-v1/test", _SEED, 1_000_000, 5_000),
        Split("bench-v1/validation", _SEED, 2_000_000, 2_000),
        Split("paper-v1/train", _SEED, 0, 12_000, "paper"),
        Split("paper-v1/validation", _SEED, 2_000_000, 1_000, "paper"),
    )
}
"""`bench-v1` is the benchmark; `paper-v1` is there to train on the published generator's frames."""


def find_splits(name: str) -> list[Split]:
    """The split `bench-v1/test`, or all parts of `bench-v1`."""
    found = [s for key, s in SPLITS.items() if name in (key, key.partition("/")[0])]
    if not found:
        whole = ", ".join(dict.fromkeys(key.partition("/")[0] for key in SPLITS))
        raise UnknownSplitError(f"no split {name!r}; use one of {whole}, {', '.join(SPLITS)}")
    return found


@dataclass(frozen=True, eq=False)
class Simulated:
    """One simulated frame with all that is known of it."""

    scene: SceneParams
    prepared: np.ndarray
    """(2, S, S) float32, as the network takes it."""
    labelled: Labelled


_vocabulary = cache(load_vocabulary)


def simulate(
    seed: int, index: int, profile: str = "realistic", noise: int = 0, vocabulary: str = "aam20"
) -> Simulated:
    """Make frame `index` of a seed; `noise` other than 0 draws other noise over the same scene."""
    scene = sample(seed, index, profile)
    rendered = render(scene)
    visibility = judge(scene, rendered)
    labelled = label(scene, visibility, rendered, _vocabulary(vocabulary))
    rng = noise_generator(seed + noise, index)
    counts, coverage = detect(
        scene, visibility.expected, rendered.maps.coverage, rendered.maps.grid, rng
    )
    return Simulated(scene, prepare(counts, coverage), labelled)


# Writing


def shard_path(folder: Path, number: int) -> Path:
    """Where shard `number` of a split lies."""
    return folder / f"shard-{number:04d}.h5"


def build(split: Split, folder: Path, jobs: int = 1) -> Iterator[int]:
    """Write what is missing of a split's shards; yields the frames of each shard as it is done.

    One build at a time may write into a folder; `BuildRunningError` tells the second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _sole_writer(folder):
        yield from _build(split, folder, jobs)


@contextmanager
def _sole_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it when the process ends, however it ends."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BuildRunningError(
                f"another build is writing into {folder}; wait for it or choose another folder"
            ) from None
        yield


def _build(split: Split, folder: Path, jobs: int) -> Iterator[int]:
    for leftover in folder.glob("*.part"):
        leftover.unlink()
    numbers = range(-(-split.frames // SHARD_FRAMES))
    missing = [n for n in numbers if not _is_whole(shard_path(folder, n), split, n)]
    yield sum(_shard_frames(split, n) for n in numbers if n not in missing)
    work = [(split, folder, number) for number in missing]
    if jobs == 1:
        threads = torch.get_num_threads()
        _one_thread()  # as in the processes: the same sums, and no waiting for one another
        try:
            yield from map(_write_shard, work)
        finally:
            torch.set_num_threads(threads)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _one_thread) as pool:
        yield from pool.imap_unordered(_write_shard, work)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _shard_frames(split: Split, number: int) -> int:
    return min(SHARD_FRAMES, split.frames - number * SHARD_FRAMES)


def _header(split: Split, number: int) -> dict[str, str | int]:
    return {
        "format": FORMAT,
        "seed": split.seed,
        "profile": split.profile,
        "vocabulary": split.vocabulary,
        "first_index": split.start + number * SHARD_FRAMES,
        "frames": _shard_frames(split, number),
    }


def _is_whole(path: Path, split: Split, number: int) -> bool:
    if not path.exists():
        return False
    with open_shard(path) as shard:
        if {key: shard.attrs[key] for key in _header(split, number)} != _header(split, number):
            raise BrokenShardError(f"{path} belongs to another build; choose an empty folder")
    return True


def _write_shard(work: tuple[Split, Path, int]) -> int:
    split, folder, number = work
    path = shard_path(folder, number)
    partial = path.with_suffix(".part")
    try:
        count = _fill_shard(split, number, partial)
    except OSError as error:
        partial.unlink(missing_ok=True)
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UnwritableShardError(
            f"cannot write {path}: {reason}. Make room, then run the same build again: it writes"
            " only what is missing"
        ) from error
    partial.rename(path)
    return count


def _fill_shard(split: Split, number: int, path: Path) -> int:
    count = _shard_frames(split, number)
    first = split.start + number * SHARD_FRAMES
    attributes = len(load_vocabulary(split.vocabulary).ids)
    compact = hdf5plugin.Bitshuffle(cname="lz4")
    # In memory first: the library may crash where a disk that is full meets it.
    with h5py.File(path, "w", driver="core", backing_store=False) as shard:
        frame = {"chunks": (1, PREPARED_SIDE, PREPARED_SIDE), **compact}
        x = shard.create_dataset("x", (count, PREPARED_SIDE, PREPARED_SIDE), "u2", **frame)
        coverage = shard.create_dataset(
            "coverage", (count, PREPARED_SIDE, PREPARED_SIDE), "u1", **frame
        )
        labels = np.empty((count, attributes), np.int8)
        dprime = np.empty((count, attributes), np.float32)
        evidence = np.empty((count, attributes, 32, 32), np.uint8)
        groups = np.empty(count, np.int64)
        scenes: list[str] = []
        for i in range(count):
            made = simulate(split.seed, first + i, split.profile, vocabulary=split.vocabulary)
            x[i] = np.round(made.prepared[0] * INPUT_SCALE).astype(np.uint16)
            coverage[i] = np.round(made.prepared[1] * 255).astype(np.uint8)
            labels[i], dprime[i] = made.labelled.labels, made.labelled.dprime
            evidence[i], groups[i] = made.labelled.evidence, made.scene.group
            scenes.append(made.scene.to_json())
        shard["labels"], shard["dprime"], shard["groups"] = labels, dprime, groups
        shard.create_dataset("evidence", data=evidence, chunks=(1, attributes, 32, 32), **compact)
        shard.create_dataset("scenes", data=scenes, dtype=h5py.string_dtype())
        shard.attrs.update(_header(split, number))
        shard.flush()
        image = shard.id.get_file_image()
    with path.open("wb") as stream:
        stream.write(image)
        stream.flush()
        os.fsync(stream.fileno())
    return count


# Manifest


def describe(parts: dict[str, Path]) -> dict:
    """Manifest of built splits, by name: what they are, and hashes that say when they changed."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "parts": {name: _describe_part(SPLITS[name], folder) for name, folder in parts.items()},
    }


def _describe_part(split: Split, folder: Path) -> dict:
    with open_shards(folder) as shards:
        labels, scenes = shards.labels, shards.scenes_json()
        means = [float(shards.x(slice(i, i + 1))[0, 0].mean()) for i in range(0, len(shards), 20)]
    return {
        "seed": split.seed,
        "start": split.start,
        "frames": len(labels),
        "profile": split.profile,
        "vocabulary": split.vocabulary,
        "labels_sha256": labels_digest(labels),
        "scenes_sha256": scenes_digest(scenes),
        "first_100_labels_sha256": labels_digest(labels[:100]),
        "first_100_scenes_sha256": scenes_digest(scenes[:100]),
        "first_100_rounded_scenes_sha256": scenes_digest(rounded(scenes[:100])),
        "present": (labels == 1).sum(0).tolist(),
        "unsure": (labels == -1).sum(0).tolist(),
        "mean_input_quantiles": np.quantile(means, np.arange(0.05, 1, 0.05)).round(5).tolist(),
    }


def labels_digest(labels: np.ndarray) -> str:
    """SHA-256 of a label matrix's int8 bytes."""
    return hashlib.sha256(np.ascontiguousarray(labels, np.int8).tobytes()).hexdigest()


def scenes_digest(scenes: list[str]) -> str:
    """SHA-256 of parameter JSONs, one a line; see `rounded`."""
    return hashlib.sha256("\n".join(scenes).encode()).hexdigest()


def rounded(scenes: list[str]) -> list[str]:
    """Parameter JSONs with 9 significant digits.

    The last bits are those of one processor: linear algebra adds in another order on another.
    """
    return [
        json.dumps(json.loads(scene, parse_float=lambda x: float(f"{float(x):.9g}")))
        for scene in scenes
    ]


def load_manifest(name: str = "bench-v1") -> dict:
    """The committed manifest of a benchmark."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
