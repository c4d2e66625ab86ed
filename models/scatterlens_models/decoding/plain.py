"""Arrays with a short header or none: npy, SPE, and int32 known by its size."""

import io
import struct

import numpy as np

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.raw import (
    RawImage,
    check_frames,
    check_image_shape,
    check_index,
    damaged,
    describe_shape,
    truncated,
)
from scatterlens_models.decoding.sniff import HEADERLESS_SHAPES
from scatterlens_models.decoding.verdicts import FrameRejected, Probe

_SPE_DATA = 4100
_SPE_TYPES = {0: "<f4", 1: "<i4", 2: "<i2", 3: "<u2", 5: "<f8", 6: "<u1", 8: "<u4"}
_COUNTS_RANGE = (-2, 1 << 20)
_COUNTS_SHARE = 0.95


def probe_npy(data: bytes, limits: DecodeLimits) -> Probe:
    """Shape from the header."""
    shape, _, _ = _npy_layout(data)
    frames = shape[0] if len(shape) == 3 else 1
    check_frames(frames, limits)
    return Probe("npy", shape[-2:] if frames == 1 else shape, frames)


def read_npy(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read an image of an array (rows, cols) or (frames, rows, cols); never unpickles."""
    shape, dtype, start = _npy_layout(data)
    frames = shape[0] if len(shape) == 3 else 1
    check_index(index, frames)
    check_image_shape(shape[-2:], limits)
    counts = _slice(data, dtype, shape[-2:], start, index, "npy")
    return RawImage(counts=counts)


def probe_spe(data: bytes, limits: DecodeLimits) -> Probe:
    """Shape from the header."""
    _, shape, frames = _spe_layout(data)
    check_frames(frames, limits)
    return Probe("spe", shape if frames == 1 else (frames, *shape), frames)


def read_spe(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read one frame of a Princeton Instruments file."""
    dtype, shape, frames = _spe_layout(data)
    check_index(index, frames)
    check_image_shape(shape, limits)
    return RawImage(
        counts=_slice(data, dtype, shape, _SPE_DATA, index, "SPE"),
        header={"exposure_s": round(struct.unpack_from("<f", data, 10)[0], 6)},
    )


def probe_int32(data: bytes, limits: DecodeLimits) -> Probe:
    """Shape by the size of the file."""
    return Probe("int32", HEADERLESS_SHAPES[len(data)], 1)


def read_int32(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read an image without header, if its values are such as detectors count."""
    check_index(index, 1)
    counts = np.frombuffer(data, "<i4").reshape(HEADERLESS_SHAPES[len(data)])
    low, high = _COUNTS_RANGE
    if np.mean((counts >= low) & (counts <= high)) < _COUNTS_SHARE:
        raise FrameRejected(
            "unsupported",
            "Format not recognised",
            "The size is that of a header-less Pilatus frame, but the values are no counts.",
            "Send EDF, CBF, TIFF, HDF5/NeXus or another supported format.",
        )
    return RawImage(counts=counts)


def _npy_layout(data: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read(stream)
    if dtype.hasobject or dtype.names or dtype.kind not in "iuf":
        raise FrameRejected(
            "unsupported",
            "Not an array of numbers",
            f"The npy file holds data of the type {str(dtype)[:60]}.",
            "Save integer or floating-point counts, without Python objects.",
        )
    if len(shape) > 3:
        raise FrameRejected(
            "unsupported",
            "Too many dimensions",
            f"The npy array has the shape {describe_shape(shape)}.",
            "Send an array (rows, cols) or (frames, rows, cols).",
        )
    if len(shape) < 2 or 0 in shape:
        raise FrameRejected(
            "no_image",
            "Not an image",
            f"The npy array has the shape {describe_shape(shape)}.",
            "Send an array (rows, cols) or (frames, rows, cols).",
        )
    if fortran:
        raise FrameRejected(
            "unsupported",
            "Column order",
            "The npy array is stored column by column.",
            "Save np.ascontiguousarray(array).",
        )
    return shape, dtype, stream.tell()


def _spe_layout(data: bytes) -> tuple[np.dtype, tuple[int, int], int]:
    (code,) = struct.unpack_from("<h", data, 108)
    (cols,) = struct.unpack_from("<H", data, 42)
    (rows,) = struct.unpack_from("<H", data, 656)
    (frames,) = struct.unpack_from("<i", data, 1446)
    if code not in _SPE_TYPES or frames < 1 or rows < 1 or cols < 1:
        raise damaged("SPE", "Its data type or dimensions are not valid.")
    return np.dtype(_SPE_TYPES[code]), (rows, cols), frames


def _slice(
    data: bytes, dtype: np.dtype, shape: tuple[int, ...], start: int, index: int, what: str
) -> np.ndarray:
    """Image number `index` of a stack that lies frame by frame from `start` on."""
    count = shape[0] * shape[1]
    first = start + index * count * dtype.itemsize
    if first + count * dtype.itemsize > len(data):
        raise truncated(what, (index + 1) * count * dtype.itemsize, len(data) - start)
    return np.frombuffer(data, dtype, count=count, offset=first).reshape(shape)
