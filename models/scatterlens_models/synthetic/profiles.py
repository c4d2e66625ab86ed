"""One-dimensional shapes: radial profiles over q, azimuthal kernels and grains over phi.

q is in 1/Å, lengths in Å, angles in radians. Every function takes and gives numpy float64.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

AZIMUTH_BINS = 1440
"""Samples of an azimuthal profile over the full turn: 0.25 degrees."""
FULL_WIDTH = 2.35482
"""Full width at half height of a Gaussian of unit deviation."""


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
    """Form factor of spheres (Rayleigh 1911), 1 at q = 0; sizes as in `polydisperse`."""
    return polydisperse(lambda x: _ball(x) ** 2, q * radius, polydispersity, fine=True)


def core_shell(
    q: np.ndarray, radius: float, thickness: float, core: float, polydispersity: float
) -> np.ndarray:
    """Form factor of spheres with a shell (Pedersen 1997, eq. 2), 1 at q = 0.

    Args:
        q: scattering vectors.
        radius: of the core.
        thickness: of the shell.
        core: contrast of the core to the solvent, that of the shell being 1.
        polydispersity: as in `polydisperse`; core and shell grow alike.
    """
    outer = 1 + thickness / radius
    volumes = np.array([core - 1, outer**3]) / (core - 1 + outer**3)

    def shape(x: np.ndarray) -> np.ndarray:
        return (volumes[0] * _ball(x) + volumes[1] * _ball(x * outer)) ** 2

    return polydisperse(shape, q * radius, polydispersity, fine=True)


def cylinder(q: np.ndarray, radius: float, length: float, polydispersity: float) -> np.ndarray:
    """Form factor of cylinders in all directions (Fournet 1951; Pedersen 1997), 1 at q = 0."""
    along, weights = _directions()
    across = np.sqrt(1 - along**2)

    def shape(x: np.ndarray) -> np.ndarray:
        ends = np.sinc(np.outer(x, along) * (length / (2 * np.pi * radius)))
        return (ends * _disk(np.outer(x, across))) ** 2 @ weights

    return polydisperse(shape, q * radius, polydispersity)


def ellipsoid(q: np.ndarray, radius: float, polar: float, polydispersity: float) -> np.ndarray:
    """Form factor of ellipsoids in all directions (Guinier 1939; Pedersen 1997), 1 at q = 0.

    `radius` is that of the equator, `polar` half the axis of revolution.
    """
    along, weights = _directions()
    extent = np.sqrt(1 + along**2 * ((polar / radius) ** 2 - 1))

    def shape(x: np.ndarray) -> np.ndarray:
        return _ball(np.outer(x, extent)) ** 2 @ weights

    return polydisperse(shape, q * radius, polydispersity)


def polydisperse(
    shape: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    polydispersity: float,
    fine: bool = False,
) -> np.ndarray:
    """Mean of a form factor over sizes, weighted by the volume squared; 1 at x = 0.

    Sizes are Gaussian with the relative deviation `polydispersity`, cut at three deviations; all
    lengths of a particle are in proportion. The form factor is interpolated in a table up to
    x = 60; beyond, where the oscillations of all sizes cancel, it follows Porod's law.

    Args:
        shape: form factor over x, 1 at 0.
        x: q times the length that x counts in, (N,).
        polydispersity: below 1/3.
        fine: three times as many places in the table, for shapes that cost little.
    """
    step = _STEP / 3 if fine else _STEP
    places = np.linspace(-3, 3, _SIZES)
    sizes = 1 + polydispersity * places
    weights = np.exp(-0.5 * places**2) * sizes**6
    weights /= weights.sum()
    farthest = min(float(x.max() * sizes[-1]), _FARTHEST) + 2 * step
    table = np.arange(0, farthest, step)
    values = shape(table)
    spread = np.outer(sizes, x)
    mean = weights @ _lookup(values, spread / step)
    if spread[-1].max() > table[-1]:
        last = table > _FARTHEST - 9 * np.pi  # whole periods
        tail = float(np.mean(values[last] * table[last] ** 4))
        mean += weights @ np.where(spread > table[-1], tail / np.maximum(spread, 1) ** 4, 0.0)
    return mean


_SIZES = 31
_DIRECTIONS = 64
_FARTHEST = 60.0
_STEP = 0.06


def _lookup(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Linear interpolation at fractional places from 0; 0 beyond the last."""
    low = place.astype(np.int64)
    low = np.minimum(low, len(values) - 1, out=low)
    steps = np.append(np.diff(values), 0.0)
    padded = np.append(values[:-1], 0.0)
    return padded[low] + (place - low) * steps[low]


