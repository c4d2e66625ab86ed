"""Profiles of a frame: sums over rings and sectors around the direct beam.

Pixels are sorted once into rings one pixel wide and sectors of one degree; every radial or
azimuthal profile is then a sum over that table, so a new range costs no second look at the pixels.
A pixel counts where its centre lies; nothing is split, no solid angle or polarisation corrected.
"""

import io
import math
import zlib
from dataclasses import dataclass

import numpy as np

from scatterlens_models.frame import Frame
from scatterlens_models.geometry import Geometry

SECTORS = 360
"""Sector `s` holds chi from `s - 180` degrees up to, not including, `s - 179`."""
FARTHEST = 100_000
"""Pixels: from a beam centre further off than this, a frame has no rings to speak of."""


@dataclass(frozen=True, eq=False)
class PolarSums:
    """Counts of a frame by ring and sector."""

    first: int
    """Ring number of the first row: ring `n` holds radii `n - 0.5` to `n + 0.5` pixel widths."""
    counts: np.ndarray
    """Sum of the live pixels' counts, float64 (rings, 360)."""
    pixels: np.ndarray
    """How many live pixels that is, uint32 (rings, 360)."""

    @property
    def radii(self) -> np.ndarray:
        """Middle of each ring in pixel widths, float64 (rings,)."""
        return self.first + np.arange(len(self.counts), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Profile:
    """Mean counts along one axis; NaN where no pixel is live."""

    intensity: np.ndarray
    """Mean counts per pixel, float64 (N,)."""
    sigma: np.ndarray
    """Standard error of the mean if counts are Poisson distributed, float64 (N,)."""
    pixels: np.ndarray
    """Live pixels, int64 (N,)."""


def sum_polar(frame: Frame, center_yx: tuple[float, float], aspect: float = 1.0) -> PolarSums:
    """Sort the live pixels of a frame by radius and angle around the direct beam.

    `aspect` is pixel height by pixel width. chi is `atan2` of the rows below the beam and the
    columns right of it, as in pyFAI. Raises `ValueError` where the centre lies `FARTHEST` off.
    """
    height, width = frame.image.shape
    down = (np.arange(height, dtype=np.float32) - np.float32(center_yx[0])) * np.float32(aspect)
    right = np.arange(width, dtype=np.float32) - np.float32(center_yx[1])
    radius = np.hypot(down[:, None], right[None, :])
    if float(radius.max()) > FARTHEST:
        raise ValueError(
            f"the beam centre {center_yx} lies more than {FARTHEST} pixels from the frame: "
            "correct the geometry"
        )
    ring = np.rint(radius).astype(np.int32)
    chi = np.degrees(np.arctan2(down[:, None], right[None, :]))
    sector = np.minimum(np.floor(chi + 180).astype(np.int32), SECTORS - 1)
    live = ~frame.mask
    first, last = (int(ring.min()), int(ring.max())) if live.any() else (0, 0)
    cell = ((ring - first) * SECTORS + sector)[live]
    size = (last - first + 1) * SECTORS
    counts = np.bincount(cell, weights=frame.image[live], minlength=size)
    pixels = np.bincount(cell, minlength=size).astype(np.uint32)
    return PolarSums(first, counts.reshape(-1, SECTORS), pixels.reshape(-1, SECTORS))


def radial(sums: PolarSums, chi_deg: tuple[float, float] = (-180.0, 180.0)) -> Profile:
    """Profile by ring over the sectors whose middles lie in the range; it may pass 180 degrees."""
    low, high = chi_deg
    middles = np.arange(SECTORS) - 179.5
    chosen = (middles - low) % 360 < high - low
    return _profile(sums.counts[:, chosen].sum(1), sums.pixels[:, chosen].sum(1))


def azimuthal(sums: PolarSums, radii: tuple[float, float]) -> Profile:
    """Profile by sector over the rings whose middles lie in the range (pixel widths)."""
    chosen = (sums.radii >= radii[0]) & (sums.radii <= radii[1])
    return _profile(sums.counts[chosen].sum(0), sums.pixels[chosen].sum(0))


def _profile(counts: np.ndarray, pixels: np.ndarray) -> Profile:
    seen = pixels > 0
    divisor = np.where(seen, pixels, 1)
    return Profile(
        np.where(seen, counts / divisor, np.nan),
        np.where(seen, np.sqrt(np.maximum(counts, 0)) / divisor, np.nan),
        pixels.astype(np.int64),
    )


def q_of_radius(radius: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Scattering vector in nm^-1 at radii in pixel widths."""
    tangent = radius * geometry.pixel_size_m[1] / geometry.distance_m
    theta = np.arctan(tangent) / 2
    return 4e-9 * math.pi / geometry.wavelength_m * np.sin(theta)


def radius_of_q(q_inv_nm: float, geometry: Geometry) -> float:
    """Radius in pixel widths of a scattering vector; infinite where a flat detector ends."""
    sine = q_inv_nm * 1e9 * geometry.wavelength_m / (4 * math.pi)
    if sine >= math.sin(math.pi / 4):
        return math.inf
    return math.tan(2 * math.asin(sine)) * geometry.distance_m / geometry.pixel_size_m[1]


def pack_sums(sums: PolarSums) -> bytes:
    """Bytes for the blob store: an npz without pickles, deflated as a whole."""
    stream = io.BytesIO()
    arrays = {"first": np.array(sums.first), "counts": sums.counts, "pixels": sums.pixels}
    np.savez(stream, allow_pickle=False, **arrays)
    return zlib.compress(stream.getvalue(), level=1)


def unpack_sums(data: bytes) -> PolarSums:
    """Read `pack_sums` back."""
    with np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False) as arrays:
        return PolarSums(int(arrays["first"]), arrays["counts"], arrays["pixels"])
