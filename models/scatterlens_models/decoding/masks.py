"""Which pixels count: from stored values to a `Frame`."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scatterlens_models.decoding.raw import RawImage
from scatterlens_models.decoding.verdicts import FrameRejected
from scatterlens_models.frame import Frame

PILATUS_CEILING = 2.0**20
"""A Pilatus pixel counts 20 bits; where rate correction moves that, the header says so."""
_MODULE_YX = (195, 487)
_GAP_YX = (17, 7)


class Planes(NamedTuple):
    """Memory for the arrays of a frame, all of one shape (rows, cols)."""

    image: np.ndarray
    """float32"""
    mask: np.ndarray
    """bool"""
    saturated: np.ndarray
    """bool"""


def new_planes(shape: tuple[int, int]) -> Planes:
    """Planes in the memory of this process."""
    return Planes(np.empty(shape, np.float32), np.empty(shape, bool), np.empty(shape, bool))


def to_frame(
    raw: RawImage,
    format_name: str,
    allocate: Callable[[tuple[int, int]], Planes] = new_planes,
) -> Frame:
    """Tell invalid and saturated pixels from live ones; `FrameRejected` if none is live.

    The arrays are written into what `allocate` gives for the shape of the frame.
    """
    counts = raw.counts
    if counts.dtype.kind not in "iuf":
        raise FrameRejected(
            "no_image",
            "Not counts",
            f"The data is of the type {counts.dtype}.",
            "Send integer or floating-point counts.",
        )
    image, mask, saturated = allocate((counts.shape[0], counts.shape[1]))
    _find_invalid(counts, raw, mask)
    if mask.all():
        raise FrameRejected(
            "empty",
            "No live pixel",
            "Every pixel is masked or invalid.",
            "Check the detector's mask and whether the exposure was written.",
        )
    _find_saturated(counts, raw, saturated)
    np.greater(saturated, mask, out=saturated)  # saturated and not masked
    np.copyto(image, counts, casting="unsafe")
    if raw.invalid is not None and counts.dtype.kind == "u" and raw.ceiling is not None:
        # An Eiger writes 2**n - 1 for an overflow: no count, and far above every other.
        np.minimum(image, np.float32(raw.ceiling), out=image)
    np.copyto(image, np.float32(0), where=mask)
    return Frame(
        image=image,
        mask=mask,
        saturated=saturated,
        geometry=raw.geometry,
        header=raw.header,
        motors=raw.motors,
        format=format_name,
        lossy=raw.lossy,
    )


def _find_invalid(counts: np.ndarray, raw: RawImage, mask: np.ndarray) -> None:
    """Set True where a pixel carries no count."""
    if counts.dtype.kind == "f":
        # Two comparisons for negative, NaN and both infinities.
        np.greater_equal(counts, 0, out=mask)
        mask &= counts < np.inf
        np.logical_not(mask, out=mask)
    elif counts.dtype.kind == "i":
        np.less(counts, 0, out=mask)
    elif raw.invalid is None and (raw.top_is_invalid or counts.dtype.itemsize >= 4):
        np.equal(counts, np.iinfo(counts.dtype).max, out=mask)
    else:
        mask[:] = False
    if raw.invalid is not None:
        mask |= raw.invalid
    for stripe in _pilatus_gaps(counts.shape):
        # Some programs write the gaps between modules as zeros.
        if not (counts[stripe] > 0).any():
            mask[stripe] = True


def _find_saturated(counts: np.ndarray, raw: RawImage, saturated: np.ndarray) -> None:
    """Set True where a value is at or above its ceiling."""
    saturated[:] = False
    ceiling = raw.ceiling if raw.ceiling is not None else _usual_ceiling(counts, raw.lossy)
    if ceiling is None:
        return
    if counts.dtype.kind == "f":
        np.greater_equal(counts, ceiling, out=saturated)
    elif ceiling <= np.iinfo(counts.dtype).max:
        # Compared as integers: a float would turn the whole frame into float64 first.
        np.greater_equal(counts, counts.dtype.type(math.ceil(ceiling)), out=saturated)


def _usual_ceiling(counts: np.ndarray, lossy: bool) -> float | None:
    """Saturation value that such data is known for, where the file states none."""
    if counts.dtype.kind == "u" and not lossy:
        return float(np.iinfo(counts.dtype).max)
    if counts.dtype.kind == "i" and counts.dtype.itemsize == 4 and _is_pilatus(counts.shape):
        return PILATUS_CEILING
    return None


def _is_pilatus(shape: tuple[int, ...]) -> bool:
    """Whether rows and columns are those of whole Pilatus modules with their gaps."""
    return all(
        length >= module and (length + gap) % (module + gap) == 0
        for length, module, gap in zip(shape, _MODULE_YX, _GAP_YX, strict=True)
    )


def _pilatus_gaps(shape: tuple[int, ...]) -> list[tuple[slice, slice]]:
    """Stripes between the modules of a Pilatus, row stripes first; none for other shapes."""
    if not _is_pilatus(shape):
        return []
    everything = slice(None)
    (rows, cols), (module_y, module_x), (gap_y, gap_x) = shape, _MODULE_YX, _GAP_YX
    return [
        (slice(start, start + gap_y), everything)
        for start in range(module_y, rows, module_y + gap_y)
    ] + [
        (everything, slice(start, start + gap_x))
        for start in range(module_x, cols, module_x + gap_x)
    ]
