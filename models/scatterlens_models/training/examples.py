"""Prepared frames in memory, with augmentation: what the loop draws its batches from."""

from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from scatterlens_models.preprocess import shrink
from scatterlens_models.synthetic.shards import Shards


@dataclass(frozen=True)
class Examples:
    """All frames of a split at one input size; 16 bit, since 24,000 frames must fit in memory."""

    x: torch.Tensor
    """(N, 2, S, S) float16."""
    labels: torch.Tensor
    """(N, A) int8."""
    weights: torch.Tensor | None = None
    """(N,) float64, how often each is drawn beside the others; None: all alike."""


def load_examples(shards: Shards, size: int, count: int | None = None) -> Examples:
    """Read the first `count` frames (default: all) and bring them to the input size."""
    count = min(count or len(shards), len(shards))
    x = torch.empty((count, 2, size, size), dtype=torch.float16)
    # On matrices this small the threads of BLAS only wait for one another: five times slower.
    with threadpool_limits(1, "blas"):
        for start in range(0, count, 256):
            stop = min(start + 256, count)
            x[start:stop] = torch.from_numpy(shrink(shards.x(slice(start, stop)), size)).half()
    return Examples(x, torch.from_numpy(np.asarray(shards.labels[:count])))


def halve(x_BCHW: torch.Tensor) -> torch.Tensor:
    """The same frames at half the side, as a detector with pixels twice as large sees them."""
    with threadpool_limits(1, "blas"):
        return torch.from_numpy(shrink(x_BCHW.numpy(), x_BCHW.shape[-1] // 2))


def turn(x_BCHW: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """One of the eight flips and quarter turns, drawn for the whole batch."""
    draw = int(torch.randint(8, (), generator=generator))
    x_BCHW = torch.rot90(x_BCHW, draw % 4, dims=(2, 3))
    return x_BCHW.flip(3) if draw >= 4 else x_BCHW
