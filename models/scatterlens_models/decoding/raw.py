"""What a reader gives: counts as stored, with what the file says about them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.verdicts import FrameRejected, Probe
from scatterlens_models.geometry import Geometry

Header = dict[str, str | int | float]

_MAX_ENTRIES = 200
_MAX_TEXT = 500


@dataclass(frozen=True, eq=False)
class RawImage:
    """One image as stored (rows, cols), before masks are found."""

    counts: np.ndarray
    header: Header = field(default_factory=dict)
    geometry: Geometry | None = None
    motors: dict[str, float] = field(default_factory=dict)
    """Positions of this very image."""
    invalid: np.ndarray | None = None
    """True where the file's own pixel mask says invalid."""
    ceiling: float | None = None
    """Value from which on a pixel is saturated, where the file says so."""
    top_is_invalid: bool = False
    """True where the largest unsigned value marks a pixel without a count (Eiger)."""
    lossy: bool = False


class Reader(NamedTuple):
    """The two things that every format can do with the bytes of a file."""

    probe: Callable[[bytes, DecodeLimits], Probe]
    """Shape and number of frames, without decoding pixels."""
    read: Callable[[bytes, int, DecodeLimits], RawImage]
    """One image by its index."""


def check_image_shape(shape: tuple[int, ...], limits: DecodeLimits) -> None:
    """Refuse shapes (rows, cols) that are no image or more pixels than allowed."""
    if len(shape) != 2 or min(shape) < 2:
        raise FrameRejected(
            "no_image",
            "Not an image",
            f"The data has the shape {describe_shape(shape)}.",
            "Send a two-dimensional detector image, or a stack of them.",
        )
    if math.prod(shape) > limits.pixels:
        raise FrameRejected(
            "too_large",
            "Frame too large",
            f"{describe_shape(shape)} pixels are more than the {limits.pixels} allowed.",
            "Crop or bin the frame, or have the limit raised.",
        )


def check_frames(frames: int, limits: DecodeLimits) -> None:
    """Refuse files with more images than allowed."""
    if frames > limits.frames:
        raise FrameRejected(
            "too_large",
            "Too many frames",
            f"The file holds more than {limits.frames} images.",
            "Split it into several files.",
        )


def check_index(index: int, frames: int) -> None:
    """Refuse an index that the file has no image for."""
    if not 0 <= index < frames:
        raise FrameRejected(
            "no_image",
            "No such frame",
            f"Frame {index} was asked for; the file holds {frames}, counted from 0.",
            "Ask for one of those.",
        )


def truncated(what: str, expected: int, found: int) -> FrameRejected:
    """Verdict on a file that ends before its data does."""
    return FrameRejected(
        "unreadable",
        "Truncated file",
        f"The {what} header announces {expected} bytes of data, {max(found, 0)} are there.",
        "Copy the file again once it is completely written.",
    )


def damaged(what: str, problem: str) -> FrameRejected:
    """Verdict on content that contradicts itself."""
    return FrameRejected(
        "unreadable",
        f"Damaged {what} file",
        problem,
        "Open it with the detector's software, and write or copy it again.",
    )


def tidy(entries: dict[str, object]) -> Header:
    """Keep the first entries of a header as short texts and numbers, fit to be passed on."""
    kept: Header = {}
    for key, value in list(entries.items())[:_MAX_ENTRIES]:
        if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            kept[str(key)[:_MAX_TEXT]] = value
        else:
            kept[str(key)[:_MAX_TEXT]] = str(value).strip()[:_MAX_TEXT]
    return kept


def describe_shape(shape: tuple[int, ...]) -> str:
    """Shape as people write it: `1679 x 1475`."""
    return " x ".join(map(str, shape)) or "a single value"
