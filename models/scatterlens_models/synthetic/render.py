"""Noise-free images: every term of every component apart, before amplitudes and detection.

A term is one ring, halo or smooth curve. Polar terms are low rank: a radial table times an
azimuthal table, each looked up per pixel; a term without azimuthal table costs one lookup.
Crystals and grazing incidence are low rank along rows and columns.

Unit amplitude is defined on the prepared grid of 256 x 256 pixels, so that any other grid shows the
same brightness: heights and half a pixel of blur are taken from there.

Shapes: K terms, C components, H x W pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from scatterlens_models.synthetic import profiles
from scatterlens_models.synthetic.geometry import (
    PREPARED_SIDE,
    Grid,
    Maps,
    maps,
    native_grid,
    prepared_grid,
    radius_at,
)
from scatterlens_models.synthetic.scene import Component, Instrument, SceneParams, Shadow

_RADIAL_BINS = 1024


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


@dataclass(frozen=True, eq=False)
class Rendered:
    """Maps of unit amplitude; what the sample scatters is already dimmed by stop and shadows."""

    terms: tuple[Term, ...]
    images: torch.Tensor
    """(K, H, W), each component's largest term being about 1 at its peak."""
    averages: dict[int, torch.Tensor]
    """(H, W) of each modulated term: the same ring without its dependence on the azimuth."""
    background: torch.Tensor
    """(H, W), photons per native pixel."""
    throughput: torch.Tensor
    """(H, W), share of the scattered light that reaches the detector."""
    maps: Maps


def render(scene: SceneParams) -> Rendered:
    """Render every term of a scene on the prepared grid of 256 x 256 pixels."""
    here = _reference(scene)
    light = _throughput(scene, here)
    terms: list[Term] = []
    images: list[torch.Tensor] = []
    averages: dict[int, torch.Tensor] = {}
    for number in range(len(scene.components)):
        for term, image, average in _component(scene, number, here, here):
            if term.modulated:
                averages[len(terms)] = average * light
            terms.append(term)
            images.append(image * light)
    stacked = torch.stack(images) if images else torch.zeros((0, *here.grid.shape))
    return Rendered(tuple(terms), stacked, averages, _background(scene, here), light, here)


def render_native(scene: SceneParams, amplitudes: np.ndarray) -> tuple[np.ndarray, Maps]:
    """Photons (rows, cols) that each of the detector's own pixels expects, and its maps.

    Args:
        scene: what to render.
        amplitudes: (C,) of its components, as `detectability.judge` finds them.
    """
    here = maps(scene.instrument, native_grid(scene.instrument))
    scattered = torch.zeros(here.grid.shape)
    for number, amplitude in enumerate(amplitudes):
        for _, image, _ in _component(scene, number, here, _reference(scene)):
            scattered.add_(image, alpha=float(amplitude))
    expected = scattered.mul_(_throughput(scene, here)).add_(_background(scene, here))
    return expected.numpy(), here


def _reference(scene: SceneParams) -> Maps:
    return maps(scene.instrument, prepared_grid(scene.instrument, PREPARED_SIDE))


_Drawn = list[tuple[Term, torch.Tensor, torch.Tensor]]


def _component(scene: SceneParams, number: int, here: Maps, reference: Maps) -> _Drawn:
    component = scene.components[number]
    if component.kind == "crystal":
        image = _crystal(scene.instrument, component, here)
        return [(Term(number, 0), image, image)]
    if component.kind == "gisaxs":
        return [(Term(number, i), m, m) for i, m in enumerate(_grazing(component, here))]
    q_map = along_q(component, here)
    lowest, highest = float(q_map.min()), float(q_map.max())
    bins = round(_RADIAL_BINS * here.grid.per_prepared_pixel)
    axis = np.linspace(lowest, highest, bins)
    step = max(highest - lowest, 1e-9) / (bins - 1)
    place = _Place(torch.from_numpy((q_map - lowest) / np.float32(step)), bins)
    blur = _pixel_blur(component, reference)
    if component.kind in ("rings", "halo"):
        curves = [
            weight * _peak(component, axis, q, float(np.hypot(component.width * q, blur(q))))
            for q, weight in zip(component.positions, component.weights, strict=True)
        ]
    else:
        seen = along_q(component, reference)
        usual = np.linspace(float(seen.min()), float(seen.max()), _RADIAL_BINS)
        curves = [_curve(component, axis) / max(float(_curve(component, usual).max()), 1e-30)]
    turn = None
    drawn: _Drawn = []
    for order, curve in enumerate(curves):
        q = component.positions[order] if component.positions else 0.0
        average = place.lookup(curve)
        azimuthal = _azimuthal(component, order)
        if azimuthal is None:
            drawn.append((Term(number, order, q), average, average))
        else:
            if turn is None:
                bins = profiles.AZIMUTH_BINS
                turn = _Place(torch.from_numpy(here.phi) * (bins / (2 * np.pi)), bins + 1)
            image = average * turn.lookup(np.append(azimuthal, azimuthal[0]))
            drawn.append((Term(number, order, q, modulated=True), image, average))
    return drawn


