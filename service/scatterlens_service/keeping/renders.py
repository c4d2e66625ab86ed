"""What render jobs may be asked for, as parameters of the job, and what is kept of pixels.

Pixels and polar sums belong to a frame alone; gradient maps to a frame and a model.
"""

import gzip
import io
from collections.abc import Mapping

import numpy as np

from scatterlens_models.frame import Frame

PIXELS: Mapping[str, str] = {"pixels": "counts"}
"""Parameters of the render job that keeps a frame's counts."""


def polar_parameters(center_yx: tuple[float, float], aspect: float) -> dict[str, str]:
    """Parameters of the render job that sums by ring and sector around a point."""
    # A ten-thousandth of a pixel moves no ring; shorter numbers let more requests share a job.
    row, col = center_yx
    return {"polar": f"{row:.4f},{col:.4f},{aspect:.6f}"}


def polar_in(parameters: Mapping[str, str]) -> tuple[tuple[float, float], float]:
    """Read `polar_parameters` back: centre (row, col) and aspect."""
    row, col, aspect = (float(part) for part in parameters["polar"].split(","))
    return (row, col), aspect


def pack_pixels(frame: Frame) -> bytes:
    """A `.npy` of counts, float32 (H, W), NaN where masked; gzipped, as it is sent.

    Decision 0021 says what was measured.
    """
    stream = io.BytesIO()
    counts = np.where(frame.mask, np.float32(np.nan), frame.image)
    np.save(stream, counts, allow_pickle=False)
    return gzip.compress(stream.getvalue(), compresslevel=1, mtime=0)


def unpack_pixels(data: bytes) -> np.ndarray:
    """Read `pack_pixels` back."""
    return np.load(io.BytesIO(gzip.decompress(data)), allow_pickle=False)
