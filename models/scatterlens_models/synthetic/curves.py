"""What each component is made of: curves along two coordinates, of which pixels are products.

A term is one ring, halo, layer line or smooth curve. Most are a curve over q times a curve over the
azimuth; fibres are one along and across their axis; spots and films are sums of products along rows
and columns. So a term costs a pixel one or two lookups, on any device.

Unit amplitude is defined on the prepared grid of 256 x 256 pixels, so that any other grid shows the
same brightness: heights and half a pixel of blur are taken from there.

Shapes: N samples along the first coordinate, `TURNS` along the second, R products.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from scatterlens_models.synthetic import profiles
from scatterlens_models.synthetic.geometry import (
    Maps,
    pixels_at,
    prepared_maps,
    wavelength_angstrom,
)
from scatterlens_models.synthetic.scene import Component, Instrument, SceneParams

RADIAL_BINS = 1024
TURNS = profiles.AZIMUTH_BINS + 1
"""Samples along the second coordinate; the last repeats the first where it is an azimuth."""
_CRYSTAL_REACH = 12
"""Largest index of a crystal's spots."""


@dataclass(frozen=True)
class Term:
    """Where a rendered map comes from."""

    component: int
    """Position in the scene's components."""
    order: int
    """0 for the first ring of a family."""
    q: float = 0.0
    """Where a ring or halo has its maximum, 1/Å; 0 for what has none."""
    modulated: bool = False
    """True where the term depends on the azimuth by a kernel or by grains."""


@dataclass(frozen=True)
class Plane:
    """The two coordinates of a term.

    `polar`: q and azimuth. `stretched`: q counted stretched across `turn`, and azimuth. `uniaxial`:
    q and the angle to an axis that stands across the beam in direction `turn`. `fibre`: q across
    and along such an axis.
    """

    kind: str = "polar"
    turn: float = 0.0
    stretch: float = 1.0

    def span(self, here: Maps) -> tuple[float, float]:
        """Least and greatest first coordinate, 1/Å."""
        low, high = _reach(here)
        if self.kind == "fibre":
            return 0.0, high
        return low * min(1.0, self.stretch), high * max(1.0, self.stretch)


@dataclass(frozen=True, eq=False)
class Drawn:
    """One term as curves."""

    term: Term
    plane: Plane
    first: np.ndarray
    """(N,) float32 over the plane's span."""
    second: np.ndarray | None = None
    """(TURNS,) float32, over the full turn, or over -q to q along a fibre's axis."""


@dataclass(frozen=True, eq=False)
class Products:
    """One term as a sum of products of rows (R, H) and columns (R, W), float32."""

    term: Term
    rows: np.ndarray
    cols: np.ndarray


def draw(scene: SceneParams, here: Maps) -> list[Drawn | Products]:
    """Curves of every term of every component of a scene, on the grid of `here`."""
    reference = prepared_maps(scene.instrument)
    return [
        one
        for number, component in enumerate(scene.components)
        for one in _draw(scene.instrument, number, component, here, reference)
    ]


def _draw(
    instrument: Instrument, number: int, component: Component, here: Maps, reference: Maps
) -> list[Drawn | Products]:
    if component.kind == "crystal":
        return [Products(Term(number, 0), *_spots(instrument, component, here))]
    if component.kind == "gisaxs":
        return _grazing(number, component, here)
    if component.kind == "fibre":
        return _fibre(number, component, here, reference)
    plane = plane_of(component)
    axis = _axis(plane, here)
    if component.kind not in ("rings", "halo"):
        height = curve(component, _axis(plane, reference)).max()
        return [Drawn(Term(number, 0), plane, _single(curve(component, axis) / max(height, 1e-30)))]
    found: list[Drawn | Products] = []
    for order, q in enumerate(component.positions):
        sigma = float(np.hypot(component.width * q, _half_pixel(reference, q, plane.stretch)))
        first = _single(component.weights[order] * peak(component, axis, q, sigma))
        second = _azimuthal(component, order)
        term = Term(number, order, q, modulated=second is not None)
        closed = None if second is None else _single(np.append(second, second[0]))
        found.append(Drawn(term, plane, first, closed))
    return found


