"""A decoded detector image: the one type that decoding gives and everything after it takes."""

from dataclasses import dataclass, field

import numpy as np

from scatterlens_models.geometry import Geometry


@dataclass(frozen=True, eq=False)
class Frame:
    """One detector image with its invalid and saturated pixels told apart."""

    image: np.ndarray
    """Counts, float32 (row, col); 0 where invalid."""
    mask: np.ndarray
    """True where a pixel is invalid (gap, dead, negative, NaN), bool (row, col)."""
    saturated: np.ndarray
    """True where a live pixel is at its ceiling, bool (row, col)."""
    geometry: Geometry | None = None
    """None where the file says nothing, or only a detector's defaults."""
    header: dict[str, str | int | float] = field(default_factory=dict)
    motors: dict[str, float] = field(default_factory=dict)
    """Positions of this very image, where the file tells them; in the file's units."""
    format: str = ""
    """What the content was: `edf`, `cbf`, `tiff`, `hdf5`, ..."""
    lossy: bool = False
    """True for pictures (JPEG, PNG) whose counts are not counts."""
