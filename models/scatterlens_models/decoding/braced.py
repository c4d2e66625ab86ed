"""Formats whose header is text in braces: EDF and SMV (ADSC).

Read here rather than by fabio, which fills truncated frames with zeros, opens neighbour files
that `EDF_BinaryFileName` names, and unpacks 4 GiB for a header that says 32 x 32.
"""

import re
from typing import NamedTuple

import numpy as np

from scatterlens_models.decoding.headers import edf_geometry
from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.positions import edf_motors, smv_motors
from scatterlens_models.decoding.raw import (
    RawImage,
    check_frames,
    check_image_shape,
    check_index,
    damaged,
    tidy,
    truncated,
)
from scatterlens_models.decoding.verdicts import FrameRejected, Probe

_MAX_HEADER = 1 << 20
_HEADER_END = re.compile(rb"\}[ \t]*\r?\n")

_EDF_TYPES = {
    "signedbyte": "i1",
    "signed8": "i1",
    "unsignedbyte": "u1",
    "unsigned8": "u1",
    "signedshort": "i2",
    "signed16": "i2",
    "unsignedshort": "u2",
    "unsigned16": "u2",
    "unsignedshortinteger": "u2",
    "signedinteger": "i4",
    "signedlong": "i4",  # four bytes, whatever the machine calls long
    "signed32": "i4",
    "unsignedinteger": "u4",
    "unsignedlong": "u4",
    "unsigned32": "u4",
    "signed64": "i8",
    "unsigned64": "u8",
    "float": "f4",
    "floatvalue": "f4",
    "float32": "f4",
    "floatieee32": "f4",
    "real": "f4",
    "double": "f8",
    "doublevalue": "f8",
    "doubleieee64": "f8",
}
_SMV_TYPES = {
    "unsigned_byte": "u1",
    "unsigned_short": "u2",
    "short": "i2",
    "unsigned_int": "u4",
    "unsigned_long": "u4",
    "signed_long": "i4",
    "long": "i4",
    "long_integer": "i4",
    "float": "f4",
}


class _Block(NamedTuple):
    entries: dict[str, str]
    dtype: np.dtype
    shape: tuple[int, ...]
    start: int
    """Where the data begins in the file."""


def probe_edf(data: bytes, limits: DecodeLimits) -> Probe:
    """Count the blocks that hold an image."""
    blocks = []
    for block in _edf_blocks(data):
        blocks.append(block)
        check_frames(len(blocks), limits)
    if not blocks:
        raise damaged("EDF", "No block of the file describes an image.")
    return _probe("edf", blocks[0].shape, len(blocks))


