"""CBF as Pilatus and other detectors write it: one image, compressed by byte offsets."""

import base64
import hashlib
import re

import numpy as np
from fabio.ext import byte_offset  # pyright: ignore[reportAttributeAccessIssue]

from scatterlens_models.decoding.headers import dectris_ceiling, dectris_geometry, dectris_header
from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.positions import dectris_motors
from scatterlens_models.decoding.raw import (
    RawImage,
    check_image_shape,
    check_index,
    damaged,
    truncated,
)
from scatterlens_models.decoding.verdicts import FrameRejected, Probe

_SECTION = b"--CIF-BINARY-FORMAT-SECTION--"
_DATA_START = b"\x0c\x1a\x04\xd5"
_MAX_HEADER = 1 << 20
_FIELD = re.compile(r'^\s*([\w-]+)\s*[:=]\s*"?([^"\r\n;]*)', re.MULTILINE)
_TYPES = {
    "signed 8-bit integer": "i1",
    "unsigned 8-bit integer": "u1",
    "signed 16-bit integer": "i2",
    "unsigned 16-bit integer": "u2",
    "signed 32-bit integer": "i4",
    "unsigned 32-bit integer": "u4",
}


def probe_cbf(data: bytes, limits: DecodeLimits) -> Probe:
    """Shape of the only image of the file."""
    fields, _, _ = _binary_section(data)
    return Probe("cbf", _shape(fields), 1)


def read_cbf(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Decompress the image and compare it with the checksum, where the file has one."""
    check_index(index, 1)
    fields, text, start = _binary_section(data)
    shape = _shape(fields)
    check_image_shape(shape, limits)
    if fields.get("conversions", "").lower() != "x-cbf_byte_offset":
        raise FrameRejected(
            "unsupported",
            "Compression not read",
            "The CBF data is not compressed by byte offsets.",
            "Convert it, for example with CBFlib's cif2cbf, to x-CBF_BYTE_OFFSET.",
        )
    size = int(fields["X-Binary-Size"])
    if size <= 0 or start + size > len(data):
        raise truncated("CBF", size, len(data) - start)
    packed = data[start : start + size]
    # Damaged bytes decompress to wrong counts without an error: only the checksum tells.
    checksum = fields.get("Content-MD5")
    if checksum and base64.b64encode(hashlib.md5(packed, usedforsecurity=False).digest()) != (
        checksum.strip().encode()
    ):
        raise damaged("CBF", "The data does not match the checksum in its header.")
    dtype = np.dtype(_TYPES.get(fields.get("X-Binary-Element-Type", "").strip(), "i4"))
    count = shape[0] * shape[1]
    unpack = byte_offset.dec_cbf32 if dtype == np.int32 else byte_offset.dec_cbf
    counts = np.asarray(unpack(packed, count))
    if counts.size != count:
        raise truncated("CBF", count * dtype.itemsize, counts.size * dtype.itemsize)
    header = dectris_header(text)
    return RawImage(
        counts=counts.astype(dtype, copy=False).reshape(shape),
        header=header,
        geometry=dectris_geometry(header),
        motors=dectris_motors(header),
        ceiling=dectris_ceiling(header),
    )


def _binary_section(data: bytes) -> tuple[dict[str, str], str, int]:
    """Fields of the only binary section, the text before it, and where its data starts."""
    section = data.find(_SECTION, 0, _MAX_HEADER)
    marker = data.find(_DATA_START, section, section + _MAX_HEADER) if section >= 0 else -1
    if marker < 0:
        raise damaged("CBF", "It holds no binary image.")
    text = data[:section].decode("latin-1")
    fields = dict(_FIELD.findall(data[section:marker].decode("latin-1")))
    start = marker + len(_DATA_START)
    if "X-Binary-Size" not in fields:
        raise damaged("CBF", "The size of its data is missing.")
    if _DATA_START in data[start + int(fields["X-Binary-Size"]) :]:
        raise FrameRejected(
            "unsupported",
            "Several images in one CBF",
            "The file holds the image in several sections, one for each module.",
            "Assemble the modules into one image first.",
        )
    return fields, text, start


def _shape(fields: dict[str, str]) -> tuple[int, int]:
    try:
        return (
            int(fields["X-Binary-Size-Second-Dimension"]),
            int(fields["X-Binary-Size-Fastest-Dimension"]),
        )
    except (KeyError, ValueError):
        raise damaged("CBF", "Its header does not state the size of the image.") from None
