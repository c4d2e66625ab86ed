"""Where the detector stood.

Arrays are (row, col) = (slow, fast) = (y, x). Pixel centres lie at integers, so pyFAI's `poni1`
(along y, in metres, measured from the pixel's outer edge) is `(beam_center_y + 0.5) * pixel` for
a detector that is not tilted.
"""

import json
import math
from dataclasses import dataclass
from typing import Any

# Pixel sizes (m) of detectors that pyFAI names without stating them, by the start of the name.
_PIXEL_SIZES_M = {"pilatus": 172e-6, "eiger": 75e-6, "lambda": 55e-6, "maxipix": 55e-6}

HC_EV_M = 1.239841984e-6
"""Planck's constant times the speed of light, in eV m: wavelength = HC / energy."""


@dataclass(frozen=True)
class Geometry:
    """Position of an untilted detector behind the sample."""

    distance_m: float
    """Sample to detector along the beam, in metres."""
    wavelength_m: float
    """X-ray wavelength in metres."""
    pixel_size_m: tuple[float, float]
    """Pixel height and width, in metres."""
    beam_center_yx: tuple[float, float]
    """Row and column of the direct beam, in pixels; may lie off the image."""


def believable_geometry(
    distance_m: float | None,
    wavelength_m: float | None,
    pixel_size_m: tuple[float, float] | None,
    beam_center_yx: tuple[float, float] | None,
) -> Geometry | None:
    """Geometry from a header, or None where a part is missing or a mere default.

    Detectors write a beam centre of (0, 0) and no wavelength, or zeros, when nobody told them.
    """
    if distance_m is None or wavelength_m is None or not pixel_size_m or not beam_center_yx:
        return None
    values = (distance_m, wavelength_m, *pixel_size_m, *beam_center_yx)
    if not all(map(math.isfinite, values)) or min(values[:4]) <= 0:
        return None
    if beam_center_yx == (0.0, 0.0):
        return None
    return Geometry(distance_m, wavelength_m, pixel_size_m, beam_center_yx)


def parse_poni(text: str) -> Geometry:
    """Geometry of a pyFAI PONI file, version 1 to 2.1; `ValueError` says what it lacks.

    A tilted detector gives the distance and the pixel at which the direct beam meets it.
    """
    entries: dict[str, str] = {}
    for line in text.splitlines():
        key, separator, value = line.partition(":")
        if separator and not line.lstrip().startswith("#"):
            entries[key.strip().lower()] = value.strip()  # the last calibration counts
    try:
        config = json.loads(entries.get("detector_config") or "{}")
        distance, poni1, poni2, wavelength = (
            float(entries[key]) for key in ("distance", "poni1", "poni2", "wavelength")
        )
        rot1, rot2 = (float(entries.get(key, 0)) for key in ("rot1", "rot2"))
        pixel_y, pixel_x = _poni_pixel_size(entries, config)
    except KeyError as missing:
        raise ValueError(f"the PONI text lacks {missing}: send the whole file") from None
    if config.get("orientation", 3) not in (0, 3):
        raise ValueError("only PONI files of detector orientation 3 are read: calibrate in that")
    # Where the beam meets the detector plane: the third axis turned back by rot2, then rot1.
    beam_y = poni1 + distance * math.tan(rot2) / math.cos(rot1)
    beam_x = poni2 - distance * math.tan(rot1)
    geometry = believable_geometry(
        distance / (math.cos(rot1) * math.cos(rot2)),
        wavelength,
        (pixel_y, pixel_x),
        (beam_y / pixel_y - 0.5, beam_x / pixel_x - 0.5),
    )
    if geometry is None:
        raise ValueError("the PONI text holds a distance, wavelength or pixel size that is not > 0")
    return geometry


def _poni_pixel_size(entries: dict[str, str], config: dict[str, Any]) -> tuple[float, float]:
    """Pixel height and width in metres of a PONI file."""
    for source in (config, entries):
        pixels = source.get("pixel1", source.get("pixelsize1"))
        if pixels is not None:
            return float(pixels), float(source.get("pixel2", source.get("pixelsize2", pixels)))
    name = entries.get("detector", "").lower()
    for known, size in _PIXEL_SIZES_M.items():
        if name.startswith(known):
            return size, size
    raise ValueError(
        f"the pixel size of detector {name!r} is not known: state pixel1 and pixel2 in the file"
    )