@lru_cache(maxsize=1)
def _directions() -> tuple[np.ndarray, np.ndarray]:
    """Cosines to the axis and weights that average over half a sphere (Gauss-Legendre)."""
    nodes, weights = np.polynomial.legendre.leggauss(_DIRECTIONS)
    return (nodes + 1) / 2, weights / 2


def _ball(x: np.ndarray) -> np.ndarray:
    """Amplitude of a sphere, 3 (sin x - x cos x) / x^3."""
    x = np.maximum(x, 1e-3)
    return 3 * (np.sin(x) - x * np.cos(x)) / (x * x * x)


def _disk(x: np.ndarray) -> np.ndarray:
    """Amplitude of a circle, 2 J1(x) / x, by linear interpolation."""
    step, values = _disk_table()
    return _lookup(values, x / step)


@lru_cache(maxsize=1)
def _disk_table() -> tuple[float, np.ndarray]:
    """Step and values of 2 J1(x) / x up to the farthest x of a table."""
    step = 0.02
    x = np.arange(0, _FARTHEST + 1, step)
    # Bessel's integral; the trapezoid rule is exact to machine precision for a period.
    turn = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    bessel = np.cos(turn - np.outer(x, np.sin(turn))).mean(1)
    return step, np.divide(2 * bessel, x, out=np.ones_like(x), where=x > 0)


# Structure: maxima by the order of neighbours


def percus_yevick(q: np.ndarray, radius: float, fraction: float) -> np.ndarray:
    """Structure factor of hard spheres of volume fraction `fraction`, 1 at high q.

    Percus & Yevick 1958, in the form of Kinning & Thomas 1984.
    """
    a = np.maximum(2 * radius * q, 0.05)
    sine, cosine = np.sin(a), np.cos(a)
    alpha = (1 + 2 * fraction) ** 2 / (1 - fraction) ** 4
    beta = -6 * fraction * (1 + fraction / 2) ** 2 / (1 - fraction) ** 4
    gamma = fraction * alpha / 2
    bracket = (3 * a**2 - 6) * cosine + (a**3 - 6 * a) * sine + 6
    g = (
        alpha / a**2 * (sine - a * cosine)
        + beta / a**3 * (2 * a * sine + (2 - a**2) * cosine - 2)
        + gamma / a**5 * (4 * bracket - a**4 * cosine)
    )
    return 1 / (1 + 24 * fraction * g / a)


def hard_spheres(q: np.ndarray, radius: float, fraction: float, core: float) -> np.ndarray:
    """Scattering of spheres that keep a distance: form factor times structure factor.

    Args:
        q: scattering vectors.
        radius: at which two spheres touch.
        fraction: volume fraction of spheres of that radius.
        core: share of that radius that scatters, as the core of a micelle within its corona.
    """
    return sphere(q, core * radius, 0.1) * percus_yevick(q, radius, fraction)


def teubner_strey(q: np.ndarray, period: float, length: float) -> np.ndarray:
    """Bicontinuous microemulsion of a period and a correlation length, 1 at its maximum.

    Teubner & Strey 1987; the maximum is at q^2 = (2 pi / period)^2 - 1 / length^2.
    """
    square = (2 * np.pi * length / period) ** 2
    return 4 * square / (((q * length) ** 2 - (square - 1)) ** 2 + 4 * square)


