"""Noise-free images: every term of every component apart, before amplitudes and detection.

Shapes: K terms, C components, H x W pixels.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from scatterlens_models.synthetic.curves import (
    TURNS,
    Drawn,
    Plane,
    Products,
    Term,
    coordinates,
    draw,
    radial_bins,
)
from scatterlens_models.synthetic.geometry import Maps, maps, native_grid, prepared_maps
from scatterlens_models.synthetic.scene import Instrument, SceneParams
from scatterlens_models.synthetic.surroundings import background, throughput


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
    here = prepared_maps(scene.instrument)
    light = throughput(scene, here)
    drawn = draw(scene, here)
    images = torch.empty((len(drawn), light.numel()))
    polar = [k for k, one in enumerate(drawn) if isinstance(one, Drawn) and one.plane == Plane()]
    if polar:  # one lookup for all: most frames hold nothing else
        tables = torch.from_numpy(np.stack([drawn[k].first for k in polar]))  # type: ignore
        images[polar] = _polar_places(here)[0].lookup(tables)
    averages: dict[int, torch.Tensor] = {}
    places = {plane: _places(scene.instrument, plane, here) for plane in _planes(drawn)}
    for k, one in enumerate(drawn):
        if isinstance(one, Products):
            images[k] = _summed(one)
            continue
        first, second = places[one.plane]
        if one.plane != Plane():
            images[k] = first.lookup(torch.from_numpy(one.first)[None])[0]
        if one.term.modulated:
            averages[k] = images[k].view_as(light) * light
        if one.second is not None:
            images[k] *= second.lookup(torch.from_numpy(one.second)[None])[0]
    images *= light.flatten()
    return Rendered(
        terms=tuple(one.term for one in drawn),
        images=images.view(-1, *light.shape),
        averages=averages,
        background=background(scene, here),
        throughput=light,
        maps=here,
    )


def render_native(scene: SceneParams, amplitudes: np.ndarray) -> tuple[np.ndarray, Maps]:
    """Photons (rows, cols) that each of the detector's own pixels expects, and its maps.

    Args:
        scene: what to render.
        amplitudes: (C,) of its components, as `detectability.judge` finds them.
    """
    here = maps(scene.instrument, native_grid(scene.instrument))
    scattered = torch.zeros(here.q.size)
    drawn = draw(scene, here)
    places = {plane: _places(scene.instrument, plane, here) for plane in _planes(drawn)}
    for one in drawn:
        if isinstance(one, Products):
            image = _summed(one)
        else:
            first, second = places[one.plane]
            image = first.lookup(torch.from_numpy(one.first)[None])[0]
            if one.second is not None:
                image *= second.lookup(torch.from_numpy(one.second)[None])[0]
        scattered.add_(image, alpha=float(amplitudes[one.term.component]))
    scattered = scattered.view(here.grid.shape)
    expected = scattered.mul_(throughput(scene, here)).add_(background(scene, here))
    return expected.numpy(), here


def _planes(drawn: list[Drawn | Products]) -> set[Plane]:
    return {one.plane for one in drawn if isinstance(one, Drawn)}


def _summed(one: Products) -> torch.Tensor:
    """(H * W,)"""
    return (torch.from_numpy(one.rows).T @ torch.from_numpy(one.cols)).flatten()


class _Place:
    """Fractional places in tables of one length, for linear lookups."""

    def __init__(self, place: torch.Tensor, length: int):
        place = place.flatten()
        self._low = place.to(torch.int32).clamp_(0, length - 2)
        self._part = (place - self._low).clamp_(0, 1)

    def lookup(self, tables: torch.Tensor) -> torch.Tensor:
        """Interpolated values (K, P) of tables (K, length) at P places."""
        steps = torch.diff(tables, dim=1)
        start = tables.index_select(1, self._low)
        return start.addcmul_(self._part, steps.index_select(1, self._low))


def _places(instrument: Instrument, plane: Plane, here: Maps) -> tuple[_Place, _Place]:
    if plane == Plane():
        return _polar_places(here)
    return _found(plane, here, *coordinates(instrument, plane, here))


@lru_cache(maxsize=2)
def _polar_places(here: Maps) -> tuple[_Place, _Place]:
    """Those of most terms, found once for an experiment."""
    return _found(Plane(), here, torch.from_numpy(here.q), torch.from_numpy(here.phi) / (2 * np.pi))


def _found(
    plane: Plane, here: Maps, first: torch.Tensor, second: torch.Tensor
) -> tuple[_Place, _Place]:
    low, high = torch.tensor(plane.span(here))
    bins = radial_bins(here)
    along = (first - low) * ((bins - 1) / (high - low))
    return _Place(along, bins), _Place(second * (TURNS - 1), TURNS)
