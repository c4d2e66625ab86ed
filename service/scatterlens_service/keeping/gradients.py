"""The gradient maps that a worker computed for one attribute of one frame, as they are kept."""

import io
from collections.abc import Mapping

import numpy as np


def parameters_of(attribute: str) -> dict[str, str]:
    """Parameters of the render job that computes all gradient maps of an attribute."""
    return {"gradients": attribute}


def attribute_in(parameters: Mapping[str, str]) -> str:
    """Read `parameters_of` back."""
    return parameters["gradients"]


def pack_maps(maps: Mapping[str, np.ndarray]) -> bytes:
    """Bytes for the blob store: an npz without pickles, maps (h, w) float32 by method."""
    buffer = io.BytesIO()
    named = {name: cells.astype(np.float32) for name, cells in maps.items()}
    np.savez_compressed(buffer, allow_pickle=False, **named)
    return buffer.getvalue()


def unpack_maps(data: bytes) -> dict[str, np.ndarray]:
    """Read `pack_maps` back."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