def broad_peak(q: np.ndarray, center: float, length: float, exponent: float) -> np.ndarray:
    """1 / (1 + (|q - center| length)^exponent): swollen networks (Hammouda et al. 2008)."""
    return 1 / (1 + (np.abs(q - center) * length) ** exponent)


STRUCTURES = ("hard_spheres", "teubner_strey", "broad_peak")


def structure(name: str, q: np.ndarray, center: float, params: Mapping[str, float]) -> np.ndarray:
    """One of `STRUCTURES` with its main maximum at `center`, where it is 1."""
    place = np.append(q, center)
    if name == "hard_spheres":
        curve = hard_spheres(place, params["radius"], params["fraction"], params["core"])
    elif name == "teubner_strey":
        curve = teubner_strey(place, params["period"], params["length"])
    elif name == "broad_peak":
        curve = broad_peak(place, center, params["length"], params["exponent"])
    else:
        raise ValueError(f"no structure {name!r}; known are {', '.join(STRUCTURES)}")
    return curve[:-1] / curve[-1]


def main_maximum(q: np.ndarray, curve: np.ndarray) -> tuple[float, float] | None:
    """Place and sigma (full width at half height / 2.355) of the highest point of a curve.

    None where the curve does not fall to half of it on either side; q must ascend.
    """
    top = int(np.argmax(curve))
    below = np.flatnonzero(curve < curve[top] / 2)
    left, right = below[below < top], below[below > top]
    if not (left.size and right.size):
        return None
    low = slice(left[-1], left[-1] + 2)
    high = slice(right[0] - 1, right[0] + 1)
    start = np.interp(curve[top] / 2, curve[low], q[low])
    stop = np.interp(curve[top] / 2, curve[high][::-1], q[high][::-1])
    bend = curve[top - 1] - 2 * curve[top] + curve[top + 1]
    shift = 0.5 * (curve[top - 1] - curve[top + 1]) / bend if bend else 0.0
    place = q[top] + shift * (q[top + 1] - q[top])
    return float(place), float(stop - start) / FULL_WIDTH


def azimuth() -> np.ndarray:
    """Angles of an azimuthal profile's samples, (AZIMUTH_BINS,), from 0."""
    return np.arange(AZIMUTH_BINS) * (2 * np.pi / AZIMUTH_BINS)


@lru_cache(maxsize=1)
def _concentrations() -> tuple[np.ndarray, np.ndarray]:
    """Mean cosines of von Mises distributions, rising, and their concentrations."""
    theta = np.linspace(0, np.pi, 2001)
    kappa = np.concatenate([[0.0], np.geomspace(1e-3, 1e4, 1500)])
    density = np.exp(kappa[:, None] * (np.cos(theta) - 1))
    return (density @ np.cos(theta)) / density.sum(1), kappa


def kernel(name: str, fold: int, eta: float, chi: float) -> np.ndarray:
    """Profile of mean 1 with order parameter `eta` = <cos fold (phi - chi)>, for any kernel.

    `poisson` (wrapped Lorentzian), `von_mises` (Maier-Saupe for fold 2), `gaussian` (wrapped).
    """
    theta = fold * (azimuth() - chi)
    if name == "poisson":
        return (1 - eta**2) / (1 + eta**2 - 2 * eta * np.cos(theta))
    if name == "von_mises":
        density = np.exp(np.interp(eta, *_concentrations()) * (np.cos(theta) - 1))
        return density / density.mean()
    if name == "gaussian":
        series = np.zeros(AZIMUTH_BINS // 2 + 1, complex)
        orders = np.arange(AZIMUTH_BINS // 2 // fold + 1)
        series[orders * fold] = eta ** (orders**2.0) * np.exp(-1j * orders * fold * chi)
        return np.fft.irfft(series, AZIMUTH_BINS) * AZIMUTH_BINS
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