def read_edf(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read the block number `index`."""
    count = 0
    for block in _edf_blocks(data):
        if count == index:
            check_image_shape(block.shape, limits)
            header = tidy(dict(block.entries))
            return RawImage(
                counts=_array(data, block, "EDF"),
                header=header,
                geometry=edf_geometry(header),
                motors=edf_motors(dict(block.entries)),
            )
        count += 1
        check_frames(count, limits)
    if not count:
        raise damaged("EDF", "No block of the file describes an image.")
    check_index(index, count)
    raise AssertionError("unreachable")


def probe_smv(data: bytes, limits: DecodeLimits) -> Probe:
    """Shape of the only image of the file."""
    return _probe("smv", _smv_block(data).shape, 1)


def read_smv(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read the only image. Its beam centre is no geometry: sites disagree on which axis is X."""
    check_index(index, 1)
    block = _smv_block(data)
    check_image_shape(block.shape, limits)
    ceiling = block.entries.get("CCD_IMAGE_SATURATION", "")
    return RawImage(
        counts=_array(data, block, "SMV"),
        header=tidy(dict(block.entries)),
        motors=smv_motors(dict(block.entries)),
        ceiling=float(ceiling) if ceiling.isdigit() and int(ceiling) > 0 else None,
    )


def _probe(name: str, shape: tuple[int, ...], frames: int) -> Probe:
    return Probe(name, shape if frames == 1 else (frames, *shape), frames)


def _edf_blocks(data: bytes):
    """Yield the blocks with data, in order of the file."""
    position = 0
    while True:
        position = _skip_blank(data, position)
        if data[position : position + 1] != b"{":
            return
        entries, end = _entries(data, position, "EDF")
        if entries.get("EDF_BinaryFileName") or entries.get("EDF_BinaryFilePosition"):
            raise FrameRejected(
                "forbidden",
                "Refers to another file",
                "The EDF header names a second file that holds the data.",
                "Write header and data into one file.",
            )
        compression = entries.get("Compression", entries.get("COMPRESSION", "none")).lower()
        if compression not in ("none", "nocompression", "no", ""):
            raise FrameRejected(
                "unsupported",
                "Compressed EDF data",
                "EDF files with compressed data blocks are not read.",
                "Save it uncompressed, or compress the whole file as .gz or .bz2.",
            )
        size = int(entries.get("EDF_BinarySize", entries.get("Size", 0)) or 0)
        start = position + int(entries.get("EDF_HeaderSize", 0) or 0)
        start = start if start >= end else end
        if "Dim_1" not in entries and size <= 0:  # a block of general entries, without data
            position = end
            continue
        dims = [int(entries[key]) for key in ("Dim_1", "Dim_2", "Dim_3") if key in entries]
        if not dims or min(dims) <= 0:
            raise damaged("EDF", "Its dimensions are missing or not positive.")
        shape = tuple(reversed(dims))
        name = entries.get("DataType", "").lower()
        if name not in _EDF_TYPES:
            raise damaged("EDF", "Its data type is missing or unknown.")
        order = ">" if entries.get("ByteOrder", "").lower() == "highbytefirst" else "<"
        block = _Block(
            entries,
            np.dtype(order + _EDF_TYPES[name]),
            shape[-2:] if shape[0] == 1 else shape,
            start,
        )
        yield block
        position = start + max(size, _byte_count(block))


def _smv_block(data: bytes) -> _Block:
    entries, _ = _entries(data, _skip_blank(data, 0), "SMV")
    name = entries.get("TYPE", "").lower()
    if name not in _SMV_TYPES:
        raise damaged("SMV", "Its data type is missing or unknown.")
    order = ">" if entries.get("BYTE_ORDER", "").lower() == "big_endian" else "<"
    shape = (int(entries["SIZE2"]), int(entries["SIZE1"]))
    if min(shape) <= 0:
        raise damaged("SMV", "Its dimensions are not positive.")
    return _Block(entries, np.dtype(order + _SMV_TYPES[name]), shape, int(entries["HEADER_BYTES"]))


def _skip_blank(data: bytes, position: int) -> int:
    """Position of the next byte that is no blank, looking a little ahead only."""
    ahead = data[position : position + 16]
    return position + len(ahead) - len(ahead.lstrip())


def _entries(data: bytes, start: int, what: str) -> tuple[dict[str, str], int]:
    """`key = value ;` pairs of the header at `start`, and where it ends."""
    end = _HEADER_END.search(data, start, start + _MAX_HEADER)
    stop = end.end() if end else data.find(b"}", start, start + _MAX_HEADER) + 1
    if not stop:
        raise damaged(what, "Its header has no end.")
    entries = {}
    for line in data[start:stop].decode("latin-1").strip().strip("{}").split(";"):
        key, separator, value = line.partition("=")
        if separator:
            entries[key.strip()] = value.strip()
    return entries, stop


def _byte_count(block: _Block) -> int:
    count = block.dtype.itemsize
    for length in block.shape:
        count *= length
    return count


def _array(data: bytes, block: _Block, what: str) -> np.ndarray:
    """Counts of a block, a view of the file's bytes."""
    needed = _byte_count(block)
    if block.start + needed > len(data):
        raise truncated(what, needed, len(data) - block.start)
    flat = np.frombuffer(
        data, block.dtype, count=needed // block.dtype.itemsize, offset=block.start
    )
    return flat.reshape(block.shape)
