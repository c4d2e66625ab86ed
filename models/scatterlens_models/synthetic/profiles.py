"""One-dimensional shapes: radial profiles over q, azimuthal kernels and grains over phi.

q is in 1/Å, lengths in Å, angles in radians. Every function takes and gives numpy float64.
"""

from functools import lru_cache

import numpy as np

AZIMUTH_BINS = 1440
"""Samples of an azimuthal profile over the full turn: 0.25 degrees."""


def gaussian(q: np.ndarray, center: float, sigma: float) -> np.ndarray:
    """Peak of height 1 at `center`."""
    return np.exp(-0.5 * ((q - center) / sigma) ** 2)


def pseudo_voigt(q: np.ndarray, center: float, sigma: float, mixing: float) -> np.ndarray:
    """Peak of height 1 with the Gaussian's full width and a Lorentzian share `mixing`."""
    half = 1.17741 * sigma
    lorentzian = 1 / (1 + ((q - center) / half) ** 2)
    return mixing * lorentzian + (1 - mixing) * gaussian(q, center, sigma)


def porod(q: np.ndarray, exponent: float, floor: float) -> np.ndarray:
    """Power law q^-exponent, levelled below q = `floor` where it would diverge."""
    return (1 + (q / floor) ** 2) ** (-exponent / 2)


def guinier(q: np.ndarray, radius: float) -> np.ndarray:
    """exp(-q^2 Rg^2 / 3)."""
    return np.exp(-((q * radius) ** 2) / 3)


def ornstein_zernike(q: np.ndarray, length: float) -> np.ndarray:
    """1 / (1 + q^2 xi^2)."""
    return 1 / (1 + (q * length) ** 2)


def debye_bueche(q: np.ndarray, length: float) -> np.ndarray:
    """1 / (1 + q^2 a^2)^2."""
    return ornstein_zernike(q, length) ** 2


def guinier_porod(q: np.ndarray, radius: float, exponent: float) -> np.ndarray:
    """Guinier at low q, joined smoothly to q^-exponent (Hammouda 2010, s = 0)."""
    joint = np.sqrt(1.5 * exponent) / radius
    tail = np.exp(-exponent / 2) * (joint / np.maximum(q, 1e-9)) ** exponent
    return np.where(q <= joint, guinier(q, radius), tail)


def high_q(q: np.ndarray, length: float) -> np.ndarray:
    """1 - exp(-L^2 q^2): thermal and Compton scattering."""
    return 1 - np.exp(-((q * length) ** 2))


def sphere(q: np.ndarray, radius: float, polydispersity: float) -> np.ndarray:
    """Form factor of spheres, Gaussian in radius (nine points over +-2 sigma), 1 at q = 0."""
    radii = radius * (1 + polydispersity * np.linspace(-2, 2, 9))
    weights = np.exp(-0.5 * np.linspace(-2, 2, 9) ** 2) * radii**6
    x = np.maximum(q[:, None] * radii, 1e-3)
    amplitude = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    return (amplitude**2) @ (weights / weights.sum())


def azimuth() -> np.ndarray:
    """Angles of an azimuthal profile's samples, (AZIMUTH_BINS,), from 0."""
    return np.arange(AZIMUTH_BINS) * (2 * np.pi / AZIMUTH_BINS)


@lru_cache(maxsize=4096)
def _concentration(eta: float) -> float:
    """Concentration of the von Mises distribution whose mean cosine is `eta`."""
    theta = np.linspace(0, np.pi, 2001)

    def mean_cosine(kappa: float) -> float:
        density = np.exp(kappa * (np.cos(theta) - 1))
        return float(np.trapezoid(density * np.cos(theta)) / np.trapezoid(density))

    low, high = 0.0, 2 / max(1 - eta, 1e-4) + 1
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_cosine(middle) < eta else (low, middle)
    return (low + high) / 2


def kernel(name: str, fold: int, eta: float, chi: float) -> np.ndarray:
    """Profile of mean 1 with order parameter `eta` = <cos fold (phi - chi)>, for any kernel.

    `poisson` (wrapped Lorentzian), `von_mises` (Maier-Saupe for fold 2), `gaussian` (wrapped).
    """
    theta = fold * (azimuth() - chi)
    if name == "poisson":
        return (1 - eta**2) / (1 + eta**2 - 2 * eta * np.cos(theta))
    if name == "von_mises":
        density = np.exp(_concentration(round(eta, 4)) * (np.cos(theta) - 1))
        return density / density.mean()
    if name == "gaussian":
        orders = np.arange(1, 40)
        return 1 + 2 * (eta ** (orders**2)) @ np.cos(np.outer(orders, theta))
    raise ValueError(f"no azimuthal kernel {name!r}; known are poisson, von_mises, gaussian")


def speckled(seed: int, count: int, fold: int, eta: float) -> np.ndarray:
    """Profile of mean 1 of `count` Poisson kernels at random directions."""
    turns = np.random.default_rng(seed).uniform(0, 2 * np.pi, count)
    return np.mean([kernel("poisson", fold, eta, float(chi)) for chi in turns], axis=0)


def grain_profile(seed: int, count: int, mosaic: float) -> np.ndarray:
    """Profile of mean 1 of `count` grains of full width `mosaic` (radians) at random angles.

    Intensities are exponential; the convolution with the mosaic is a product of Fourier series.
    """
    rng = np.random.default_rng(seed)
    places = rng.integers(0, AZIMUTH_BINS, count)
    comb = np.bincount(places, rng.exponential(size=count), minlength=AZIMUTH_BINS)
    orders = np.arange(AZIMUTH_BINS // 2 + 1)
    blur = np.exp(-0.5 * (orders * mosaic / 2.35482) ** 2)
    profile = np.fft.irfft(np.fft.rfft(comb) * blur, AZIMUTH_BINS)
    return np.maximum(profile, 0) / max(profile.mean(), 1e-12)


def coverage(count: int, mosaic: float) -> float:
    """Share of the azimuth that `count` grains of full width `mosaic` (radians) would cover."""
    return count * mosaic / (2 * np.pi)
