"""Labels of what no component carries: what stands in the beam, the detector, the whole frame.

What hides or adds light is judged by comparison: the same scene is rendered without it, and d' is
that of the difference. So a beamstop that nothing lights is not labelled.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from scatterlens_models.synthetic.detectability import RULES, Sampled, Visibility, detect, pool
from scatterlens_models.synthetic.detector import pedestal
from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.render import Rendered, render
from scatterlens_models.synthetic.scene import SceneParams

_STOPS = ("linear", "circular", "wedge")
_STOP_SHAPES = ("disk", "bar", "wedge")
CIRCUMSTANCES = frozenset(
    {f"beamstop_{stop}" for stop in _STOPS}
    | {"beam_off_image", "detector_gaps", "shadow", "saturation", "slit_streak", "empty"}
    | {"strong_scattering", "weak_scattering", "high_background"}
)


class Found(NamedTuple):
    """What is known of one attribute."""

    value: int
    """1 present, 0 absent, -1 unsure."""
    dprime: float
    evidence: np.ndarray
    """(32, 32) weights."""


def judge_circumstances(
    scene: SceneParams, seen: Visibility, rendered: Rendered
) -> dict[str, Found]:
    """All of `CIRCUMSTANCES` of a scene."""
    sampled = Sampled(scene, rendered, 1)
    side = rendered.background.shape[0]
    live = rendered.maps.coverage
    scattered = torch.from_numpy(seen.expected) - rendered.background
    weight = sampled.weight(sampled.cut(scattered))
    everywhere = pool(torch.from_numpy(live).flatten(), side)[0].numpy()

    def compare(other: SceneParams) -> Found:
        """What tells this scene from one that lacks something."""
        without = render(other)
        owners = [term.component for term in without.terms]
        amplitudes = torch.from_numpy(seen.amplitudes)[owners]
        expected = without.background + torch.tensordot(amplitudes, without.images, 1)
        change = (expected - torch.from_numpy(seen.expected)).flatten()
        energy = pool(weight * change.square(), side)[0].numpy()
        return _by_dprime(float(np.sqrt(energy.sum())), energy)

    instrument = scene.instrument
    found: dict[str, Found] = {}
    nothing = Found(0, 0.0, everywhere)
    stopping = tuple(s for s in instrument.shadows if s.shape in _STOP_SHAPES)
    others = tuple(s for s in instrument.shadows if s.shape not in _STOP_SHAPES)
    found |= dict.fromkeys((f"beamstop_{stop}" for stop in _STOPS), nothing)
    if instrument.stop in _STOPS and not scene.dark:
        open_beam = replace(scene, instrument=replace(instrument, shadows=others))
        found[f"beamstop_{instrument.stop}"] = compare(open_beam)
    unshadowed = replace(scene, instrument=replace(instrument, shadows=stopping))
    found["shadow"] = compare(unshadowed) if others and not scene.dark else nothing
    straight = replace(scene, background=replace(scene.background, streak=0.0))
    has_streak = scene.background.streak > 0 and not scene.dark
    found["slit_streak"] = compare(straight) if has_streak else nothing

    on_image = all(0 <= instrument.beam_yx[i] < instrument.crop[2 + i] for i in (0, 1))
    found["beam_off_image"] = Found(int(not on_image and not scene.dark), 0.0, everywhere)
    found["detector_gaps"] = _gaps(scene, rendered)
    found["saturation"] = _saturation(scene, seen, rendered)

    best = float(seen.dprime.max(initial=0.0))
    visible = _by_dprime(best, everywhere).value
    found["empty"] = Found({1: 0, 0: 1, -1: -1}[visible], 0.0, everywhere)
    dprime, residual = detect(scattered.reshape(1, -1), weight, sampled.nuisance)
    total = float(dprime[0])
    weights = pool(weight * residual.clamp(min=0).square(), side)[0].numpy()
    found["strong_scattering"] = Found(_above(total, RULES["strength"]["strong"]), total, weights)
    faint = _above(RULES["strength"]["weak"], total) if visible == 1 else visible
    found["weak_scattering"] = Found(faint, total, weights)
    found["high_background"] = nothing
    if visible == 1:
        lit = live > 0.5
        height = float(scattered.numpy()[lit].max())
        level = float(np.median(rendered.background.numpy()[lit]))
        found["high_background"] = Found(_above(level, height), 0.0, everywhere)
    return found


def _by_dprime(dprime: float, evidence: np.ndarray) -> Found:
    limits = RULES["detectability"]
    if dprime >= limits["present"] * (1 + limits["guard"]):
        return Found(1, dprime, evidence)
    return Found(-1 if dprime >= limits["unsure"] * (1 - limits["guard"]) else 0, dprime, evidence)


def _above(value: float, limit: float) -> int:
    """1 if clearly above, 0 if clearly below, -1 between."""
    guard = RULES["circumstances"]["guard"]
    if value > limit * (1 + guard):
        return 1
    return 0 if value < limit * (1 - guard) else -1


def _gaps(scene: SceneParams, rendered: Rendered) -> Found:
    """Dead lines within the part that is read out; the padding round it does not count."""
    grid = rendered.maps.grid
    inside = np.ones(grid.shape)
    for axis in (0, 1):
        extent = scene.instrument.crop[2 + axis] * grid.scale
        places = np.arange(grid.shape[axis]) + 0.5 - grid.pad_yx[axis]
        line = np.clip(np.minimum(places, extent - places) + 0.5, 0, 1)
        inside *= line[:, None] if axis == 0 else line
    dead = np.clip(inside - rendered.maps.coverage, 0, 1)
    evidence = pool(torch.from_numpy(dead).flatten(), grid.square)[0].numpy()
    module = DETECTORS[scene.instrument.detector].module is not None
    # Less than the area of a few prepared pixels could not be told from dead pixels.
    return Found(int(module and dead.sum() > 8), 0.0, evidence)


def _saturation(scene: SceneParams, seen: Visibility, rendered: Rendered) -> Found:
    instrument = scene.instrument
    full = DETECTORS[instrument.detector].saturation
    counts = seen.expected * instrument.gain + pedestal(instrument, rendered.maps.grid)
    share = np.where(rendered.maps.coverage > 0.5, counts / full, 0.0)
    evidence = pool(torch.from_numpy(share >= 1).double().flatten(), share.shape[0])[0].numpy()
    if share.max() >= 1:
        return Found(1, 0.0, evidence)
    near = share.max() >= RULES["circumstances"]["saturation_unsure"]
    return Found(-1 if near else 0, 0.0, evidence)
