"""Profiles of a frame as arrays: mean counts by distance from the direct beam, or by direction."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scatterlens.schemas import AzimuthalProfile, GeometryIn, RadialProfile

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class RadialCurve:
    """Mean counts by ring around the direct beam, one pixel wide each; arrays of equal length."""

    frame_id: str
    geometry: GeometryIn | None
    """As the sender tells it, else the file; where None, there is no q."""
    center_yx: tuple[float, float]
    """The direct beam (row, col); the middle of the frame where it is not known."""
    chi_range_deg: tuple[float, float]
    radius_px: "np.ndarray"
    """Middles of the rings, in pixel widths."""
    q_inv_nm: "np.ndarray | None"
    intensity: "np.ndarray"
    """Mean counts per pixel; NaN in a ring without a live pixel."""
    sigma: "np.ndarray"
    """Standard error of the mean if counts are Poisson distributed."""
    pixels: "np.ndarray"
    """Live pixels in each ring."""


@dataclass(frozen=True, eq=False)
class AzimuthalCurve:
    """Mean counts by direction within a range of rings, one degree each; arrays of equal length."""

    frame_id: str
    geometry: GeometryIn | None
    center_yx: tuple[float, float]
    radius_range_px: tuple[float, float]
    q_range_inv_nm: tuple[float, float] | None
    chi_deg: "np.ndarray"
    """Middles of the sectors: 0 along growing columns, 90 along growing rows."""
    intensity: "np.ndarray"
    sigma: "np.ndarray"
    pixels: "np.ndarray"


def radial_curve(profile: RadialProfile) -> RadialCurve:
    """The profile with arrays for its lists."""
    return RadialCurve(**_with_arrays(profile))


def azimuthal_curve(profile: AzimuthalProfile) -> AzimuthalCurve:
    """The profile with arrays for its lists."""
    return AzimuthalCurve(**_with_arrays(profile))


def _with_arrays(profile: RadialProfile | AzimuthalProfile) -> dict[str, Any]:
    import numpy as np  # here, so that `import scatterlens` stays light

    def array(name: str, values: list[Any]) -> "np.ndarray":
        # As floats None becomes NaN.
        return np.array(values, np.int64 if name == "pixels" else np.float64)

    return {
        name: array(name, value) if isinstance(value, list) else value
        for name, value in vars(profile).items()
    }
