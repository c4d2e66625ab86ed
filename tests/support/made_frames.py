"""Detector files of every format, simulated and written here: for machines without real ones.

Each file shows a part of a simulated frame, counted anew, so that no two are the same frame.
"""

import bz2
import gzip
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from scatterlens_models.synthetic.frames import expose
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.vocabulary import load_vocabulary
from support import detector_files

_SCENES = 5
_SHAPE = (195, 487)
"""One module of a Pilatus, by whose size files without a header are known."""
_LARGE = (1679, 1475)
"""A Pilatus 2M."""


@cache
def _expected(index: int) -> np.ndarray:
    """Mean counts (195, 487) of a part of a simulated frame."""
    counts = expose(sample(20, index), load_vocabulary("aam20")).counts.astype(float)
    repeats = [-(-wanted // has) for wanted, has in zip(_SHAPE, counts.shape, strict=True)]
    part = np.tile(counts, repeats)[: _SHAPE[0], : _SHAPE[1]]
    return np.clip(part, 0, 30_000) + 0.2


def counts(seed: int) -> np.ndarray:
    """A frame of its own, int32 (195, 487)."""
    random = np.random.default_rng(seed)
    return random.poisson(_expected(seed % _SCENES)).astype(np.int32)


def _grey(image: np.ndarray) -> np.ndarray:
    return np.clip(np.log1p(image) * 20, 0, 255).astype(np.uint8)


WRITERS: dict[str, Callable[[np.ndarray], bytes]] = {
    "edf": detector_files.edf,
    "edf.gz": lambda image: gzip.compress(detector_files.edf(image), 1),
    "cbf": detector_files.cbf,
    "tif": detector_files.tiff,
    "tif.bz2": lambda image: bz2.compress(detector_files.tiff(image), 1),
    "img": detector_files.smv,
    "npy": detector_files.npy,
    "spe": lambda image: detector_files.spe(image[None]),
    "h5": lambda image: detector_files.hdf5({"entry/data/data": image}),
    "nxs": lambda image: detector_files.hdf5(
        {"entry/instrument/detector/data": np.stack([image, image[::-1]])}
    ),
    "raw": lambda image: image.astype("<i4").tobytes(),
    "png": lambda image: detector_files.picture(_grey(image), "PNG"),
    "jpg": lambda image: detector_files.picture(_grey(image), "JPEG"),
}
"""By the end of the file's name."""


def make_items(folder: Path) -> list[tuple[Path, int]]:
    """Write five files of each format; each with the frame of it that is meant."""
    items = []
    for seed in range(_SCENES * len(WRITERS)):
        suffix = list(WRITERS)[seed // _SCENES]
        path = folder / f"made_{seed:03d}.{suffix}"
        path.write_bytes(WRITERS[suffix](counts(seed)))
        items.append((path, 1 if suffix == "nxs" else 0))
    return items


def large_cbf() -> bytes:
    """A CBF as large as a Pilatus 2M writes it."""
    repeats = [-(-wanted // has) for wanted, has in zip(_LARGE, _SHAPE, strict=True)]
    return detector_files.cbf(np.tile(counts(0), repeats)[: _LARGE[0], : _LARGE[1]])
