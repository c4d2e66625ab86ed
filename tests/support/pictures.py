"""What the canvas of a frame page shows, detector pixel by detector pixel."""

import base64
import io

import numpy as np
from PIL import Image
from playwright.sync_api import Locator


def canvas(picture: Locator) -> np.ndarray:
    """The canvas as it is: uint8 (h, w, 3)."""
    url = picture.locator("canvas").evaluate("node => node.toDataURL()")
    image = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    return np.asarray(image.convert("RGB"))


def samples(seen: tuple[int, ...], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, float]:
    """Rows and columns of the canvas at the middles of detector pixels, and a pixel's size."""
    scale = min(seen[0] / shape[0], seen[1] / shape[1])
    rows, cols = (
        (all_ / 2 + (np.arange(length) - (length - 1) / 2) * scale).astype(int)
        for all_, length in zip(seen, shape, strict=False)
    )
    return rows, cols, scale


def read_back(picture: Locator, shape: tuple[int, int]) -> np.ndarray:
    """Colour at the middle of every detector pixel, row 0 at the top: uint8 (H, W, 3)."""
    seen = canvas(picture)
    rows, cols, _ = samples(seen.shape, shape)
    return seen[rows[:, None], cols[None, :]]
