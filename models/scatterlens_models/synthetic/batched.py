"""Many frames at once, without a loop over frames for anything that is done per pixel.

The draws, the curves and the labels of a frame are those of `simulate`: numbers and short tables,
made on the processor, in as many processes as there are cores. Everything per pixel is done here
for a whole batch, on any device; a frame comes out as it does alone, but for rounding.

Shapes: F frames, K terms of the frame that has most (the others are padded with dark maps), T terms
of all frames, P pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from scatterlens_models.preprocess import COMPRESSED_CEILING, LOG_RANGE, MINIMUM_COVERAGE
from scatterlens_models.synthetic import surroundings
from scatterlens_models.synthetic.curves import (
    AWRY,
    TURNS,
    Drawn,
    Plane,
    Products,
    Term,
    draw,
    half_wavelength,
)
from scatterlens_models.synthetic.detectability import (
    COARSE_STEP,
    STEP,
    Visibility,
    detect,
    electronic_variance,
    find_amplitudes,
    fixed,
    pool,
    total,
    unexplained,
    visible_azimuth,
)
from scatterlens_models.synthetic.detector import (
    HOT_DECADES,
    LEAST_PIXELS,
    ZINGER_DECADES,
    pedestal,
)
from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.geometry import PREPARED_SIDE, prepared_maps
from scatterlens_models.synthetic.labels import Labelled, NeedsImagesError, label_components
from scatterlens_models.synthetic.scene import SceneParams
from scatterlens_models.vocabulary import Vocabulary

_PIXELS = PREPARED_SIDE**2


@dataclass(frozen=True, eq=False)
class Plan:
    """All that the processor has to say of one frame."""

    scene: SceneParams
    drawn: list[Drawn | Products]
    azimuth_deg: np.ndarray
    """(K,)"""

    @property
    def terms(self) -> tuple[Term, ...]:
        """Terms of the frame, in the order of its maps."""
        return tuple(one.term for one in self.drawn)


def plan(scene: SceneParams) -> Plan:
    """Curves of every term of a scene, and how much of each ring lies on lit pixels.

    Raises:
        NeedsImagesError: the profile is `paper`, whose tags follow from counts.
    """
    if scene.profile == "paper":
        raise NeedsImagesError("frames of the profile paper are made one by one: use `simulate`")
    here = prepared_maps(scene.instrument)
    drawn = draw(scene, here)
    return Plan(scene, drawn, visible_azimuth(scene, [one.term for one in drawn], here))


@dataclass(frozen=True, eq=False)
class Batch:
    """What is known of F frames before any noise; tensors on the device of the batch."""

    plans: Sequence[Plan]
    expected: torch.Tensor
    """(F, S, S) photons per native pixel."""
    coverage: torch.Tensor
    """(F, S, S) live share."""
    amplitudes: torch.Tensor
    """(F, C)"""
    dprime: torch.Tensor
    """(F, K)"""
    modulation: torch.Tensor
    """(F, K)"""
    evidence: torch.Tensor
    """(F, K, 32, 32)"""

    def visibilities(self) -> list[Visibility]:
        """What could be seen of each frame, on the processor, as `judge` says it."""
        arrays = [
            part.cpu().numpy()
            for part in (
                self.amplitudes, self.expected, self.dprime, self.modulation, self.evidence
            )
        ]  # fmt: skip
        found = []
        for number, made in enumerate(self.plans):
            amplitudes, expected, dprime, modulation, evidence = (part[number] for part in arrays)
            count = len(made.drawn)
            found.append(
                Visibility(
                    amplitudes=amplitudes[: len(made.scene.components)],
                    expected=expected,
                    dprime=dprime[:count],
                    modulation=modulation[:count],
                    azimuth_deg=made.azimuth_deg,
                    evidence=evidence[:count],
                )
            )
        return found


def render_batch(plans: Sequence[Plan], device: torch.device | str = "cpu") -> Batch:
    """Render, find amplitudes and judge F frames of the profile `realistic` together."""
    stage = _Stage(plans, torch.device(device))
    images, averages, modulated = _images(plans, stage)
    count = max((len(one.drawn) for one in plans), default=0)
    most = max(len(one.scene.components) for one in plans)
    owners = torch.full((len(plans), count), most)
    targets = torch.ones(len(plans), most + 1)
    for number, one in enumerate(plans):
        owners[number, : len(one.drawn)] = torch.tensor(
            [term.component for term in one.terms], dtype=torch.int64
        )
        wanted = [component.target for component in one.scene.components]
        targets[number, : len(wanted)] = torch.tensor(wanted, dtype=torch.float32)
    owners, targets = owners.to(stage.device), targets.to(stage.device)
    pixels, nuisance, dark, units = stage.sampled(COARSE_STEP, images)
    amplitudes = find_amplitudes(targets, owners, units, nuisance, pixels, dark)
    heights = amplitudes.gather(1, owners)
    pixels, nuisance, dark, units = stage.sampled(STEP, images)
    seen = units * heights[..., None]
    weight = pixels / (dark + seen.sum(1))
    dprime, residual = detect(seen, weight, nuisance)
    _, smooth = detect(_cut(averages, STEP), weight, nuisance)
    modulation = unexplained(residual, smooth, weight) * modulated
    side = PREPARED_SIDE // STEP
    pooled = pool((weight[:, None] * residual.clamp(min=0).square()).flatten(0, 1), side)
    expected = total(stage.background.flatten(1), heights, images)
    return Batch(
        plans=plans,
        expected=expected.view_as(stage.background),
        coverage=stage.coverage,
        amplitudes=amplitudes[:, :-1],
        dprime=dprime,
        modulation=modulation,
        evidence=pooled.unflatten(0, (len(plans), count)),
    )


def expose_batch(batch: Batch, generator: torch.Generator) -> torch.Tensor:
    """Network inputs (F, 2, S, S) float32: noise, defects, saturation, logarithm.

    Alike in distribution to `detector.detect`, from another stream; `generator` belongs to the
    device of the batch.
    """
    scenes = [made.scene for made in batch.plans]
    instruments = [scene.instrument for scene in scenes]
    device, grids = batch.expected.device, [prepared_maps(one).grid for one in instruments]

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]

    def uniform(low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        drawn = torch.rand(batch.expected.shape, generator=generator, device=device)
        return low + (high - low) * drawn

    pixels = (batch.coverage / column([grid.scale**2 for grid in grids])).clamp(min=LEAST_PIXELS)
    full = column([DETECTORS[one.detector].saturation for one in instruments])
    photons = _blur(batch.expected.minimum(full), [one.psf_px for one in instruments])
    counts = torch.poisson((photons * pixels).double(), generator).float() / pixels
    counts = counts * column([one.gain for one in instruments])
    read = column([one.read_noise for one in instruments])
    if read.any():
        noise = torch.randn(counts.shape, generator=generator, device=device)
        dark = [pedestal(one, grid) for one, grid in zip(instruments, grids, strict=True)]
        counts = counts + torch.from_numpy(np.stack(dark)).float().to(device)
        counts = counts + read * noise / pixels.sqrt()
    # Each native pixel is hot with a small probability; two in one prepared pixel hardly occur.
    hot = uniform() < column([scene.hot_share for scene in scenes]) * pixels
    counts = counts + hot * 10 ** uniform(*HOT_DECADES) / pixels
    struck = uniform() < column([scene.zingers / _PIXELS for scene in scenes])
    counts = counts + struck * 10 ** uniform(*ZINGER_DECADES) / pixels
    counts = counts.clamp(min=0).minimum(full)
    dead = uniform() < column([scene.dead_share for scene in scenes]) * pixels
    coverage = torch.where(dead, batch.coverage * (1 - 1 / pixels).clamp(min=0), batch.coverage)
    compressed = (torch.log1p(counts) / LOG_RANGE).clamp(max=COMPRESSED_CEILING)
    compressed = torch.where(coverage < MINIMUM_COVERAGE, 0, compressed)
    return torch.stack([compressed, coverage], 1)


def label_batch(batch: Batch, vocabulary: Vocabulary) -> list[Labelled]:
    """Labels of each frame, as `labels.label` gives them; a few numbers each, on the processor.

    Raises:
        NeedsImagesError: the vocabulary has attributes that no component carries.
    """
    return [
        label_components(made.scene, made.terms, seen, vocabulary)
        for made, seen in zip(batch.plans, batch.visibilities(), strict=True)
    ]


def _blur(images: torch.Tensor, sigmas: Sequence[float]) -> torch.Tensor:
    """Separable Gaussian point spread of each frame (F, S, S), edges repeated."""
    reach = math.ceil(3 * max(sigmas))
    if not reach:
        return images
    steps = torch.arange(-reach, reach + 1, device=images.device)
    widths = torch.tensor(sigmas, device=images.device)[:, None]
    weights = torch.exp(-0.5 * (steps / widths.clamp(min=1e-3)) ** 2)
    # As alone: each frame's own reach is three of its sigmas.
    weights = weights * (steps.abs() <= torch.ceil(3 * widths))
    weights = (weights / weights.sum(1, keepdim=True))[:, None]
    padded = nn.functional.pad(images[None], (reach, reach, reach, reach), mode="replicate")
    groups = len(images)
    across = nn.functional.conv2d(padded, weights[:, :, None, :], groups=groups)
    return nn.functional.conv2d(across, weights[..., None], groups=groups)[0]


def _cut(images: torch.Tensor, step: int) -> torch.Tensor:
    """Every `step`-th row and column of maps (..., S * S), flattened."""
    square = images.unflatten(-1, (PREPARED_SIDE, PREPARED_SIDE))
    return square[..., ::step, ::step].flatten(-2)


class _Stage:
    """Instruments and surroundings of a batch; an instrument that frames share is there once."""

    def __init__(self, plans: Sequence[Plan], device: torch.device):
        self.device = device
        scenes = [one.scene for one in plans]
        instruments = list(dict.fromkeys(scene.instrument for scene in scenes))
        places = {instrument: number for number, instrument in enumerate(instruments)}
        self._here = [prepared_maps(instrument) for instrument in instruments]
        self.grid = self._here[0].grid
        self.of_frame = torch.tensor([places[s.instrument] for s in scenes], device=device)
        self._instruments = instruments
        self.q, self.phi = self._stack("q").flatten(1), self._stack("phi").flatten(1)
        self.coverage = self._stack("coverage")[self.of_frame]
        levels = surroundings.levels(scenes, device)
        through = self._of_instruments(surroundings.transmission)[self.of_frame]
        efficiency = self._stack("efficiency")[self.of_frame]
        self.light = surroundings.dimmed(levels, through * efficiency, self.grid).flatten(1)
        self.background = self._background(scenes, levels, through)
        read = [electronic_variance(scene.instrument) for scene in scenes]
        self._read = torch.tensor(read, dtype=torch.float32, device=device)[:, None, None]

    def _stack(self, name: str) -> torch.Tensor:
        """(I, S, S) of one of the maps."""
        return torch.from_numpy(np.stack([getattr(m, name) for m in self._here])).to(self.device)

    def _of_instruments(self, function) -> torch.Tensor:
        found = [
            function(instrument, here.grid)
            for instrument, here in zip(self._instruments, self._here, strict=True)
        ]
        return torch.from_numpy(np.stack(found)).to(self.device)

    def _background(
        self, scenes: Sequence[SceneParams], levels: surroundings.Levels, through: torch.Tensor
    ) -> torch.Tensor:
        away = through[:, :1, :1]
        if levels.flare.any():
            away = self._of_instruments(surroundings.from_the_stop)[self.of_frame]
        beams = torch.tensor([here.beam_yx for here in self._here], device=self.device)
        beams = beams.float()[self.of_frame]
        lines = torch.arange(PREPARED_SIDE, device=self.device, dtype=torch.float32)
        image = surroundings.backdrop(
            levels,
            self._stack("radius")[self.of_frame],
            through,
            away,
            lines[:, None] - beams[:, 0, None, None],
            lines - beams[:, 1, None, None],
            self.grid,
        )
        dark = torch.tensor([scene.dark for scene in scenes], device=self.device)
        return torch.where(dark[:, None, None], levels.flat, image)

    def span(self, planes: Sequence[Plane], frames: torch.Tensor) -> torch.Tensor:
        """Least and greatest first coordinate of planes in given frames, (2, T)."""
        here = [self._here[number] for number in self.of_frame[frames].tolist()]
        spans = [plane.span(m) for plane, m in zip(planes, here, strict=True)]
        return torch.tensor(spans, dtype=torch.float32, device=self.device).T

    def half_wavelengths(self, frames: torch.Tensor) -> torch.Tensor:
        """(T,)"""
        found = [half_wavelength(self._instruments[n]) for n in self.of_frame[frames].tolist()]
        return torch.tensor(found, dtype=torch.float32, device=self.device)

    def sampled(
        self, step: int, images: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pixels (F, P), nuisances (F, 2, P), dark variance (F, P) and maps (F, K, P)."""
        pixels, nuisance = (
            torch.stack(part).to(self.device)[self.of_frame]
            for part in zip(*(fixed(here, step) for here in self._here), strict=True)
        )
        dark = (self.background + self._read)[:, ::step, ::step].flatten(1)
        return pixels, nuisance, dark, _cut(images, step)


