"""Mar345 and Bruker, read by fabio."""

import struct

import fabio.ext.mar345_IO  # noqa: F401 - fabio loads it late, when no file can be opened any more
from fabio.bruker100image import Bruker100Image
from fabio.brukerimage import BrukerImage
from fabio.fabioimage import FabioImage
from fabio.fabioutils import BytesIO
from fabio.mar345image import Mar345Image

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.raw import RawImage, check_image_shape, check_index, damaged, tidy
from scatterlens_models.decoding.verdicts import Probe


def probe_mar345(data: bytes, limits: DecodeLimits) -> Probe:
    """Shape of the image, from the header."""
    return Probe("mar345", _mar345_shape(data), 1)


def read_mar345(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read the only image."""
    check_index(index, 1)
    check_image_shape(_mar345_shape(data), limits)
    return _read(Mar345Image(), data, "Mar345", limits)


def _mar345_shape(data: bytes) -> tuple[int, int]:
    order = "<" if data.startswith(b"\xd2\x04") else ">"
    (cols,), (pixels,) = (struct.unpack_from(order + "i", data, at) for at in (4, 20))
    if cols < 1 or pixels < cols:
        raise damaged("Mar345", "Its dimensions are not positive.")
    return pixels // cols, cols


def probe_bruker(data: bytes, limits: DecodeLimits) -> Probe:
    """Shape of the image."""
    return Probe("bruker", read_bruker(data, 0, limits).counts.shape, 1)


def read_bruker(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read the only image, of format 86 or 100."""
    check_index(index, 1)
    image = Bruker100Image() if data.startswith(b"FORMAT :100") else BrukerImage()
    return _read(image, data, "Bruker", limits)


def _read(image: FabioImage, data: bytes, what: str, limits: DecodeLimits) -> RawImage:
    read = image.read(BytesIO(data))
    counts = None if read is None else read.data
    if counts is None:
        raise damaged(what, "It holds no image.")
    check_image_shape(counts.shape, limits)
    return RawImage(counts=counts, header=tidy(dict(read.header)))
