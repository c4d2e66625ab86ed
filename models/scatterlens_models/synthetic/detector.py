"""From expected photons to the prepared frame: noise, defects, saturation, logarithm.

One prepared pixel is the mean of n live native pixels, so that its Poisson noise is that of n.
"""

import math

import numpy as np

from scatterlens_models.preprocess import MINIMUM_COVERAGE, compress
from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.geometry import Grid
from scatterlens_models.synthetic.scene import Instrument, SceneParams

_NOISE_KEY = 2**40
LEAST_PIXELS = 1e-3
"""A little of every pixel counts: dead areas are masked afterwards."""
HOT_DECADES = (1.0, 5.0)
ZINGER_DECADES = (1.5, 4.0)
"""Counts of hot native pixels and of single cosmic rays, log10 of the range."""
_EVENTS_BELOW = 0.3
"""Expected counts below which single events are scattered over the pixels: as exact, and faster."""
_NORMAL_FROM = 8
"""Expected counts from which a normal draw stands in for the Poisson one."""


def noise_generator(seed: int, index: int) -> np.random.Generator:
    """The stream of a frame's noise, apart from that of its parameters."""
    key = np.array([seed, index + _NOISE_KEY], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def poisson_mean(rng: np.random.Generator, expected: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Mean over `pixels` native pixels of Poisson counts, float64; variance = expected / pixels.

    Above 8 counts the draw is a rounded normal one with the Poisson skewness (Cornish and Fisher's
    first correction), narrower by the variance 1 / 12 that rounding adds: alike in three moments,
    the distribution is off by 0.3 % at 8 counts (total variation) and by 0.1 % at 20.
    """
    total = (expected.astype(np.float64) * pixels).ravel()
    rare, many = total < _EVENTS_BELOW, total > _NORMAL_FROM
    few = ~(rare | many)
    drawn = np.empty_like(total)
    drawn[rare] = _events(rng, total[rare])
    drawn[few] = rng.poisson(total[few])
    large = total[many]
    z = rng.standard_normal(large.size)
    drawn[many] = np.round(large + np.sqrt(large - 1 / 12) * z + (z * z - 1) * (1 / 6)).clip(0)
    return drawn.reshape(expected.shape) / pixels


def _events(rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
    """Poisson counts where most are zero: their sum first, then where each of them fell."""
    reached = np.cumsum(expected)
    if not reached.size:
        return reached
    places = rng.random(rng.poisson(reached[-1])) * reached[-1]
    return np.bincount(np.searchsorted(reached, places, side="right"), minlength=reached.size)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Separable Gaussian point spread, edges repeated."""
    if sigma <= 0:
        return image
    reach = max(1, math.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    padded = np.pad(image, reach, mode="edge")
    rows, cols = image.shape
    across = sum(w * padded[:, i : i + cols] for i, w in enumerate(weights))
    return sum(w * across[i : i + rows] for i, w in enumerate(weights))  # type: ignore


def pedestal(instrument: Instrument, grid: Grid) -> np.ndarray:
    """Counts that a CCD shows without light, (H, W)."""
    slope = instrument.pedestal_slope
    down, across = 1 + slope[0] * grid.ramp(0), 1 + slope[1] * grid.ramp(1)
    level = instrument.pedestal * down[:, None] * across
    if any(instrument.quadrants):
        lower, right = np.meshgrid(grid.ramp(0) > 0, grid.ramp(1) > 0, indexing="ij")
        level = level + np.take(instrument.quadrants, 2 * lower + right)
    return level


def detect(
    scene: SceneParams,
    expected: np.ndarray,
    coverage: np.ndarray,
    grid: Grid,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean counts per live native pixel (H, W) and what is left of the coverage (H, W).

    `expected` are photons per native pixel, on the pixels of `grid`.
    """
    instrument = scene.instrument
    pixels = np.maximum(coverage / grid.scale**2, LEAST_PIXELS)
    full = DETECTORS[instrument.detector].saturation
    photons = poisson_mean(
        rng, blur(np.minimum(expected, full), instrument.psf_px * grid.per_prepared_pixel), pixels
    )
    counts = photons * instrument.gain
    if instrument.read_noise:
        noise = instrument.read_noise * rng.standard_normal(counts.shape) / np.sqrt(pixels)
        counts = counts + pedestal(instrument, grid) + noise
    if scene.hot_share:
        places = rng.integers(0, counts.size, rng.poisson(scene.hot_share * pixels.sum()))
        counts.flat[places] += 10 ** rng.uniform(*HOT_DECADES, len(places)) / pixels.flat[places]
    for _ in range(scene.zingers):
        row, col = (int(rng.integers(0, extent)) for extent in counts.shape)
        counts[row, col] += 10 ** rng.uniform(*ZINGER_DECADES) / pixels[row, col]
    counts = np.clip(counts, 0, full)
    if scene.dead_share:
        places = rng.integers(0, counts.size, rng.poisson(scene.dead_share * pixels.sum()))
        coverage = coverage.copy()
        coverage.flat[places] *= np.maximum(1 - 1 / pixels.flat[places], 0)
    return counts, coverage


def prepare(counts: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """Network input (2, S, S) float32 from mean counts and live coverage."""
    compressed = np.where(coverage < MINIMUM_COVERAGE, 0, compress(counts.astype(np.float32)))
    return np.stack([compressed, coverage]).astype(np.float32)
