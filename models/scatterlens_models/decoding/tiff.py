"""TIFF by tifffile, with the headers of Pilatus, SAXSLAB and MarCCD in it."""

import io
import struct

import tifffile

from scatterlens_models.decoding.headers import (
    dectris_ceiling,
    dectris_geometry,
    dectris_header,
    saxslab_geometry,
    saxslab_header,
)
from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.pictures import grey
from scatterlens_models.decoding.positions import dectris_motors, saxslab_motors
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

_MARCCD_TAG = 34710
_MARCCD_CEILING = 65535.0
_COMPRESSIONS = {
    tifffile.COMPRESSION.NONE,
    tifffile.COMPRESSION.ADOBE_DEFLATE,
    tifffile.COMPRESSION.DEFLATE,
    tifffile.COMPRESSION.PACKBITS,
}


def probe_tiff(data: bytes, limits: DecodeLimits) -> Probe:
    """Shape of the first page and number of pages."""
    frames = _count_pages(data, limits)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        shape = _page(file, 0).shape[:2]
    return Probe("tiff", shape if frames == 1 else (frames, *shape), frames)


def read_tiff(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read one page."""
    check_index(index, _count_pages(data, limits))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = _page(file, index)
        check_image_shape(page.shape[:2], limits)
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if offset + count > len(data):
                raise truncated("TIFF", offset + count, len(data))
        pixels = page.asarray(maxworkers=1)
        tags = {tag.name: tag.value for tag in page.tags.values()}
        is_marccd = _MARCCD_TAG in page.tags
    if pixels.ndim == 3:
        return RawImage(counts=grey(pixels), header=_header(tags), lossy=True)
    saxslab = saxslab_header(str(tags.get("Artist", "")))
    dectris = dectris_header(str(tags.get("ImageDescription", "")))
    return RawImage(
        counts=pixels,
        header=_header(tags) | dectris | saxslab,
        geometry=saxslab_geometry(saxslab) if saxslab else dectris_geometry(dectris),
        motors=saxslab_motors(saxslab) if saxslab else dectris_motors(dectris),
        ceiling=_MARCCD_CEILING if is_marccd else dectris_ceiling(dectris),
    )


def _page(file: tifffile.TiffFile, index: int) -> tifffile.TiffPage:
    page = file.pages[index]
    if not isinstance(page, tifffile.TiffPage):
        raise damaged("TIFF", "Its pages have no full description.")
    if page.compression not in _COMPRESSIONS:
        raise FrameRejected(
            "unsupported",
            "Compression not read",
            "The TIFF is compressed by something other than deflate or PackBits.",
            "Save it uncompressed or with deflate (zip) compression.",
        )
    if page.dtype is None or len(page.shape) not in (2, 3):
        raise FrameRejected(
            "no_image",
            "Not an image",
            "The TIFF holds no two-dimensional data.",
            "Send a two-dimensional detector image.",
        )
    return page


def _header(tags: dict[str, object]) -> dict[str, str | int | float]:
    """Tags that say something of the measurement; the rest describes the file's layout."""
    wanted = ("Make", "Model", "Software", "DateTime")
    return tidy({name: tags[name] for name in wanted if tags.get(name)})


def _count_pages(data: bytes, limits: DecodeLimits) -> int:
    """Follow the chain of directories; a page that points back would never end."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset_format, count_format, entry, start = (
        (order + "Q", order + "Q", 20, 8) if big else (order + "I", order + "H", 12, 4)
    )
    seen: set[int] = set()
    (position,) = struct.unpack_from(offset_format, data, start)
    while position:
        if position in seen or position + struct.calcsize(count_format) > len(data):
            raise damaged("TIFF", "Its pages point at one another or outside the file.")
        seen.add(position)
        check_frames(len(seen), limits)
        (entries,) = struct.unpack_from(count_format, data, position)
        link = position + struct.calcsize(count_format) + entries * entry
        if link + struct.calcsize(offset_format) > len(data):
            raise damaged("TIFF", "Its directory ends outside the file.")
        (position,) = struct.unpack_from(offset_format, data, link)
    if not seen:
        raise damaged("TIFF", "It has no page.")
    return len(seen)