def coordinates(
    instrument: Instrument, plane: Plane, here: Maps
) -> tuple[torch.Tensor, torch.Tensor]:
    """First coordinate (H, W) in 1/Å and second (H, W) as a share of its range, 0..1."""
    q, phi = torch.from_numpy(here.q), torch.from_numpy(here.phi)
    if plane.kind == "polar":
        return q, phi / (2 * np.pi)
    numbers = plane.turn, plane.stretch, half_wavelength(instrument), plane.span(here)[1]
    return AWRY[plane.kind](q, phi, *map(torch.tensor, numbers))


def half_wavelength(instrument: Instrument) -> float:
    """lambda / 4 pi in Å: times q, the sine of half the scattering angle."""
    return wavelength_angstrom(instrument.energy_kev) / (4 * np.pi)


# Coordinates of the planes that are not polar, from q and phi (..., H, W), and from the plane's
# turn and stretch, half a wavelength and the greatest q, all of which broadcast to them.


def _stretched(q, phi, turn, stretch, half, high):
    angle = phi - turn
    return q * torch.hypot(torch.cos(angle), stretch * torch.sin(angle)), phi / (2 * np.pi)


def _along_axis(q, phi, turn, half):
    """Cosine of the angle between q and an axis across the beam.

    On the Ewald sphere q leans back from such an axis by half the scattering angle.
    """
    return torch.sqrt(1 - (q * half) ** 2) * torch.cos(phi - turn)


def _uniaxial(q, phi, turn, stretch, half, high):
    cosine = _along_axis(q, phi, turn, half)
    return q, torch.arccos(cosine.clamp(-1, 1)) / (2 * np.pi)


def _fibrous(q, phi, turn, stretch, half, high):
    cosine = _along_axis(q, phi, turn, half)
    return q * torch.sqrt((1 - cosine**2).clamp(0, 1)), q * cosine / (2 * high) + 0.5


AWRY = {"stretched": _stretched, "uniaxial": _uniaxial, "fibre": _fibrous}


def plane_of(component: Component) -> Plane:
    """Coordinates of a component's terms."""
    if component.ellipticity != 1:
        return Plane("stretched", component.chi[0], component.ellipticity)
    if component.kind == "fibre":
        return Plane("fibre", component.chi[0])
    return Plane("uniaxial", component.chi[0]) if component.uniaxial else Plane()


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


@lru_cache(maxsize=8)
def _reach(here: Maps) -> tuple[float, float]:
    low, high = float(here.q.min()), float(here.q.max())
    return low, max(high, low + 1e-9)


def radial_bins(here: Maps) -> int:
    """Samples along the first coordinate, as fine as the pixels of the grid ask."""
    return round(RADIAL_BINS * here.grid.per_prepared_pixel)


def _axis(plane: Plane, here: Maps) -> np.ndarray:
    return np.linspace(*plane.span(here), radial_bins(here))


@lru_cache(maxsize=8)
def _pixel_angles(here: Maps) -> tuple[np.ndarray, np.ndarray]:
    q, half = here.q.ravel()[::37], here.pixel_angle.ravel()[::37]
    order = np.argsort(q)
    return q[order], half[order]


def _half_pixel(here: Maps, q: float, stretch: float = 1.0) -> float:
    """Half a pixel in q at a given q: keeps sharp rings from falling between pixels."""
    return float(np.interp(q, *_pixel_angles(here))) * stretch


def peak(component: Component, axis: np.ndarray, q: float, sigma: float) -> np.ndarray:
    """Ring or halo over q, about 1 at its maximum."""
    if component.profile == "pseudo_voigt":
        return profiles.pseudo_voigt(axis, q, sigma, component.params["mixing"])
    if component.profile in profiles.STRUCTURES:
        params = tuple(component.params.items())
        return _structure(component.profile, axis.tobytes(), q, params)
    curve = profiles.gaussian(axis, q, sigma)
    if "hole" in component.params:
        hole = component.params["hole"]
        curve = curve * profiles.high_q(axis, hole) / profiles.high_q(np.array(q), hole)
    return curve


