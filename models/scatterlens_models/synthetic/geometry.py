"""From pixels of a grid to the detector and to scattering vectors.

A grid is the prepared square or the detector's own pixels. Its pixel i lies at native row
(i + 0.5 - pad) / scale - 0.5, as in the preprocessing of real frames; pixel centres are at
integers.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.scene import Instrument

HC_KEV_ANGSTROM = 12.398419843
PREPARED_SIDE = 256
"""Side of a simulated prepared frame, pixels."""


@dataclass(frozen=True)
class Grid:
    """Where the pixels of an image lie on the part of a detector that is read out."""

    shape: tuple[int, int]
    """(H, W)."""
    scale: float
    """Pixels of the grid per native pixel."""
    pad_yx: tuple[float, float]
    """Pixels of the grid before the first native row and column."""
    square: int
    """Side of the square round the whole part, in pixels of the grid."""

    def lines(self, axis: int) -> np.ndarray:
        """Places of the rows (axis 0) or columns (axis 1) in that square."""
        return np.arange(self.shape[axis]) + (self.square - self.shape[axis]) / 2

    @property
    def per_prepared_pixel(self) -> float:
        """Pixels of this grid per pixel of a prepared frame of the usual side."""
        return self.square / PREPARED_SIDE

    def ramp(self, axis: int) -> np.ndarray:
        """From -0.5 to 0.5 over that square, at the rows or columns."""
        return np.interp(
            self.lines(axis), np.arange(self.square), np.linspace(-0.5, 0.5, self.square)
        )


def prepared_grid(instrument: Instrument, size: int) -> Grid:
    """Scale and padding that bring the detector part into a square of `size`."""
    rows, cols = instrument.crop[2:]
    scale = size / max(rows, cols)
    pad = (size - rows * scale) / 2, (size - cols * scale) / 2
    return Grid((size, size), scale, pad, size)


def native_grid(instrument: Instrument) -> Grid:
    """The detector's own pixels."""
    rows, cols = instrument.crop[2:]
    return Grid((rows, cols), 1.0, (0.0, 0.0), max(rows, cols))


@dataclass(frozen=True, eq=False)
class Maps:
    """Fixed maps of one instrument on a grid, float32 (H, W)."""

    grid: Grid
    beam_yx: tuple[float, float]
    """Direct beam in pixels of the grid."""
    q: np.ndarray
    """Scattering vector, 1/Å."""
    phi: np.ndarray
    """Azimuth from the vertical, clockwise, 0..2 pi."""
    radius: np.ndarray
    """Distance from the beam in pixels of the grid."""
    efficiency: np.ndarray
    """Solid angle, cos^3 of the incidence, times polarisation."""
    coverage: np.ndarray
    """Live share of each pixel, 0..1."""
    pixel_angle: np.ndarray
    """Change of q over half a pixel of the grid along the radius, 1/Å."""


@dataclass(frozen=True)
class Pose:
    """A tilted detector as pyFAI describes it."""

    distance_m: float
    """From the sample to the point of normal incidence."""
    poni_yx: tuple[float, float]
    """That point, in native pixels."""
    turn: np.ndarray
    """(3, 3) from the detector's (y, x, beam) to those of the laboratory."""


def pose(instrument: Instrument) -> Pose:
    """Point of normal incidence and rotation: `R = R2(rot2) R1(rot1)` of pyFAI, rot3 = 0."""
    rot1, rot2 = instrument.tilt
    c1, s1, c2, s2 = np.cos(rot1), np.sin(rot1), np.cos(rot2), np.sin(rot2)
    turn = np.array([[c2, 0, -s2], [0, 1, 0], [s2, 0, c2]]) @ np.array(
        [[1, 0, 0], [0, c1, s1], [0, -s1, c1]]
    )
    distance = instrument.distance_m * c1 * c2
    # Where the beam meets the plane: the detector's coordinates of a point on the beam's axis.
    along = turn.T @ np.array([0.0, 0.0, instrument.distance_m])
    pixel = DETECTORS[instrument.detector].pixel_m
    poni = tuple(float(instrument.beam_yx[axis] - along[axis] / pixel) for axis in (0, 1))
    return Pose(float(distance), (poni[0], poni[1]), turn)


