"""Reading shards of simulated frames, without what simulates them.

A shard is one HDF5 file of up to 500 frames, written by `scatterlens_models.synthetic.dataset`.
"""

from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (its import teaches h5py the compression)
import numpy as np

from scatterlens_models.synthetic.geometry import PREPARED_SIDE
from scatterlens_models.synthetic.scene import SceneParams

INPUT_SCALE = 50_000
"""Compressed counts are stored as uint16 = round(50000 x)."""
FORMAT = "scatterlens-shard-1"


class BrokenShardError(ValueError):
    """A shard is absent, half written or of another build; the message says what to do."""


def open_shard(path: Path) -> h5py.File:
    """One file; `BrokenShardError` if it is not whole."""
    try:
        shard = h5py.File(path, "r")
    except OSError as error:
        raise BrokenShardError(
            f"{path} cannot be read ({error}); delete it and build again: "
            "`scatterlens synth build` writes only what is missing"
        ) from error
    if shard.attrs.get("format") != FORMAT:
        shard.close()
        raise BrokenShardError(f"{path} is no whole shard of this version; delete and build again")
    return shard


class Shards:
    """All shards of one folder. Small arrays are in memory; frames are read when asked for."""

    def __init__(self, folder: Path):
        paths = sorted(folder.glob("shard-*.h5"))
        if not paths:
            raise BrokenShardError(f"no shards in {folder}; run `scatterlens synth build` first")
        self._shards = [open_shard(path) for path in paths]
        self._starts = np.cumsum([0] + [int(s.attrs["frames"]) for s in self._shards])  # type: ignore
        self.labels = self._join("labels")
        """(N, A) int8: 1 present, 0 absent, -1 unsure."""
        self.dprime = self._join("dprime")
        """(N, A) float32."""
        self.groups = self._join("groups")
        """(N,) int64: experiment of each frame."""
        self.vocabulary = str(self._shards[0].attrs["vocabulary"])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def x(self, indices: np.ndarray | slice) -> np.ndarray:
        """Prepared frames (n, 2, 256, 256) float32."""
        numbers = np.arange(len(self))[indices]
        frames = np.empty((len(numbers), 2, PREPARED_SIDE, PREPARED_SIDE), np.float32)
        for out, (shard, row) in zip(frames, map(self._locate, numbers), strict=True):
            out[0] = shard["x"][row] * np.float32(1 / INPUT_SCALE)  # type: ignore
            out[1] = shard["coverage"][row] * np.float32(1 / 255)  # type: ignore
        return frames

    def evidence(self, indices: np.ndarray | slice) -> np.ndarray:
        """Evidence (n, A, 32, 32) uint8, zero where the label is not 1."""
        located = map(self._locate, np.arange(len(self))[indices])
        return np.stack([shard["evidence"][row] for shard, row in located])  # type: ignore

    def scene(self, index: int) -> SceneParams:
        """Parameters of one frame."""
        shard, row = self._locate(index)
        return SceneParams.from_json(shard["scenes"].asstr()[row])  # type: ignore

    def scenes_json(self) -> list[str]:
        """Parameters of every frame as they were stored."""
        return [text for shard in self._shards for text in shard["scenes"].asstr()[:]]  # type: ignore

    def close(self) -> None:
        """Close the files."""
        for shard in self._shards:
            shard.close()

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _locate(self, index: int) -> tuple[h5py.File, int]:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self._shards[number], int(index - self._starts[number])

    def _join(self, name: str) -> np.ndarray:
        return np.concatenate([shard[name][:] for shard in self._shards])  # type: ignore


def open_shards(folder: Path | str) -> Shards:
    """Open the shards of one part, in order; `BrokenShardError` if one is not whole."""
    return Shards(Path(folder))
