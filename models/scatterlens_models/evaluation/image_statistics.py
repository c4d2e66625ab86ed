"""Eighteen numbers that describe a prepared frame (2, S, S)."""

import numpy as np

from scatterlens_models.preprocess import COMPRESSED_CEILING, LOG_RANGE, MINIMUM_COVERAGE

POWER_BANDS = ((1, 4), (4, 16), (16, 64), (64, 128))
"""Radial bands of the power spectrum, cycles per frame side."""
POWER_FLOOR = 1e-8


def statistics(prepared: np.ndarray) -> dict[str, float]:
    """Eighteen numbers that describe one prepared frame (2, S, S).

    Values are those of compressed counts (0 to 1.2), except: shares (0 to 1), `log_range`
    (decades), `entropy` (bits), `power_*` (log10 of power per mode), `peak_offset` (half sides),
    `mirror_*` (correlation).
    """
    image, live = prepared[0].astype(float), prepared[1] >= MINIMUM_COVERAGE
    values = image[live]
    if not values.size:
        raise ValueError("a frame without live pixels has no statistics")
    low, median, high, top = np.quantile(values, [0.1, 0.5, 0.9, 0.999])
    return {
        "coverage": float(prepared[1].mean()),
        "zero_share": float(np.mean(values == 0)),
        "quantile_10": float(low),
        "median": float(median),
        "quantile_90": float(high),
        "log_range": float((top - median) * LOG_RANGE / np.log(10)),
        "spread": float(values.std()),
        "skewness": _skewness(values),
        "entropy": _entropy(values),
        "gradient": _gradient(image, live),
        "grain": _grain(image, live),
        **radial_power(image, live),
        "peak_offset": _peak_offset(image, live),
        "mirror_left_right": _mirror(image, live, 1),
        "mirror_up_down": _mirror(image, live, 0),
    }


def radial_power(image: np.ndarray, live: np.ndarray) -> dict[str, float]:
    """log10 of the mean power per mode in each radial band, of a square image (S, S).

    The image less its mean is seen through a Hann window without its dead pixels, and power is
    divided by the window's: white noise of variance v gives log10 v in every band.
    """
    side = len(image)
    hann = np.hanning(side + 2)[1:-1]
    window = hann[:, None] * hann * live
    centred = image - np.average(image, weights=window)
    power = np.abs(np.fft.fft2(centred * window)) ** 2 / (window**2).sum()
    cycles = np.fft.fftfreq(side, 1 / side)
    radius = np.hypot(cycles[:, None], cycles)
    return {
        f"power_{low}_{high}": float(
            np.log10(POWER_FLOOR + power[(radius >= low) & (radius < high)].mean())
        )
        for low, high in POWER_BANDS
    }


def _skewness(values: np.ndarray) -> float:
    centred = values - values.mean()
    square = centred * centred
    spread = np.sqrt(square.mean())
    return float((square * centred).mean() / spread**3) if spread > 0 else 0.0


def _entropy(values: np.ndarray) -> float:
    """Entropy of a histogram of 64 bins, bits."""
    counts, _ = np.histogram(values, 64, (0, COMPRESSED_CEILING))
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def _gradient(image: np.ndarray, live: np.ndarray) -> float:
    """Root mean square difference of live neighbours."""
    steps = np.concatenate(
        [np.diff(image, axis=axis)[_both(live, axis)].ravel() for axis in (0, 1)]
    )
    return float(np.sqrt(np.mean(steps**2))) if steps.size else 0.0


def _both(live: np.ndarray, axis: int) -> np.ndarray:
    return np.delete(live, -1, axis) & np.delete(live, 0, axis)


def _grain(image: np.ndarray, live: np.ndarray) -> float:
    """Median distance of a pixel from the mean of its left and right neighbours."""
    bend = image[:, 1:-1] - 0.5 * (image[:, :-2] + image[:, 2:])
    seen = live[:, 1:-1] & live[:, :-2] & live[:, 2:]
    return float(np.median(np.abs(bend[seen]))) if seen.any() else 0.0


def _peak_offset(image: np.ndarray, live: np.ndarray) -> float:
    """Distance of the brightest block of 8 x 8 pixels from the middle, half sides."""
    side = len(image)
    blocks = (image * live).reshape(side // 8, 8, side // 8, 8).mean((1, 3))
    row, col = np.unravel_index(np.argmax(blocks), blocks.shape)
    half = side / 16
    return float(np.hypot((row + 0.5) / half - 1, (col + 0.5) / half - 1))


def _mirror(image: np.ndarray, live: np.ndarray, axis: int) -> float:
    """Correlation of an image with its mirror image where both are live."""
    seen = live & np.flip(live, axis)
    if not seen.any():
        return 0.0
    one, other = image[seen], np.flip(image, axis)[seen]
    covariance = np.mean((one - one.mean()) * (other - other.mean()))
    return float(covariance / one.var()) if one.var() > 0 else 0.0
