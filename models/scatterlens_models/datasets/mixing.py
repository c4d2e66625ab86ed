"""Batches in which some frames are drawn more often than others, resumable at any step."""

from collections.abc import Iterator

import torch


def mixed_batches(
    weights_N: torch.Tensor, batch: int, seed: int, start_step: int
) -> Iterator[torch.Tensor]:
    """Indices of each batch from a step on; what a step draws depends on seed and step alone.

    An epoch has as many draws as there are frames, less the last incomplete batch. A frame of
    share p among the weights is drawn p x draws times in it, rounded down or up: chance decides
    only the remainder, so that few real frames among many simulated ones are shown evenly.

    Raises:
        ValueError: the frames do not fill a batch, or a weight is not above 0.
    """
    per_epoch = len(weights_N) // batch
    if per_epoch == 0:
        raise ValueError(f"{len(weights_N)} frames do not fill one batch of {batch}")
    if not bool((weights_N > 0).all()):
        raise ValueError("every weight is to be above 0: leave out what is never to be drawn")
    step = start_step
    while True:
        epoch, offset = divmod(step, per_epoch)
        order = _epoch(weights_N.double(), per_epoch * batch, seed * 100_003 + epoch)
        for position in range(offset, per_epoch):
            yield order[position * batch : (position + 1) * batch]
            step += 1


def _epoch(weights_N: torch.Tensor, draws: int, seed: int) -> torch.Tensor:
    """Systematic draws from the frames in random order, then in random order again."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(weights_N), generator=generator)
    upper = torch.cumsum(weights_N[order], 0)
    offset = torch.rand((), generator=generator, dtype=torch.float64)
    points = (torch.arange(draws, dtype=torch.float64) + offset) * (upper[-1] / draws)
    drawn = order[torch.searchsorted(upper, points, right=True).clamp_max(len(order) - 1)]
    return drawn[torch.randperm(draws, generator=generator)]
