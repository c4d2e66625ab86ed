"""Mar345 and Bruker, read by fabio."""

from fabio.bruker100image import Bruker100Image
from fabio.brukerimage import BrukerImage
from fabio.fabioimage import FabioImage
from fabio.fabioutils import BytesIO
from fabio.mar345image import Mar345Image

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.raw import RawImage, check_image_shape, check_index, damaged, tidy
from scatterlens_models.decoding.verdicts import Probe


def probe_mar345(data: bytes, limits: DecodeLimits) -> Probe:
    """Shape of the image."""
    return Probe("mar345", _read(Mar345Image(), data, "Mar345", limits).counts.shape, 1)


def read_mar345(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read the only image."""
    check_index(index, 1)
    return _read(Mar345Image(), data, "Mar345", limits)


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
