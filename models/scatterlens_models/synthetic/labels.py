"""Detectability and labels: what an ideal observer could see, before any noise is drawn.

d'^2 of a term is the sum over pixels of w s^2, with s its noise-free map after weighted projection
out of the nuisances (flat, air scattering) and w the inverse variance of a pixel. Qualities that
speak of the azimuth (symmetry, grains) are judged by the part of the term that its own azimuthal
average does not explain.

Shapes: K terms, A attributes, P sampled pixels; labels are int8 {1 present, 0 absent, -1 unsure}.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from scatterlens_models.synthetic.profiles import coverage as grain_coverage
from scatterlens_models.synthetic.render import Rendered, Term, along_q, transmission
from scatterlens_models.synthetic.scene import Component, SceneParams
from scatterlens_models.vocabulary import Vocabulary

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
    """Find the amplitudes that meet the wanted d' and what is visible then."""
    size = rendered.background.shape[0]
    owners = torch.tensor([term.component for term in rendered.terms], dtype=torch.int64)
    amplitudes = _amplitudes(scene, _Sampled(scene, rendered, 2 * _STEP), owners)
    sampled = _Sampled(scene, rendered, _STEP)
    seen = sampled.units * amplitudes[owners, None]
    weight = sampled.weight(seen.sum(0))
    dprime, residual = _detect(seen, weight, sampled.nuisance)
    modulation = torch.zeros_like(dprime)
    for k, average in rendered.averages.items():
        own = torch.cat([sampled.nuisance, sampled.cut(average)[None]])
        modulation[k] = _detect(seen[k : k + 1], weight, own)[0][0]
    cell = size // _STEP // EVIDENCE_SIDE
    cells = (len(owners), EVIDENCE_SIDE, cell, EVIDENCE_SIDE, cell)
    pooled = (weight * residual.clamp_(min=0).square_()).reshape(cells).sum((2, 4))
    scaled = amplitudes[owners] @ rendered.images.flatten(1)
    return Visibility(
        amplitudes=amplitudes.numpy(),
        expected=(rendered.background + scaled.view(size, size)).numpy(),
        dprime=dprime.numpy(),
        modulation=modulation.numpy(),
        azimuth_deg=_visible_azimuth(scene, rendered),
        evidence=pooled.numpy(),
    )


class _Sampled:
    """Every `step`-th row and column of a rendered scene, flattened."""

    def __init__(self, scene: SceneParams, rendered: Rendered, step: int):
        self._step = step
        grid, instrument = rendered.maps, scene.instrument
        live = self.cut(torch.from_numpy(grid.coverage))
        self._pixels = live * (step / grid.grid.scale) ** 2
        read = (instrument.read_noise / instrument.gain) ** 2
        self._dark = self.cut(rendered.background) + RULES["detectability"]["floor"] + read
        radius = self.cut(torch.from_numpy(grid.radius)) * (256 / grid.q.shape[0])
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


def _amplitudes(scene: SceneParams, sampled: _Sampled, owners: torch.Tensor) -> torch.Tensor:
    """Amplitude (C,) at which each component's strongest term has the d' that it wants."""
    count = len(scene.components)
    amplitudes = torch.ones(count)
    targets = torch.tensor([component.target for component in scene.components])
    for _ in range(_ROUNDS if count else 0):
        seen = sampled.units * amplitudes[owners, None]
        reached, _ = _detect(seen, sampled.weight(seen.sum(0)), sampled.nuisance)
        best = torch.zeros(count).scatter_reduce_(0, owners, reached, "amax")
        # d' grows as the amplitude, or as its root where the component is its own background.
        amplitudes = amplitudes * (targets / best.clamp(min=1e-9)) ** 1.25
        amplitudes = amplitudes.clamp(max=_HIGHEST_AMPLITUDE)
    return amplitudes


