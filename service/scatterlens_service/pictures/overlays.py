"""Pictures of frames and maps, made from the arrays that a worker stored; nothing is decoded here.

A picture has the size of the stored preview, or less. Masked pixels are neutral: they are in no
contrast and carry no colour of the scale.
"""

import io
from dataclasses import replace
from typing import Literal

import numpy as np
from PIL import Image

from scatterlens_models.overlay import overlay
from scatterlens_models.preprocess import Placement, block_sums, compress, expand
from scatterlens_models.stored import PREVIEW_SIDE, StoredAnnotation
from scatterlens_service.pictures.colormaps import colorize

Scale = Literal["log", "sqrt", "linear"]
NEUTRAL = (46, 52, 64)
"""Colour of masked pixels: in none of the colour maps."""
_CONTRAST_PERCENTILES = (1.0, 99.8)
_TINY = 1e-6
"""Below what float16 maps hold: a map that is nowhere positive stays dark."""


def brightness(stored: StoredAnnotation, scale: Scale) -> np.ndarray:
    """Preview (h, w) as 0..1 between percentiles of its live pixels; 0 where masked."""
    live = ~stored.preview_mask
    values = stored.preview.astype(np.float32)  # the logarithm of counts
    if scale != "log":
        values = expand(values)
    if scale == "sqrt":
        values = np.sqrt(values)
    if not live.any():
        return np.zeros_like(values)
    low, high = np.percentile(values[live], _CONTRAST_PERCENTILES)
    span = high - low if high > low else 1.0  # a flat frame is dark, not noise
    return np.where(live, np.clip((values - low) / span, 0, 1), 0)


def reduced(stored: StoredAnnotation, longest_side: int) -> StoredAnnotation:
    """The same with a smaller preview, for pictures of at most half its size.

    The mean is one of counts over live pixels; what a thumbnail leaves out is never drawn.
    """
    step = max(stored.preview.shape) // longest_side
    if step < 2:
        return stored
    live = block_sums(~stored.preview_mask, step)
    counts = expand(stored.preview.astype(np.float32)) * ~stored.preview_mask
    mean = block_sums(counts, step) / np.maximum(live, 1)
    return replace(stored, preview=compress(mean).astype(np.float16), preview_mask=live == 0)


def picture(bright: np.ndarray, mask: np.ndarray, colormap: str) -> np.ndarray:
    """Colour a frame's brightness 0..1 (h, w): uint8 (h, w, 3), masked pixels neutral."""
    pixels = colorize(bright, colormap)
    pixels[mask] = NEUTRAL
    return pixels


def evidence(cells: np.ndarray, reference: float, stored: StoredAnnotation) -> np.ndarray:
    """Map (cells) on the stored preview: max(map, 0) / reference in 0..1, 0 where masked."""
    placed = preview_placement(stored)
    return np.nan_to_num(evidence_on(cells, reference, placed, stored.preview_mask))


def evidence_on(
    cells: np.ndarray, reference: float, placement: Placement, mask: np.ndarray
) -> np.ndarray:
    """Map (cells) on any pixels: max(map, 0) / reference in 0..1, NaN where masked."""
    spread = overlay(np.maximum(cells.astype(np.float32), 0), placement, mask)
    return np.clip(spread / np.float32(max(reference, _TINY)), 0, 1)


def preview_placement(stored: StoredAnnotation) -> Placement:
    """Where the preview lies in the network's input: its pixels are blocks of detector pixels."""
    placement = stored.placement
    block = -(-max(placement.shape_yx) // PREVIEW_SIDE)
    height, width = stored.preview.shape
    return Placement((height, width), placement.size, placement.scale * block, placement.pad_yx)


def layer(shown: np.ndarray, colormap: str, opacity: float) -> np.ndarray:
    """Evidence 0..1 (h, w) as a layer to lie on a frame: uint8 (h, w, 4).

    The alpha grows with the evidence, so that a frame stays visible where the map says nothing.
    """
    alpha = np.sqrt(shown) * opacity
    return np.dstack([colorize(shown, colormap), (alpha * 255).round().astype(np.uint8)])


def blend(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Lay a layer (h, w, 4) on a picture (h, w, 3): uint8 (h, w, 3)."""
    alpha = above[..., 3:].astype(np.float32) / 255
    mixed = below * (1 - alpha) + above[..., :3] * alpha
    return mixed.round().astype(np.uint8)


def encode_png(pixels: np.ndarray, longest_side: int) -> bytes:
    """PNG of uint8 (h, w, 3 or 4), made smaller where a side is longer than asked."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest_side, longest_side), Image.Resampling.BOX)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def encode_npy(array: np.ndarray) -> bytes:
    """Bytes of a `.npy` file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