class _Place:
    """Fractional places in tables of one length, for any number of linear lookups."""

    def __init__(self, place: torch.Tensor, length: int):
        self._low = place.to(torch.int32).clamp_(0, length - 2)
        self._part = (place - self._low).clamp_(0, 1)

    def lookup(self, table: np.ndarray) -> torch.Tensor:
        """Interpolated values, in the shape of the places."""
        values = torch.from_numpy(table.astype(np.float32))
        steps = torch.diff(values)
        low = self._low.flatten()
        start = values.index_select(0, low).view_as(self._part)
        return start.addcmul_(self._part, steps.index_select(0, low).view_as(self._part))


def _pixel_blur(component: Component, here: Maps):
    """Half a pixel in q at a given q: keeps sharp rings from falling between pixels."""
    q_flat, half = here.q.ravel()[::37], here.pixel_angle.ravel()[::37]
    order = np.argsort(q_flat)

    def blur(q: float) -> float:
        return float(np.interp(q, q_flat[order], half[order])) * component.ellipticity

    return blur


def _peak(component: Component, axis: np.ndarray, q: float, sigma: float) -> np.ndarray:
    if component.profile == "pseudo_voigt":
        return profiles.pseudo_voigt(axis, q, sigma, component.params["mixing"])
    return profiles.gaussian(axis, q, sigma)


def _curve(component: Component, axis: np.ndarray) -> np.ndarray:
    """Smooth scattering over q."""
    p = component.params
    if component.profile == "porod":
        return profiles.porod(axis, p["exponent"], 1 / p["length"])
    if component.profile == "guinier_porod":
        return profiles.guinier_porod(axis, p["length"], p["exponent"])
    if component.profile == "sphere":
        return profiles.sphere(axis, p["radius"], p["polydispersity"])
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
        profile = profiles.kernel(
            component.kernel, component.fold, component.eta, component.chi[order]
        )
    if component.grains:
        grains = profiles.grain_profile(
            component.grain_seed + order, component.grains[order], component.mosaic
        )
        profile = grains if profile is None else grains * profile
    return profile


def along_q(component: Component, here: Maps) -> np.ndarray:
    """q as a component counts it: stretched across chi by its ellipticity, (H, W)."""
    if component.ellipticity == 1:
        return here.q
    angle = here.phi - component.chi[0]
    return here.q * np.sqrt(
        np.cos(angle) ** 2 + component.ellipticity**2 * np.sin(angle) ** 2
    ).astype(np.float32)


def _crystal(instrument: Instrument, component: Component, here: Maps) -> torch.Tensor:
    """Gaussian spots at the points of a plane reciprocal lattice, (H, W)."""
    p = component.params
    reach = np.arange(-12, 13)
    h, k = (index.ravel() for index in np.meshgrid(reach, reach))
    first = component.positions[0]
    along = first * (h + k * p["ratio"] * np.cos(p["angle"]))
    across = first * k * p["ratio"] * np.sin(p["angle"])
    q = np.hypot(along, across)
    phi = np.arctan2(across, along) + component.chi[0]
    rng = np.random.default_rng(component.grain_seed)
    height = np.exp(-((p["damping"] * q / first) ** 2) + p["scatter"] * rng.normal(size=q.size))
    pixels = radius_at(instrument, q) * here.grid.scale
    row = here.beam_yx[0] - pixels * np.cos(phi)
    col = here.beam_yx[1] + pixels * np.sin(phi)
    size, (rows, cols) = here.grid.square, here.grid.shape
    near = (q > 0) & (np.abs(row - rows / 2) < size) & (np.abs(col - cols / 2) < size)
    spot = p["spot_px"] * here.grid.per_prepared_pixel
    y, x = (
        np.exp(-0.5 * ((np.arange(extent) - place[near, None]) / spot) ** 2)
        for extent, place in ((rows, row), (cols, col))
    )
    image = (y * height[near, None]).T @ x
    return torch.from_numpy((image / max(image.max(), 1e-30)).astype(np.float32))


