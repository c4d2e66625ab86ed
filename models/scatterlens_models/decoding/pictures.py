"""PNG and JPEG: renderings of frames, read as grey and flagged as lossy."""

import io

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.raw import RawImage, check_image_shape, check_index
from scatterlens_models.decoding.verdicts import Probe

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's mode L
_FORMATS = (JpegImagePlugin.JpegImageFile.format, PngImagePlugin.PngImageFile.format)


def probe_picture(data: bytes, limits: DecodeLimits) -> Probe:
    """Size of the picture."""
    with _open(data, limits) as picture:
        return Probe(str(picture.format).lower(), (picture.height, picture.width), 1)


def read_picture(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read the picture as grey values."""
    check_index(index, 1)
    with _open(data, limits) as picture:
        if picture.mode in ("P", "PA", "CMYK", "YCbCr"):
            pixels = np.asarray(picture.convert("RGB"))
        elif picture.mode == "1":
            pixels = np.asarray(picture.convert("L"))
        else:
            pixels = np.asarray(picture)
    return RawImage(counts=grey(pixels), lossy=True)


def grey(pixels: np.ndarray) -> np.ndarray:
    """Luminance (rows, cols) of pixels (rows, cols) or (rows, cols, 1 to 4); alpha is ignored."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] < 3:
        return np.ascontiguousarray(pixels[..., 0])
    return pixels[..., :3].astype(np.float32) @ _LUMINANCE


def _open(data: bytes, limits: DecodeLimits) -> Image.Image:
    picture = Image.open(io.BytesIO(data), formats=[name for name in _FORMATS if name])
    check_image_shape((picture.height, picture.width), limits)
    return picture
