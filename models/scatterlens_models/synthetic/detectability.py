"""Detectability: what an ideal observer could see of a scene, before any noise is drawn.

d'^2 of a term is the sum over pixels of w s^2, with s its noise-free map after weighted projection
out of the nuisances (flat, air scattering) and w the inverse variance of a pixel. Qualities that
speak of the azimuth (symmetry, grains) are judged by the part of the term that its own azimuthal
average does not explain.

Shapes: K terms, P sampled pixels.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from scatterlens_models.synthetic.curves import Term, coordinates, plane_of
from scatterlens_models.synthetic.geometry import Maps
from scatterlens_models.synthetic.render import Rendered
from scatterlens_models.synthetic.scene import Instrument, SceneParams
from scatterlens_models.synthetic.surroundings import transmission

RULES = tomllib.loads((Path(__file__).parent / "rules.toml").read_text(encoding="utf-8"))
EVIDENCE_SIDE = 32
STEP = 2
"""Every second row and column is enough for detectability."""
COARSE_STEP = 4
"""... and every fourth to find amplitudes."""
_HIGHEST_AMPLITUDE = 3e4
_ROUNDS = 4


@dataclass(frozen=True, eq=False)
class Visibility:
    """What could be seen of a scene, and how bright each component had to be for it."""

    amplitudes: np.ndarray
    """(C,) photons per native pixel at unit map."""
    expected: np.ndarray
    """(S, S) photons per native pixel, all together."""
    dprime: np.ndarray
    """(K,) detectability of each term."""
    modulation: np.ndarray
    """(K,) detectability of its dependence on the azimuth."""
    azimuth_deg: np.ndarray
    """(K,) visible azimuth at the maximum of a ring or halo; 360 for what has none."""
    evidence: np.ndarray
    """(K, 32, 32) d'^2 weight of each term."""


