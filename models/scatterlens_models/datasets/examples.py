"""Prepared frames in memory, with augmentation: what the loop draws its batches from."""

from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.nn import functional

from scatterlens_models.preprocess import shrink
from scatterlens_models.synthetic.shards import Shards

EVIDENCE_SIDE = 16
"""Cells of stored evidence: the finest last map of the slim networks."""


@dataclass(frozen=True)
class Examples:
    """All frames of a split at one input size; 16 bit, since 24,000 frames must fit in memory."""

    x: torch.Tensor
    """(N, 2, S, S) float16."""
    labels: torch.Tensor
    """(N, A) int8."""
    weights: torch.Tensor | None = None
    """(N,) float64, how often each is drawn beside the others; None: all alike."""
    evidence: torch.Tensor | None = None
    """(N, A, 16, 16) uint8, evidence weights of the simulator; None where no loss asks for them."""


def load_examples(
    shards: Shards, size: int, count: int | None = None, evidence: bool = False
) -> Examples:
    """Read the first `count` frames (default: all) and bring them to the input size."""
    count = min(count or len(shards), len(shards))
    x = torch.empty((count, 2, size, size), dtype=torch.float16)
    # On matrices this small the threads of BLAS only wait for one another: five times slower.
    with threadpool_limits(1, "blas"):
        for start in range(0, count, 256):
            stop = min(start + 256, count)
            x[start:stop] = torch.from_numpy(shrink(shards.x(slice(start, stop)), size)).half()
    masks = load_evidence(shards, count) if evidence else None
    return Examples(x, torch.from_numpy(np.asarray(shards.labels[:count])), evidence=masks)


def load_evidence(shards: Shards, count: int) -> torch.Tensor:
    """Evidence weights of the first frames on the grid of an example, (count, A, 16, 16) uint8."""
    side = EVIDENCE_SIDE
    found = torch.empty((count, shards.labels.shape[1], side, side), dtype=torch.uint8)
    for start in range(0, count, 256):
        stop = min(start + 256, count)
        found[start:stop] = pool_evidence(shards.evidence(slice(start, stop)))
    return found


def pool_evidence(weights_NAHW: np.ndarray) -> torch.Tensor:
    """Evidence weights of the simulator (uint8) on the grid of an example."""
    weights = torch.from_numpy(weights_NAHW).float()
    pooled = functional.avg_pool2d(weights, weights.shape[-1] // EVIDENCE_SIDE)
    # Scaled to the full range again, so that thin evidence outlives the rounding.
    pooled *= 255 / pooled.amax(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    return pooled.round().to(torch.uint8)


def halve(x_BCHW: torch.Tensor) -> torch.Tensor:
    """The same frames at half the side, as a detector with pixels twice as large sees them."""
    with threadpool_limits(1, "blas"):
        return torch.from_numpy(shrink(x_BCHW.numpy(), x_BCHW.shape[-1] // 2))


def turn(x_BCHW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One of the eight flips and quarter turns, drawn for the whole batch."""
    draw = int(torch.randint(8, (), generator=generator))
    x_BCHW = torch.rot90(x_BCHW, draw % 4, dims=(2, 3))
    return x_BCHW.flip(3) if draw >= 4 else x_BCHW
