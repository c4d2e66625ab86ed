"""What stands in the beam, and what a frame shows without a sample.

Shapes: H x W pixels; leading dimensions are frames.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from scatterlens_models.synthetic.geometry import Grid, Maps
from scatterlens_models.synthetic.scene import Instrument, SceneParams, Shadow

_STOPPING = ("disk", "bar", "wedge")
_NOWHERE = np.zeros(1, np.float32)
_FLARE_REACH = 0.08
"""Distance from the beam, over the frame's longest side, at which flare has lost half."""


@lru_cache(maxsize=4)
def transmission(instrument: Instrument, grid: Grid) -> np.ndarray:
    """Share of light that stop, arms and shadows let through, float32 (H, W)."""
    rows, cols = _lines(grid)
    through = np.ones(grid.shape)
    for shadow in instrument.shadows:
        blur = 1.0 if shadow.shape == "polygon" else max(1.0, shadow.blur * grid.square)
        covered = np.clip(0.5 - _distance(shadow, rows, cols, grid.square) / blur, 0, 1)
        through *= 1 - covered * (1 - shadow.transmission)
    return through.astype(np.float32)


@lru_cache(maxsize=4)
def from_the_stop(instrument: Instrument, grid: Grid) -> np.ndarray:
    """Distance from the beamstop's edge over the frame's longest side, 0 inside, float32 (H, W)."""
    rows, cols = _lines(grid)
    away = np.full(grid.shape, np.inf)
    for shadow in instrument.shadows:
        if shadow.shape in _STOPPING:
            away = np.minimum(away, _distance(shadow, rows, cols, grid.square))
    return (np.maximum(away, 0) / grid.square).astype(np.float32)


def _lines(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.meshgrid(grid.lines(0) + 0.5, grid.lines(1) + 0.5, indexing="ij")
    return rows, cols


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


class Levels(NamedTuple):
    """The numbers of F backgrounds, each (F, 1, 1) float32."""

    flat: torch.Tensor
    air: torch.Tensor
    window: torch.Tensor
    window_radius: torch.Tensor
    streak: torch.Tensor
    streak_cos: torch.Tensor
    streak_sin: torch.Tensor
    beam: torch.Tensor
    beam_sigma_y: torch.Tensor
    beam_sigma_x: torch.Tensor
    slope_y: torch.Tensor
    slope_x: torch.Tensor
    flare: torch.Tensor
    flare_width: torch.Tensor


def levels(scenes: Sequence[SceneParams], device: torch.device | str = "cpu") -> Levels:
    """Those of F scenes."""
    rows = []
    for scene in scenes:
        b = scene.background
        cosine, sine = math.cos(b.streak_angle), math.sin(b.streak_angle)
        rows.append(
            (
                b.flat, b.air, b.window, b.window_radius, b.streak, cosine, sine, b.beam,
                *b.beam_sigma, *b.gradient, b.flare, b.flare_width,
            )
        )  # fmt: skip
    numbers = torch.tensor(rows, dtype=torch.float32, device=device)
    return Levels(*numbers.T[..., None, None])


def throughput(scene: SceneParams, here: Maps) -> torch.Tensor:
    """Share of the scattered light that reaches the detector, (H, W)."""
    light = torch.from_numpy(transmission(scene.instrument, here.grid) * here.efficiency)
    return dimmed(levels([scene]), light, here.grid)[0]


def dimmed(b: Levels, light: torch.Tensor, grid: Grid) -> torch.Tensor:
    """What absorption leaves of `light` (..., H, W), in a sample thicker on one side."""
    down, across = (torch.from_numpy(grid.ramp(axis)).float().to(light.device) for axis in (0, 1))
    return light * (1 + b.slope_y * down[:, None]) * (1 + b.slope_x * across)


def background(scene: SceneParams, here: Maps) -> torch.Tensor:
    """Flat, air, windows, flare, slit streak and direct beam, (H, W)."""
    if scene.dark:
        return torch.full(here.grid.shape, scene.background.flat)
    b, instrument = levels([scene]), scene.instrument
    away = from_the_stop(instrument, here.grid) if scene.background.flare else _NOWHERE
    rows, cols = (
        torch.arange(extent, dtype=torch.float32) - place
        for extent, place in zip(here.grid.shape, here.beam_yx, strict=True)
    )
    return backdrop(
        b,
        torch.from_numpy(here.radius),
        torch.from_numpy(transmission(instrument, here.grid)),
        torch.from_numpy(away),
        rows[:, None],
        cols,
        here.grid,
    )[0]


def backdrop(
    b: Levels,
    radius: torch.Tensor,
    light: torch.Tensor,
    away: torch.Tensor,
    y: torch.Tensor,
    x: torch.Tensor,
    grid: Grid,
) -> torch.Tensor:
    """What is there without a sample, (..., H, W).

    Args:
        b: the levels.
        radius: distance from the beam in pixels, (..., H, W).
        light: share that stop and shadows let through, (..., H, W).
        away: distance from the stop's edge as `from_the_stop`, (..., H, W).
        y: rows from the beam, (..., H, 1).
        x: columns from the beam, (..., 1, W).
        grid: what the pixels are.
    """
    size, pixel = grid.square, grid.per_prepared_pixel
    image = 0.9 * b.flat + b.air / (1 + (radius / (12 * pixel)) ** 2)
    if b.window.any():
        image = image + b.window / (1 + (radius / (b.window_radius * size)) ** 2) ** 1.5
    if b.flare.any():
        falloff = 1 + (radius / (_FLARE_REACH * size)) ** 2
        image = image + b.flare * torch.exp(-away / b.flare_width) / falloff
    if b.streak.any():
        across = (x * b.streak_cos + y * b.streak_sin) / pixel
        image = image + b.streak / (1 + across**2) / (1 + radius / (0.1 * size))
    if b.beam.any():
        down = b.beam * torch.exp(-0.5 * (y / (pixel * b.beam_sigma_y)) ** 2)
        image = image + down * torch.exp(-0.5 * (x / (pixel * b.beam_sigma_x)) ** 2)
    # A tenth of the flat part is born behind the stop: fluorescence, cosmic rays, electronics.
    return image * light + 0.1 * b.flat
