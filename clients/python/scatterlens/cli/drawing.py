"""Pictures of decoded frames, for `show` and `annotate --local`; frames are duck-typed here.

A frame has `image` float32 (H, W) and `mask` bool (H, W), True where a pixel is invalid.
"""

import io
from typing import Any

import numpy as np

from scatterlens.errors import NotAvailable

PNG_SIDE = 1024
MASKED = (46, 52, 64)
"""Colour of masked pixels: neutral, in no grey of the scale."""
_PERCENTILES = (1.0, 99.8)
_OPACITY = 0.7
_HEAT = np.array(
    [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], np.float32
)
"""Five stops from dark to bright, rising evenly in lightness; readable without seeing red."""


def grey_picture(frame: Any, longest_side: int) -> np.ndarray:
    """Log of block means as grey between percentiles, masked blocks neutral; uint8 (h, w, 3)."""
    live = ~frame.mask
    mean, share = block_mean(frame.image, live, longest_side)
    bright = np.log1p(np.maximum(mean, 0))
    low, high = np.percentile(bright[share > 0], _PERCENTILES) if live.any() else (0.0, 1.0)
    grey = np.clip((bright - low) / max(high - low, 1e-6), 0, 1)
    pixels = np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=2)
    pixels[share == 0] = MASKED
    return pixels


def overlay_picture(frame: Any, overlay: np.ndarray, full_colour: float) -> bytes:
    """PNG of a frame with a map on it: float32 (H, W), NaN where masked, in full colour there."""
    below = grey_picture(frame, PNG_SIDE)
    seen, _ = block_mean(np.nan_to_num(np.maximum(overlay, 0)), ~frame.mask, PNG_SIDE)
    strength = np.clip(seen / max(full_colour, 1e-6), 0, 1)
    position = strength * (len(_HEAT) - 1)
    stops = np.arange(len(_HEAT))
    colour = np.stack([np.interp(position, stops, channel) for channel in _HEAT.T], axis=-1)
    alpha = _OPACITY * np.sqrt(strength)[..., None]
    return encode_png((below * (1 - alpha) + colour * alpha).round().astype(np.uint8))


def block_mean(
    image: np.ndarray, live: np.ndarray, longest_side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the live pixels of square blocks, and how many there are; both (h, w)."""
    step = -(-max(image.shape) // longest_side)
    rows, cols = (np.arange(0, side, step) for side in image.shape)

    def blocks(array: np.ndarray) -> np.ndarray:
        return np.add.reduceat(np.add.reduceat(array, rows, axis=0), cols, axis=1)

    count = blocks(live.astype(np.float32))
    return blocks(np.where(live, image, 0)) / np.maximum(count, 1), count


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG of uint8 (h, w, 3)."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise NotAvailable("Pictures need Pillow: pip install 'scatterlens[frames]'") from error
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