def _images(
    plans: Sequence[Plan], stage: _Stage
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maps (F, K, S * S), the same without modulation, and which terms have any (F, K)."""
    count = max((len(one.drawn) for one in plans), default=0)
    slots = [
        (number * count + k, number, one)
        for number, made in enumerate(plans)
        for k, one in enumerate(made.drawn)
    ]
    images = torch.zeros(len(plans) * count, _PIXELS, device=stage.device)
    averages = torch.zeros_like(images)
    modulated = torch.zeros(len(plans) * count, device=stage.device)
    curved = [entry for entry in slots if isinstance(entry[2], Drawn)]
    if curved:
        where = torch.tensor([slot for slot, _, _ in curved], device=stage.device)
        frames = torch.tensor([frame for _, frame, _ in curved], device=stage.device)
        drawn = [one for _, _, one in curved]
        plain, turned, has = _curved(drawn, frames, stage)  # type: ignore
        images[where], averages[where], modulated[where] = turned, plain, has
    summed = [entry for entry in slots if isinstance(entry[2], Products)]
    if summed:
        where = torch.tensor([slot for slot, _, _ in summed], device=stage.device)
        images[where] = _summed([one for _, _, one in summed], stage.device)  # type: ignore
    light = stage.light[:, None]
    return (
        images.view(len(plans), count, _PIXELS) * light,
        averages.view(len(plans), count, _PIXELS) * light,
        modulated.view(len(plans), count),
    )


def _curved(
    drawn: Sequence[Drawn], frames: torch.Tensor, stage: _Stage
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maps (T, S * S) of terms by their first curve alone and by both, and which are modulated."""
    planes = [one.plane for one in drawn]
    here = stage.of_frame[frames]
    q, phi = stage.q[here], stage.phi[here]
    low, high = stage.span(planes, frames)[..., None]
    first, second = q.clone(), phi / (2 * np.pi)
    numbers = ((plane.turn, plane.stretch) for plane in planes)
    turn, stretch = torch.tensor(list(numbers), dtype=torch.float32, device=q.device).T[..., None]
    half = stage.half_wavelengths(frames)[:, None]
    for kind, coordinates in AWRY.items():
        of_kind = torch.tensor([plane.kind == kind for plane in planes], device=q.device)
        if of_kind.any():
            pair = coordinates(*(part[of_kind] for part in (q, phi, turn, stretch, half, high)))
            first[of_kind], second[of_kind] = pair
    tables = torch.from_numpy(np.stack([one.first for one in drawn])).to(q.device)
    plain = _lookup(tables, (first - low) * ((tables.shape[1] - 1) / (high - low)))
    both = plain.clone()
    two = [k for k, one in enumerate(drawn) if one.second is not None]
    if two:
        tables = torch.from_numpy(np.stack([drawn[k].second for k in two])).to(q.device)  # type: ignore
        both[two] *= _lookup(tables, second[two] * (TURNS - 1))
    has = torch.tensor([float(one.term.modulated) for one in drawn], device=q.device)
    return plain, both, has


def _lookup(tables: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Values (T, P) of tables (T, N), each at its own places (T, P), interpolated."""
    low = place.to(torch.int64).clamp_(0, tables.shape[1] - 2)
    start = tables.gather(1, low)
    return start.addcmul_((place - low).clamp_(0, 1), torch.diff(tables, dim=1).gather(1, low))


def _summed(drawn: Sequence[Products], device: torch.device) -> torch.Tensor:
    """Maps (T, S * S) of sums of products."""
    rank = max(len(one.rows) for one in drawn)
    rows, cols = np.zeros((2, len(drawn), rank, PREPARED_SIDE), np.float32)
    for number, one in enumerate(drawn):
        rows[number, : len(one.rows)], cols[number, : len(one.cols)] = one.rows, one.cols
    left, right = torch.from_numpy(rows).to(device), torch.from_numpy(cols).to(device)
    return (left.mT @ right).flatten(1)
