"""Detectability: what an ideal observer could see of a scene, before any noise is drawn.

d'^2 of a term is the sum over pixels of w s^2, with s its noise-free map after weighted projection
out of the nuisances (flat, air scattering) and w the inverse variance of a pixel. Qualities that
speak of the azimuth (symmetry, grains) are judged by the part of the term that its own azimuthal
average does not explain.

Shapes: K terms, P sampled pixels.
"""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from scatterlens_models.synthetic.geometry import Maps
from scatterlens_models.synthetic.render import Rendered, along_q, transmission
from scatterlens_models.synthetic.scene import Instrument, SceneParams

RULES = tomllib.loads((Path(__file__).parent / "rules.toml").read_text(encoding="utf-8"))
EVIDENCE_SIDE = 32
_STEP = 2
"""Every second row and column is enough for detectability."""
_HIGHEST_AMPLITUDE = 3e4
_ROUNDS = 7


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
        amplitudes = _amplitudes(scene, Sampled(scene, rendered, 2 * _STEP), owners)
    sampled = Sampled(scene, rendered, _STEP)
    seen = sampled.units * amplitudes[owners, None]
    weight = sampled.weight(seen.sum(0))
    dprime, residual = detect(seen, weight, sampled.nuisance)
    modulation = torch.zeros_like(dprime)
    for k, average in rendered.averages.items():
        own = torch.cat([sampled.nuisance, sampled.cut(average)[None]])
        modulation[k] = detect(seen[k : k + 1], weight, own)[0][0]
    pooled = pool(weight * residual.clamp_(min=0).square_(), size // _STEP)
    scaled = amplitudes[owners] @ rendered.images.flatten(1)
    return Visibility(
        amplitudes=amplitudes.numpy(),
        expected=(rendered.background + scaled.view(size, size)).numpy(),
        dprime=dprime.numpy(),
        modulation=modulation.numpy(),
        azimuth_deg=_visible_azimuth(scene, rendered),
        evidence=pooled.numpy(),
    )


def pool(weights: torch.Tensor, side: int) -> torch.Tensor:
    """Sums (N, 32, 32) over cells of weights (N, side * side)."""
    cell = side // EVIDENCE_SIDE
    return weights.reshape(-1, EVIDENCE_SIDE, cell, EVIDENCE_SIDE, cell).sum((2, 4))


class Sampled:
    """Every `step`-th row and column of a rendered scene, flattened."""

    def __init__(self, scene: SceneParams, rendered: Rendered, step: int):
        self._step = step
        here, instrument = rendered.maps, scene.instrument
        live = self.cut(torch.from_numpy(here.coverage))
        self._pixels = live * (step / here.grid.scale) ** 2
        read = (instrument.read_noise / instrument.gain) ** 2
        self._dark = self.cut(rendered.background) + RULES["detectability"]["floor"] + read
        radius = self.cut(torch.from_numpy(here.radius)) * (256 / here.q.shape[0])
        self.nuisance = torch.stack([torch.ones_like(radius), 1 / (1 + (radius / 12) ** 2)])
        """(N, P)"""
        self.units = rendered.images[:, ::step, ::step].flatten(1)
        """(K, P)"""

    def cut(self, image: torch.Tensor) -> torch.Tensor:
        """(P,) of an (S, S) map."""
        return image[:: self._step, :: self._step].flatten()

    def weight(self, signal: torch.Tensor) -> torch.Tensor:
        """Inverse variance (P,) of the mean count where the sample scatters `signal`."""
        return self._pixels / (self._dark + signal)


def _amplitudes(scene: SceneParams, sampled: Sampled, owners: torch.Tensor) -> torch.Tensor:
    """Amplitude (C,) at which each component's strongest term has the d' that it wants."""
    count = len(scene.components)
    amplitudes = torch.ones(count)
    targets = torch.tensor([component.target for component in scene.components])
    for _ in range(_ROUNDS if count else 0):
        seen = sampled.units * amplitudes[owners, None]
        reached, _ = detect(seen, sampled.weight(seen.sum(0)), sampled.nuisance)
        best = torch.zeros(count).scatter_reduce_(0, owners, reached, "amax")
        # d' grows as the amplitude, or as its root where the component is its own background.
        amplitudes = amplitudes * (targets / best.clamp(min=1e-9)) ** 1.25
        amplitudes = amplitudes.clamp(max=_HIGHEST_AMPLITUDE)
    return amplitudes


def detect(
    maps: torch.Tensor, weight: torch.Tensor, nuisance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """d' (K,) and what the nuisances (N, P) leave of the maps (K, P), by weighted least squares."""
    # Scaled nuisances keep the normal equations well conditioned in float32.
    scaled = nuisance / nuisance.square().mean(1, keepdim=True).sqrt().clamp(min=1e-12)
    weighted = scaled * weight
    normal = (weighted @ scaled.T).double()
    normal += torch.eye(len(normal), dtype=torch.float64) * (normal.trace() * 1e-7 + 1e-12)
    fit = torch.linalg.solve(normal, (weighted @ maps.T).double()).float()
    residual = maps - fit.T @ scaled
    return (residual.square() @ weight).clamp(min=0).sqrt(), residual


class _Lit(NamedTuple):
    """Pixels that are live and not in a deep shadow, (P,)."""

    place: np.ndarray
    """Of the flattened grid."""
    q: np.ndarray
    pixel_angle: np.ndarray
    step: np.ndarray
    """Azimuth in steps of 5 degrees."""


@lru_cache(maxsize=4)
def _lit(instrument: Instrument, here: Maps) -> _Lit:
    light = transmission(instrument, here.grid)
    place = np.flatnonzero((here.coverage > 0.5) & (light > 0.3))
    steps = (here.phi.ravel()[place] * (36 / np.pi)).astype(np.int32) % 72
    return _Lit(place, here.q.ravel()[place], here.pixel_angle.ravel()[place], steps)


def _visible_azimuth(scene: SceneParams, rendered: Rendered) -> np.ndarray:
    """Degrees (K,), in steps of 5, at which the maximum of a ring or halo lies on lit pixels."""
    lit = _lit(scene.instrument, rendered.maps)
    degrees = np.full(len(rendered.terms), 360.0)
    for k, term in enumerate(rendered.terms):
        if term.q == 0:
            continue
        component = scene.components[term.component]
        if component.ellipticity == 1:
            q = lit.q
        else:
            q = along_q(component, rendered.maps).ravel()[lit.place]
        near = np.abs(q - term.q) < 2 * lit.pixel_angle * component.ellipticity
        degrees[k] = 5.0 * np.count_nonzero(np.bincount(lit.step[near], minlength=72))
    return degrees