def pixels_at(
    instrument: Instrument, q: np.ndarray, phi: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Native row and column at which q (1/Å) in direction phi meets the detector's plane."""
    sine = np.clip(q * wavelength_angstrom(instrument.energy_kev) / (4 * np.pi), 0, 0.7)
    two_theta = 2 * np.arcsin(sine)
    ray = np.stack(
        [-np.sin(two_theta) * np.cos(phi), np.sin(two_theta) * np.sin(phi), np.cos(two_theta)]
    )
    stand = pose(instrument)
    y, x, z = stand.turn.T @ ray.reshape(3, -1)
    # What would never meet the plane lies far outside.
    scale = stand.distance_m / np.maximum(z, 1e-3) / DETECTORS[instrument.detector].pixel_m
    return stand.poni_yx[0] + y * scale, stand.poni_yx[1] + x * scale


def wavelength_angstrom(energy_kev: float) -> float:
    """Wavelength of photons of that energy, in Å."""
    return HC_KEV_ANGSTROM / energy_kev


def q_at(instrument: Instrument, radius_native: np.ndarray) -> np.ndarray:
    """q (1/Å) at a distance from the beam in native pixels, were the detector not tilted."""
    pixel = DETECTORS[instrument.detector].pixel_m
    two_theta = np.arctan2(np.asarray(radius_native) * pixel, instrument.distance_m)
    return 4 * np.pi / wavelength_angstrom(instrument.energy_kev) * np.sin(two_theta / 2)


def radius_at(instrument: Instrument, q: np.ndarray) -> np.ndarray:
    """Distance from the beam in native pixels at q (1/Å); inverse of `q_at`."""
    pixel = DETECTORS[instrument.detector].pixel_m
    sine = np.clip(q * wavelength_angstrom(instrument.energy_kev) / (4 * np.pi), 0, 0.7)
    return np.tan(2 * np.arcsin(sine)) * instrument.distance_m / pixel


@lru_cache(maxsize=4)
def maps(instrument: Instrument, grid: Grid) -> Maps:
    """All maps of an instrument; cached, since a whole experiment shares them."""
    scale, pad = grid.scale, grid.pad_yx
    rows = (np.arange(grid.shape[0]) + 0.5 - pad[0]) / scale - 0.5 - instrument.beam_yx[0]
    cols = (np.arange(grid.shape[1]) + 0.5 - pad[1]) / scale - 0.5 - instrument.beam_yx[1]
    radius = np.hypot(rows[:, None], cols)
    pixel = DETECTORS[instrument.detector].pixel_m
    stand = pose(instrument)
    flat = (
        (rows + instrument.beam_yx[0] - stand.poni_yx[0])[:, None] * pixel,
        (cols + instrument.beam_yx[1] - stand.poni_yx[1])[None, :] * pixel,
    )
    y, x, z = (
        turn[0] * flat[0] + turn[1] * flat[1] + turn[2] * stand.distance_m for turn in stand.turn
    )
    phi = np.arctan2(x, -y) % (2 * np.pi)
    two_theta = np.arctan2(np.hypot(y, x), z)
    # Horizontal polarisation; phi counts from the vertical, hence the sign of the last term.
    polarization = 0.5 * (
        1
        + np.cos(two_theta) ** 2
        + instrument.polarization * np.cos(2 * phi) * np.sin(two_theta) ** 2
    )
    incidence = stand.distance_m / np.sqrt(flat[0] ** 2 + flat[1] ** 2 + stand.distance_m**2)
    q = 4 * np.pi / wavelength_angstrom(instrument.energy_kev) * np.sin(two_theta / 2)
    half = 0.5 / scale
    beam = tuple((instrument.beam_yx[axis] + 0.5) * scale + pad[axis] - 0.5 for axis in (0, 1))
    return Maps(
        grid=grid,
        beam_yx=(beam[0], beam[1]),
        q=q.astype(np.float32),
        phi=phi.astype(np.float32),
        radius=(radius * scale).astype(np.float32),
        efficiency=(incidence**3 * polarization).astype(np.float32),
        coverage=_coverage(instrument, grid).astype(np.float32),
        pixel_angle=(q_at(instrument, radius + half) - q_at(instrument, radius)).astype(np.float32),
    )


def prepared_maps(instrument: Instrument) -> Maps:
    """Maps of an instrument on the prepared grid of the usual side."""
    return maps(instrument, prepared_grid(instrument, PREPARED_SIDE))


def _share(live: np.ndarray, size: int, scale: float, pad: float) -> np.ndarray:
    """Exact live share of each line of the grid, from the live lines of the detector."""
    total = np.concatenate([[0.0], np.cumsum(live)])
    edges = (np.arange(size + 1) - pad) / scale
    return np.diff(np.interp(edges, np.arange(len(total)), total)) * scale


def _coverage(instrument: Instrument, grid: Grid) -> np.ndarray:
    size, scale, pad = grid.shape, grid.scale, grid.pad_yx
    detector = DETECTORS[instrument.detector]
    axes = (1, 0) if instrument.transposed else (0, 1)
    first, extent = instrument.crop[:2], instrument.crop[2:]
    windows = [slice(first[i], first[i] + extent[i]) for i in (0, 1)]
    lines = [detector.live_lines(axes[i])[windows[i]] for i in (0, 1)]
    cover = np.outer(*(_share(lines[i], size[i], scale, pad[i]) for i in (0, 1)))
    rectangles = detector.module_rectangles()
    for number in instrument.missing_modules:
        rectangle = rectangles[number]
        parts = []
        for i in (0, 1):
            inside = np.zeros(detector.shape[axes[i]])
            start = rectangle[axes[i]]
            inside[start : start + rectangle[2 + axes[i]]] = 1
            parts.append(_share(inside[windows[i]], size[i], scale, pad[i]))
        cover = cover - np.outer(*parts)
    if detector.circular:
        native = [(np.arange(size[i]) + 0.5 - pad[i]) / scale + first[i] for i in (0, 1)]
        middle = [detector.shape[axes[i]] / 2 for i in (0, 1)]
        radius = np.hypot(native[0][:, None] - middle[0], native[1] - middle[1])
        cover = cover * np.clip((min(middle) - radius) * scale + 0.5, 0, 1)
    return np.clip(cover, 0, 1)
