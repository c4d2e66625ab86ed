"""Where the detector stood.

Arrays are (row, col) = (slow, fast) = (y, x). Pixel centres lie at integers, so pyFAI's
`poni1` (along y, in metres, measured from the pixel's outer edge) is `(beam_center_y + 0.5) * pixel`
for a detector that is not tilted.
"""

from dataclasses import dataclass


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