# Costly shapes are asked for again for the heights and by every comparison of one scene.


@lru_cache(maxsize=8)
def _structure(
    profile: str, axis: bytes, q: float, params: tuple[tuple[str, float], ...]
) -> np.ndarray:
    return profiles.structure(profile, np.frombuffer(axis), q, dict(params))


@lru_cache(maxsize=8)
def _form_factor(profile: str, axis: bytes, params: tuple[tuple[str, float], ...]) -> np.ndarray:
    p, q = dict(params), np.frombuffer(axis)
    radius, polydispersity = p["radius"], p["polydispersity"]
    if profile == "core_shell":
        return profiles.core_shell(q, radius, p["thickness"], p["core"], polydispersity)
    if profile == "cylinder":
        return profiles.cylinder(q, radius, p["length"], polydispersity)
    if profile == "ellipsoid":
        return profiles.ellipsoid(q, radius, p["polar"], polydispersity)
    if profile == "sphere":
        return profiles.sphere(q, radius, polydispersity)
    raise ValueError(
        f"no form factor {profile!r}; known are sphere, core_shell, cylinder, ellipsoid"
    )


def curve(component: Component, axis: np.ndarray) -> np.ndarray:
    """Smooth scattering over q."""
    p = component.params
    if component.profile == "porod":
        return profiles.porod(axis, p["exponent"], 1 / p["length"])
    if component.profile == "guinier_porod":
        return profiles.guinier_porod(axis, p["length"], p["exponent"])
    if component.kind == "form_factor":
        return _form_factor(component.profile, axis.tobytes(), tuple(p.items()))
    shape = {
        "guinier": profiles.guinier,
        "ornstein_zernike": profiles.ornstein_zernike,
        "debye_bueche": profiles.debye_bueche,
        "high_q": profiles.high_q,
    }[component.profile]
    return shape(axis, p["length"])


def _azimuthal(component: Component, order: int) -> np.ndarray | None:
    """Azimuthal profile of mean 1, or None where there is no modulation."""
    profile = None
    if component.kernel == "speckled":
        return profiles.speckled(
            component.grain_seed + order, component.grains[order], component.fold, component.eta
        )
    if component.fold and component.kernel:
        # A plane with an axis of its own counts directions from there.
        chi = 0.0 if component.uniaxial else component.chi[order]
        profile = profiles.kernel(component.kernel, component.fold, component.eta, chi)
    if component.grains:
        grains = profiles.grain_profile(
            component.grain_seed + order, component.grains[order], component.mosaic
        )
        profile = grains if profile is None else grains * profile
    return profile