def judge(scene: SceneParams, rendered: Rendered) -> Visibility:
    """Find the amplitudes that meet the wanted d' and what is visible then.

    In the profile `paper` the components state the counts of their peaks instead.
    """
    size = rendered.background.shape[0]
    owners = torch.tensor([term.component for term in rendered.terms], dtype=torch.int64)
    if scene.profile == "paper":
        amplitudes = torch.tensor([component.params["peak"] for component in scene.components])
    else:
        amplitudes = _amplitudes(scene, Sampled(scene, rendered, COARSE_STEP), owners)
    sampled = Sampled(scene, rendered, STEP)
    seen = sampled.units * amplitudes[owners, None]
    weight = sampled.weight(seen.sum(0))
    modulated = list(rendered.averages)
    even = [sampled.cut(average) for average in rendered.averages.values()]
    dprime, residual = detect(torch.cat([seen, *(e[None] for e in even)]), weight, sampled.nuisance)
    count = len(rendered.terms)
    modulation = torch.zeros(count)
    modulation[modulated] = unexplained(residual[modulated], residual[count:], weight)
    pooled = pool(weight * residual[:count].clamp(min=0).square_(), size // STEP)
    heights, images = amplitudes[owners], rendered.images.flatten(1)
    expected = total(rendered.background.flatten(), heights, images)
    return Visibility(
        amplitudes=amplitudes.numpy(),
        expected=expected.view_as(rendered.background).numpy(),
        dprime=dprime[:count].numpy(),
        modulation=modulation.numpy(),
        azimuth_deg=visible_azimuth(scene, rendered.terms, rendered.maps),
        evidence=pooled.numpy(),
    )


def total(background: torch.Tensor, heights: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Background (..., P) and all K maps (..., K, P) at their heights (..., K)."""
    # One after the other, so that rounding does not depend on the batch.
    whole = background.clone()
    for k in range(heights.shape[-1]):
        whole.addcmul_(maps[..., k, :], heights[..., k, None])
    return whole


def pool(weights: torch.Tensor, side: int) -> torch.Tensor:
    """Sums (N, 32, 32) over cells of weights (N, side * side)."""
    cell = side // EVIDENCE_SIDE
    return weights.reshape(-1, EVIDENCE_SIDE, cell, EVIDENCE_SIDE, cell).sum((2, 4))


class Sampled:
    """Every `step`-th row and column of a rendered scene, flattened."""

    def __init__(self, scene: SceneParams, rendered: Rendered, step: int):
        self._step = step
        instrument = scene.instrument
        self.pixels, self.nuisance = fixed(rendered.maps, step)
        self.dark = self.cut(rendered.background) + electronic_variance(instrument)
        self.units = rendered.images[:, ::step, ::step].flatten(1)
        """(K, P)"""

    def cut(self, image: torch.Tensor) -> torch.Tensor:
        """(P,) of an (S, S) map."""
        return image[:: self._step, :: self._step].flatten()

    def weight(self, signal: torch.Tensor) -> torch.Tensor:
        """Inverse variance (P,) of the mean count where the sample scatters `signal`."""
        return self.pixels / (self.dark + signal)


def electronic_variance(instrument: Instrument) -> float:
    """Variance of a native pixel that no photon causes, in photons."""
    return RULES["detectability"]["floor"] + (instrument.read_noise / instrument.gain) ** 2


@lru_cache(maxsize=8)
def fixed(here: Maps, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Live native pixels (P,) behind each sample, and the nuisances (2, P): flat and air."""
    cut = (slice(None, None, step), slice(None, None, step))
    live = torch.from_numpy(here.coverage[cut]).flatten()
    radius = torch.from_numpy(here.radius[cut]).flatten() * (256 / here.q.shape[0])
    air = 1 / (1 + (radius / 12) ** 2)
    # Of like size, so that the normal equations are well conditioned in float32.
    air = air / air.square().mean().sqrt().clamp(min=1e-12)
    return live * (step / here.grid.scale) ** 2, torch.stack([torch.ones_like(air), air])


def _amplitudes(scene: SceneParams, sampled: Sampled, owners: torch.Tensor) -> torch.Tensor:
    targets = torch.tensor([float(component.target) for component in scene.components])
    if not len(owners):
        return targets
    return find_amplitudes(
        targets, owners, sampled.units, sampled.nuisance, sampled.pixels, sampled.dark
    )


def find_amplitudes(
    targets: torch.Tensor,
    owners: torch.Tensor,
    units: torch.Tensor,
    nuisance: torch.Tensor,
    pixels: torch.Tensor,
    dark: torch.Tensor,
) -> torch.Tensor:
    """Amplitude (..., C) at which each component's strongest term has the d' that it wants.

    Args:
        targets: wanted d', (..., C).
        owners: component of each term, (..., K).
        units: maps of unit amplitude, (..., K, P).
        nuisance: (..., 2, P).
        pixels: live native pixels behind each sample, (..., P).
        dark: variance of a sample without scattering, (..., P).
    """
    amplitudes = torch.ones_like(targets)
    # All that a round needs are sums over pixels of these products, times the weight.
    flat, air = nuisance[..., :1, :], nuisance[..., 1:, :]
    own = torch.cat([flat * flat, flat * air, air * air], -2)
    # In double precision, so that a frame is the same alone and in any batch.
    products = torch.cat([units * units, flat * units, air * units, own], -2).double()
    slope, before = torch.ones_like(targets), None
    for _ in range(_ROUNDS):
        height = amplitudes.gather(-1, owners)
        weight = pixels / total(dark, height, units)
        sums = (products @ weight[..., None].double())[..., 0]
        square, *fits = sums[..., :-3].unflatten(-1, (3, -1)).unbind(-2)
        left = square - _explained(fits, sums[..., -3:])
        reached = height * left.clamp(min=1e-18).sqrt().float()
        best = torch.zeros_like(targets).scatter_reduce_(-1, owners, reached, "amax")
        best = best.clamp(min=1e-9)
        # d' grows as the amplitude, or as its root where the component is its own background: the
        # last two rounds tell what holds.
        if before is not None:
            step = (amplitudes / before[0]).log()
            found = (best / before[1]).log() / step
            slope = torch.where(step.abs() > 1e-3, found, slope).clamp(0.45, 1.0)
        before = amplitudes, best
        amplitudes = (amplitudes * (targets / best) ** (1 / slope)).clamp(1e-9, _HIGHEST_AMPLITUDE)
    return amplitudes


def _solve(
    products: Sequence[torch.Tensor], normal: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients of two nuisances, each (..., K), from their weighted products with K maps.

    `normal` (..., 3) are their products with themselves: 00, 01, 11; all in double precision.
    """
    a, b, d = (part[..., None] for part in normal.unbind(-1))
    ridge = (a + d) * 1e-7 + 1e-12
    a, d = a + ridge, d + ridge
    first, second = products
    determinant = a * d - b * b
    return (d * first - b * second) / determinant, (a * second - b * first) / determinant


def _explained(products: Sequence[torch.Tensor], normal: torch.Tensor) -> torch.Tensor:
    """What two nuisances explain of each map's weighted sum of squares, (..., K)."""
    fit = _solve(products, normal)
    return fit[0] * products[0] + fit[1] * products[1]


def detect(
    maps: torch.Tensor, weight: torch.Tensor, nuisance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """d' (..., K) and what the nuisances (..., 2, P) leave of the maps (..., K, P).

    By least squares with weights (..., P).
    """
    weighted = nuisance * weight[..., None, :]
    normal = (weighted @ nuisance.mT).double().flatten(-2)[..., [0, 1, 3]]
    fit = torch.stack(_solve((weighted @ maps.mT).double().unbind(-2), normal), -2).float()
    residual = maps - fit.mT @ nuisance
    return _square(residual, weight).sqrt(), residual


def _square(maps: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return ((maps * maps) @ weight[..., None])[..., 0]


def unexplained(maps: torch.Tensor, averages: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """d' (..., K) of what its own average (..., K, P) does not explain of each map (..., K, P)."""
    common = ((averages * maps) @ weight[..., None])[..., 0]
    share = common / _square(averages, weight).clamp(min=1e-30)
    return _square(maps - share[..., None] * averages, weight).sqrt()


class _Lit(NamedTuple):
    """Pixels that are live and not in a deep shadow, by rising q, (P,)."""

    place: np.ndarray
    """Of the flattened grid."""
    q: np.ndarray
    pixel_angle: np.ndarray
    step: np.ndarray
    """Azimuth in steps of 5 degrees."""
    widest: float
    """Greatest of the pixel angles."""


@lru_cache(maxsize=4)
def _lit(instrument: Instrument, here: Maps) -> _Lit:
    light = transmission(instrument, here.grid)
    place = np.flatnonzero((here.coverage > 0.5) & (light > 0.3))
    place = place[np.argsort(here.q.ravel()[place], kind="stable")]
    steps = (here.phi.ravel()[place] * (36 / np.pi)).astype(np.int32) % 72
    angle = here.pixel_angle.ravel()[place]
    return _Lit(place, here.q.ravel()[place], angle, steps, float(angle.max(initial=0.0)))


def visible_azimuth(scene: SceneParams, terms: Sequence[Term], here: Maps) -> np.ndarray:
    """Degrees (K,), in steps of 5, at which the maximum of a ring or halo lies on lit pixels."""
    lit = _lit(scene.instrument, here)
    degrees = np.full(len(terms), 360.0)
    for k, term in enumerate(terms):
        if term.q == 0:
            continue
        component = scene.components[term.component]
        if component.ellipticity == 1:
            reach = 2 * lit.widest
            window = slice(*np.searchsorted(lit.q, (term.q - reach, term.q + reach)))
            q = lit.q[window]
        else:
            window = slice(None)
            plane = plane_of(component)
            q = coordinates(scene.instrument, plane, here)[0].numpy().ravel()[lit.place]
        near = np.abs(q - term.q) < 2 * lit.pixel_angle[window] * component.ellipticity
        degrees[k] = 5.0 * np.count_nonzero(np.bincount(lit.step[window][near], minlength=72))
    return degrees
