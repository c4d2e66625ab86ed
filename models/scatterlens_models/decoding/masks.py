"""Which pixels count: from stored values to a `Frame`."""

import math

import numpy as np

from scatterlens_models.decoding.raw import RawImage
from scatterlens_models.decoding.verdicts import FrameRejected
from scatterlens_models.frame import Frame

PILATUS_CEILING = 2.0**20
"""A Pilatus pixel counts 20 bits; where rate correction moves that, the header says so."""
_MODULE_YX = (195, 487)
_GAP_YX = (17, 7)


def to_frame(raw: RawImage, format_name: str) -> Frame:
    """Tell invalid and saturated pixels from live ones; `FrameRejected` if none is live."""
    counts = raw.counts
    if counts.dtype.kind not in "iuf":
        raise FrameRejected(
            "no_image",
            "Not counts",
            f"The data is of the type {counts.dtype}.",
            "Send integer or floating-point counts.",
        )
    image = np.ascontiguousarray(counts, dtype=np.float32)
    if image is counts or not image.flags.writeable:
        image = image.copy()
    mask = _invalid(counts, raw)
    if mask.all():
        raise FrameRejected(
            "empty",
            "No live pixel",
            "Every pixel is masked or invalid.",
            "Check the detector's mask and whether the exposure was written.",
        )
    saturated = _saturated(counts, raw)
    saturated &= ~mask
    if raw.invalid is not None and counts.dtype.kind == "u" and raw.ceiling is not None:
        # An Eiger writes 2**n - 1 for an overflow: no count, and far above every other.
        np.minimum(image, np.float32(raw.ceiling), out=image)
    image[mask] = 0
    return Frame(
        image=image,
        mask=mask,
        saturated=saturated,
        geometry=raw.geometry,
        header=raw.header,
        format=format_name,
        lossy=raw.lossy,
    )


def _invalid(counts: np.ndarray, raw: RawImage) -> np.ndarray:
    """True where a pixel carries no count, bool (rows, cols)."""
    if counts.dtype.kind == "f":
        # One comparison for negative, NaN and both infinities.
        mask = ~((counts >= 0) & (counts < np.inf))
    elif counts.dtype.kind == "i":
        mask = counts < 0
    elif raw.invalid is None and (raw.top_is_invalid or counts.dtype.itemsize >= 4):
        mask = counts == np.iinfo(counts.dtype).max
    else:
        mask = np.zeros(counts.shape, bool)
    if raw.invalid is not None:
        mask |= raw.invalid
    for stripe in _pilatus_gaps(counts.shape):
        # Some programs write the gaps between modules as zeros.
        if not (counts[stripe] > 0).any():
            mask[stripe] = True
    return mask


def _saturated(counts: np.ndarray, raw: RawImage) -> np.ndarray:
    """True where a value is at or above its ceiling, bool (rows, cols)."""
    ceiling = raw.ceiling if raw.ceiling is not None else _usual_ceiling(counts, raw.lossy)
    if ceiling is None:
        return np.zeros(counts.shape, bool)
    if counts.dtype.kind == "f":
        return counts >= ceiling
    # Compared as integers: a float would turn the whole frame into float64 first.
    whole = math.ceil(ceiling)
    if whole > np.iinfo(counts.dtype).max:
        return np.zeros(counts.shape, bool)
    return counts >= counts.dtype.type(whole)


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
