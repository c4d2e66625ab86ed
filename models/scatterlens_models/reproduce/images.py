"""Fashion-MNIST from the four files in which it is published, as prepared frames.

Xiao, Rasul, Vollgraf, arXiv 1708.07747. A pixel's share of 255 stands where a frame has its
compressed counts, and all of it is live.
"""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
import torch

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.reproduce.material import Material, MaterialError, manifest_digest
from scatterlens_models.reproduce.scales import Scale

CLASSES = 10
_UNSIGNED_BYTES = 0x08
_FILES = {"train": "train", "test": "t10k"}


def read_idx(path: Path) -> np.ndarray:
    """An idx file of unsigned bytes, gzipped or not.

    Raises:
        MaterialError: it is absent, damaged or of another kind.
    """
    packed = path.with_name(path.name + ".gz")
    try:
        data = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    except FileNotFoundError:
        raise MaterialError(
            f"neither {path.name} nor {packed.name} is in {path.parent}: give --data the folder of"
            " the four files of Fashion-MNIST"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise MaterialError(f"{packed} is damaged ({error}): fetch it anew") from error
    if len(data) < 4 or data[:3] != bytes((0, 0, _UNSIGNED_BYTES)):
        raise MaterialError(f"{path} is no idx file of unsigned bytes: fetch it anew")
    start = 4 + 4 * data[3]
    shape = tuple(np.frombuffer(data[4:start], ">u4").tolist())
    if len(shape) < data[3] or len(data) - start != int(np.prod(shape)):
        raise MaterialError(f"{path} does not hold what its head says, {shape}: fetch it anew")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_images(folder: Path, scale: Scale) -> Material:
    """Load as many images as a scale takes; the watched ones are the last of the training file.

    Raises:
        MaterialError: a file is absent, damaged, or holds too few images.
    """
    train, test = (_read_part(folder, part) for part in _FILES)
    for (images, _), part, needed in (
        (train, "train", scale.training + scale.watched),
        (test, "test", scale.test),
    ):
        if len(images) < needed:
            raise MaterialError(
                f"{folder} has {len(images)} images in {_FILES[part]}, {scale.name} takes {needed}:"
                " give the full files, or take a smaller --scale"
            )
    used = {
        "training": (train, slice(0, scale.training)),
        "watched": (train, slice(len(train[0]) - scale.watched, None)),
        "test": (test, slice(0, scale.test)),
    }
    parts = {name: _examples(of[0][at], of[1][at]) for name, (of, at) in used.items()}
    sums = {
        name: [hashlib.sha256(array[at].tobytes()).hexdigest() for array in of]
        for name, (of, at) in used.items()
    }
    return Material(
        "Fashion-MNIST",
        parts["training"],
        parts["watched"],
        parts["test"],
        evidence=None,
        digest=manifest_digest(sums),
        exclusive=True,
    )


def _read_part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, 28, 28) and classes (N,)."""
    name = _FILES[part]
    images = read_idx(folder / f"{name}-images-idx3-ubyte")
    classes = read_idx(folder / f"{name}-labels-idx1-ubyte")
    if images.ndim != 3 or classes.shape != images.shape[:1] or classes.max(initial=0) >= CLASSES:
        raise MaterialError(
            f"images {images.shape} and labels {classes.shape} of {name} in {folder} do not belong"
            f" together, or have more than {CLASSES} classes: fetch both anew"
        )
    return images, classes


def _examples(images: np.ndarray, classes: np.ndarray) -> Examples:
    value = torch.from_numpy(images.astype(np.float32) / 255)[:, None]
    labels = np.eye(CLASSES, dtype=np.int8)[classes]
    return Examples(
        torch.cat((value, torch.ones_like(value)), dim=1).half(), torch.from_numpy(labels)
    )