def _spots(
    instrument: Instrument, component: Component, here: Maps
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian spots at the points of a plane reciprocal lattice."""
    p = component.params
    reach = np.arange(-_CRYSTAL_REACH, _CRYSTAL_REACH + 1)
    h, k = (index.ravel() for index in np.meshgrid(reach, reach))
    first = component.positions[0]
    along = first * (h + k * p["ratio"] * np.cos(p["angle"]))
    across = first * k * p["ratio"] * np.sin(p["angle"])
    q = np.hypot(along, across)
    rng = np.random.default_rng(component.grain_seed)
    height = np.exp(-((p["damping"] * q / first) ** 2) + p["scatter"] * rng.normal(size=q.size))
    native = pixels_at(instrument, q, np.arctan2(across, along) + component.chi[0])
    row, col = (
        (place + 0.5) * here.grid.scale + here.grid.pad_yx[axis] - 0.5
        for axis, place in enumerate(native)
    )
    spot = p["spot_px"] * here.grid.per_prepared_pixel
    rows, cols = here.grid.shape
    near = (q > 0) & (_beside(row, rows) < 5 * spot) & (_beside(col, cols) < 5 * spot)
    y, x = (
        np.exp(-0.5 * ((np.arange(extent) - place[near, None]) / spot) ** 2)
        for extent, place in ((rows, row), (cols, col))
    )
    brightest = max(float(height[near].max(initial=0.0)), 1e-30)
    return _single(y * (height[near, None] / brightest)), _single(x)


def _beside(place: np.ndarray, extent: int) -> np.ndarray:
    """Distance from a line of pixels, 0 on it."""
    return np.maximum(np.maximum(-place, place - extent + 1), 0)


def _fibre(number: int, component: Component, here: Maps, reference: Maps) -> list:
    """Equatorial streak and layer lines of a fibre (Cochran, Crick & Vand 1952, as envelopes).

    Layer line l lies at l times the first of `positions` along the axis, its maximum at
    `params["spread"]` l across it, as for the Bessel functions of a helix.
    """
    p, plane = component.params, plane_of(component)
    across = _axis(plane, here)
    reach = plane.span(here)[1]
    along = np.linspace(-reach, reach, TURNS)
    found = []
    for order in range(int(p["layers"]) + 1):
        layer = component.positions[0] * order
        sigma = np.hypot(p["thickness"] * (1 + 0.15 * order), _half_pixel(reference, layer))
        second = profiles.gaussian(np.abs(along), layer, float(sigma))
        if order == 0:
            first = profiles.ornstein_zernike(across, p["length"])
            first /= first[0]
        else:
            top = p["spread"] * order
            shape = profiles.gaussian(across, top, 0.3 * top + p["thickness"])
            first = component.weights[order - 1] * shape
        found.append(Drawn(Term(number, order), plane, _single(first), _single(second)))
    return found


def _grazing(number: int, component: Component, here: Maps) -> list[Drawn | Products]:
    """Film at grazing incidence: diffuse lobe, rods and streaks (if any), specular rod (last)."""
    p, size, pixel = component.params, here.grid.square, here.grid.per_prepared_pixel
    rows, cols = (np.arange(extent) / size for extent in here.grid.shape)
    height = here.beam_yx[0] / size - rows - p["horizon"]
    """Above the horizon, in units of the frame."""
    x = cols - here.beam_yx[1] / size
    # Vineyard: |T|^2 peaks where the exit angle is critical; angles go as heights here.
    critical = p["yoneda"]
    inner = np.sqrt(height**2 - critical**2 - 2j * p["absorption"] * critical**2 + 0j)
    vineyard = np.abs(2 * height / (height + np.where(height > 0, inner, 1))) ** 2
    exit_side = np.where(height > 0, vineyard / 4, 0.0)
    reach = int(np.ceil(4 * pixel))
    smear = profiles.gaussian(np.arange(-reach, reach + 1), 0, pixel)
    exit_side = np.convolve(exit_side, smear / smear.sum(), mode="same") + 0.002
    fade = np.exp(-np.abs(height) / p["decay"])
    shapes = [(exit_side * fade, 1 / (1 + (x / p["diffuse_width"]) ** 2), 1.0)]
    if p["rods"]:
        rods = np.zeros_like(x)
        for m in (1, 2, 3):
            away = (np.abs(x) - m * p["rod_spacing"]) / p["rod_width"]
            rods += np.exp(-0.3 * m) / (1 + away**2)
        # Short, and strongest at the Yoneda line; a part reaches along the whole rod.
        bright = np.exp(-(((height - critical) / p["rod_length"]) ** 2)) + p["rod_tail"] * fade
        shapes.append((exit_side * bright, rods, p["rods"]))
    rod = np.exp(-np.abs(height - p["horizon"]) / (0.3 * p["decay"])) * (height > -0.01)
    shapes.append((rod, 1 / (1 + (x / p["specular_width"]) ** 2), p["specular"]))
    return [
        Products(
            Term(number, order),
            _single(tall[None] * (share / max(tall.max() * wide.max(), 1e-30))),
            _single(wide[None]),
        )
        for order, (tall, wide, share) in enumerate(shapes)
    ]