def _detect(
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


def _visible_azimuth(scene: SceneParams, rendered: Rendered) -> np.ndarray:
    """Degrees (K,), in steps of 5, at which the maximum of a ring or halo lies on lit pixels."""
    grid = rendered.maps
    light = transmission(scene.instrument, grid.grid)
    lit = (grid.coverage > 0.5) & (light > 0.3)
    steps = (grid.phi * (36 / np.pi)).astype(np.int32) % 72
    degrees = np.full(len(rendered.terms), 360.0)
    for k, term in enumerate(rendered.terms):
        if term.q == 0:
            continue
        component = scene.components[term.component]
        near = (
            np.abs(along_q(component, grid) - term.q) < 2 * grid.pixel_angle * component.ellipticity
        )
        degrees[k] = 5.0 * np.count_nonzero(np.bincount(steps[near & lit], minlength=72))
    return degrees


class _Ballot:
    """Collects, per attribute, what speaks for it."""

    def __init__(self, vocabulary: Vocabulary, visibility: Visibility):
        self._index = {name: i for i, name in enumerate(vocabulary.ids)}
        self._evidence = visibility.evidence
        self.labels = np.zeros(len(vocabulary.ids), dtype=np.int8)
        self.dprime = np.zeros(len(vocabulary.ids), dtype=np.float32)
        self.maps = np.zeros((len(vocabulary.ids), EVIDENCE_SIDE, EVIDENCE_SIDE))

    def vote(self, attribute: str, dprime: float, terms: list[int], certain: bool = True) -> None:
        """Speak for an attribute; what geometry hides (`certain` false) is unsure at best."""
        limits = RULES["detectability"]
        index = self._index.get(attribute)
        if index is None or dprime < limits["unsure"] * (1 - limits["guard"]):
            return
        self.dprime[index] = max(self.dprime[index], dprime)
        if certain and dprime >= limits["present"] * (1 + limits["guard"]):
            self.labels[index] = 1
            self.maps[index] += self._evidence[terms].sum(0)
        elif self.labels[index] == 0:
            self.labels[index] = -1


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labels of one frame in the order of a vocabulary."""

    labels: np.ndarray
    """(A,) int8."""
    dprime: np.ndarray
    """(A,) float32, of the strongest component that speaks for the attribute; 0 without."""
    evidence: np.ndarray
    """(A, 32, 32) uint8, 255 at the largest weight; zero where the label is not 1."""


def label(
    scene: SceneParams, visibility: Visibility, terms: tuple[Term, ...], vocabulary: Vocabulary
) -> Labelled:
    """Apply the rules to every component of a scene."""
    ballot = _Ballot(vocabulary, visibility)
    for number, component in enumerate(scene.components):
        own = [k for k, term in enumerate(terms) if term.component == number]
        _RULES_OF[component.kind](ballot, component, own, visibility)
    peak = ballot.maps.reshape(len(ballot.maps), -1).max(1)[:, None, None]
    evidence = np.round(255 * ballot.maps / np.maximum(peak, 1e-30)).astype(np.uint8)
    return Labelled(ballot.labels, ballot.dprime, evidence)


def _vote_evenness(
    ballot: _Ballot,
    component: Component,
    dprime: float,
    modulation: float,
    terms: list[int],
    azimuth: float,
) -> None:
    """Anisotropic or isotropic, from the parameters alone."""
    rule = RULES["geometry"]
    wide = azimuth >= rule["isotropic_azimuth_deg"]
    if component.ellipticity > RULES["ellipse"]["anisotropic"]:
        ballot.vote("anisotropic", dprime, terms, wide)
    elif component.eta > 0:
        ballot.vote("anisotropic", modulation, terms, wide)
        if modulation < RULES["detectability"]["present"]:
            ballot.vote("isotropic", dprime, terms, certain=False)
    elif not component.grains:
        ballot.vote("isotropic", dprime, terms, wide)


def _vote_symmetry(
    ballot: _Ballot,
    component: Component,
    which: str,
    modulation: float,
    terms: list[int],
    azimuth: float,
) -> None:
    enough = azimuth >= RULES["geometry"]["periods"] * 360 / component.fold
    ballot.vote(which, modulation, terms, enough)
    ballot.vote(f"symmetry_{component.fold}", modulation, terms, enough)


def _rings(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
    rule = RULES["geometry"]
    shown = [k for k in own if seen.azimuth_deg[k] >= rule["ring_azimuth_deg"]]
    limit = RULES["detectability"]["unsure"]
    for k in own:
        d, m, azimuth = float(seen.dprime[k]), float(seen.modulation[k]), seen.azimuth_deg[k]
        certain = k in shown
        ballot.vote("ring", d, [k], certain)
        limits = RULES["width"]
        width = "intermediate"
        if component.width < limits["sharp"]:
            width = "sharp"
        elif component.width > limits["broad"]:
            width = "broad"
        ballot.vote(f"width_{width}", d, [k], certain)
        _vote_evenness(ballot, component, d, m, [k], float(azimuth))
        if component.fold and not component.grains:
            _vote_symmetry(ballot, component, "symmetry_ring", m, [k], float(azimuth))
            _vote_orientation(ballot, component, m, k, float(azimuth))
        elif component.fold:  # grains hide the symmetry that shapes their intensities
            for name in ("symmetry_ring", f"symmetry_{component.fold}"):
                ballot.vote(name, m, [k], certain=False)
            for name in ("sharp", "intermediate", "broad"):
                ballot.vote(f"orientation_{name}", m, [k], certain=False)
        if component.grains:
            order = own.index(k)
            covered = grain_coverage(component.grains[order], component.mosaic)
            spotted = covered < RULES["grains"]["spotted"]
            ballot.vote("spotted" if spotted else "textured", m, [k], certain)
    visible = sorted((k for k in shown if seen.dprime[k] >= limit), key=lambda k: -seen.dprime[k])
    # The strongest ring is the first; each further one that is visible is a higher order.
    for k in visible[1:]:
        ballot.vote("higher_orders", float(seen.dprime[k]), [k])


def _vote_orientation(
    ballot: _Ballot, component: Component, modulation: float, k: int, azimuth: float
) -> None:
    limits = RULES["orientation"]
    kind = "intermediate"
    if component.eta > limits["sharp"]:
        kind = "sharp"
    elif component.eta < limits["broad"]:
        kind = "broad"
    enough = azimuth >= RULES["geometry"]["periods"] * 360 / component.fold
    ballot.vote(f"orientation_{kind}", modulation, [k], enough)


def _halo(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
    k = own[0]
    d, m, azimuth = float(seen.dprime[k]), float(seen.modulation[k]), float(seen.azimuth_deg[k])
    ballot.vote("halo", d, [k], azimuth >= RULES["geometry"]["ring_azimuth_deg"])
    _vote_evenness(ballot, component, d, m, [k], azimuth)
    if component.fold:
        _vote_symmetry(ballot, component, "symmetry_halo", m, [k], azimuth)


def _smooth(attribute: str):
    """Rule of a smooth curve that is one attribute as a whole."""

    def rule(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
        k = own[0]
        d = float(seen.dprime[k])
        ballot.vote(attribute, d, [k])
        _vote_evenness(ballot, component, d, 0.0, [k], 360.0)

    return rule


def _crystal(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
    """Spots of one crystal: whether they make a ring is not for us to say."""
    k = own[0]
    d = float(seen.dprime[k])
    ballot.vote("anisotropic", d, [k])
    ballot.vote("higher_orders", d, [k])
    ballot.vote(f"symmetry_{component.fold}", d, [k])
    for name in ("ring", "spotted", "symmetry_ring", "width_sharp", "width_intermediate"):
        ballot.vote(name, d, [k], certain=False)


def _gisaxs(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
    """Diffuse scattering at the Yoneda line, rods, and the specular rod."""
    d = [float(seen.dprime[k]) for k in own]
    ballot.vote("diffuse_low_q", d[0], own[:1])
    for k, value in zip(own, d, strict=True):
        ballot.vote("anisotropic", value, [k])


_RULES_OF = {
    "rings": _rings,
    "halo": _halo,
    "low_q": _smooth("diffuse_low_q"),
    "form_factor": _smooth("diffuse_low_q"),
    "high_q": _smooth("diffuse_high_q"),
    "crystal": _crystal,
    "gisaxs": _gisaxs,
}