def _grazing(component: Component, here: Maps) -> list[torch.Tensor]:
    """Diffuse lobe, Bragg rods (if any), specular rod of a film at grazing incidence."""
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
    diffuse = np.outer(exit_side * fade, 1 / (1 + (x / p["diffuse_width"]) ** 2))
    images = [diffuse / diffuse.max()]
    if p["rods"]:
        rods = sum(
            np.exp(-0.3 * m) / (1 + ((np.abs(x) - m * p["rod_spacing"]) / p["rod_width"]) ** 2)
            for m in (1, 2, 3)
        )
        bright = np.exp(-(((height - critical) / p["rod_length"]) ** 2)) + 0.1 * fade
        lobes = np.outer(exit_side * bright, rods)
        images.append(p["rods"] * lobes / lobes.max())
    rod = np.exp(-np.abs(height - p["horizon"]) / (0.3 * p["decay"])) * (height > -0.01)
    specular = np.outer(rod, 1 / (1 + (x / p["specular_width"]) ** 2))
    images.append(p["specular"] * specular / max(specular.max(), 1e-30))
    return [torch.from_numpy(image.astype(np.float32)) for image in images]


# What stands in the beam, and what is there without a sample


@lru_cache(maxsize=4)
def transmission(instrument: Instrument, grid: Grid) -> np.ndarray:
    """Share of light that stop, arms and shadows let through, float32 (H, W)."""
    rows, cols = np.meshgrid(grid.lines(0) + 0.5, grid.lines(1) + 0.5, indexing="ij")
    through = np.ones(grid.shape)
    for shadow in instrument.shadows:
        covered = np.clip(0.5 - _distance(shadow, rows, cols, grid.square), 0, 1)
        through *= 1 - covered * (1 - shadow.transmission)
    return through.astype(np.float32)


def _distance(shadow: Shadow, rows: np.ndarray, cols: np.ndarray, size: int) -> np.ndarray:
    """Distance in pixels from the edge of a shadow, negative inside."""
    points = np.array(shadow.points) * size
    if shadow.shape in ("disk", "tube"):
        away = np.hypot(rows - points[0, 0], cols - points[0, 1]) - shadow.radius * size
        return away if shadow.shape == "disk" else -away
    if shadow.shape in ("bar", "wedge"):
        axis = points[1] - points[0]
        length = np.hypot(*axis)
        axis = axis / length
        along = (rows - points[0, 0]) * axis[0] + (cols - points[0, 1]) * axis[1]
        across = np.abs((cols - points[0, 1]) * axis[0] - (rows - points[0, 0]) * axis[1])
        if shadow.shape == "wedge":
            return np.maximum(across - np.tan(shadow.radius) * along, -along)
        return np.maximum(across - shadow.radius * size, np.maximum(-along, along - length))
    inside = np.zeros(rows.shape, dtype=bool)
    for (y0, x0), (y1, x1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        crosses = (y0 > rows) != (y1 > rows)
        slope = (x1 - x0) / (y1 - y0) if y1 != y0 else 0.0
        inside ^= crosses & (cols < x0 + (rows - y0) * slope)
    return np.where(inside, -1.0, 1.0)


def _throughput(scene: SceneParams, here: Maps) -> torch.Tensor:
    through = transmission(scene.instrument, here.grid) * here.efficiency
    down, across = (here.grid.ramp(axis).astype(np.float32) for axis in (0, 1))
    gradient = scene.background.gradient
    absorbed = (1 + gradient[0] * down[:, None]) * (1 + gradient[1] * across)
    return torch.from_numpy(through * absorbed)


def _background(scene: SceneParams, here: Maps) -> torch.Tensor:
    """Flat, air, windows, slit streak and direct beam, (H, W)."""
    b, radius, size = scene.background, here.radius, here.grid.square
    rows, cols = here.grid.shape
    if scene.dark:
        return torch.full((rows, cols), b.flat)
    light = transmission(scene.instrument, here.grid)
    image = 0.9 * b.flat + b.air / (1 + (radius * (256 / size) / 12) ** 2)
    if b.window:
        image = image + b.window / (1 + (radius / (b.window_radius * size)) ** 2) ** 1.5
    if b.streak:
        y = np.arange(rows, dtype=np.float32)[:, None] - here.beam_yx[0]
        x = np.arange(cols, dtype=np.float32) - here.beam_yx[1]
        c, s = np.float32(np.cos(b.streak_angle)), np.float32(np.sin(b.streak_angle))
        across = (x * c + y * s) / np.float32(here.grid.per_prepared_pixel)
        image = image + b.streak / (1 + across**2) / (1 + radius / (0.1 * size))
    image = image * light
    if b.beam:
        y = (np.arange(rows)[:, None] - here.beam_yx[0]) / here.grid.per_prepared_pixel
        x = (np.arange(cols) - here.beam_yx[1]) / here.grid.per_prepared_pixel
        spot = np.exp(-0.5 * ((y / b.beam_sigma[0]) ** 2 + (x / b.beam_sigma[1]) ** 2))
        image = image + b.beam * spot * light
    # A tenth of the flat part is born behind the stop: fluorescence, cosmic rays, electronics.
    return torch.from_numpy((image + 0.1 * b.flat).astype(np.float32))
