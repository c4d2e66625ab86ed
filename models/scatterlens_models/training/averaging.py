"""Running mean of the weights: what a run is measured by and serves, where its recipe asks."""

import torch
from torch import nn


class WeightMean:
    """Exponential mean of the weights; buffers (batch statistics) are taken as they are.

    Args:
        net: whose weights are averaged.
        decay: share of the mean that outlives a step; smaller at first, so that the random start
            is soon forgotten. 0: always the weights themselves.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self._decay = decay
        self._live = list(net.parameters())
        self.weights = [p.detach().clone() for p in self._live] if decay else []

    def update(self, step: int) -> None:
        """Take in the weights after a step (from 0)."""
        if self._decay:
            decay = min(self._decay, (1 + step) / (10 + step))
            for mean, live in zip(self.weights, self._live, strict=True):
                mean.lerp_(live.detach(), 1 - decay)

    def swap(self) -> None:
        """Exchange mean and weights in place; once more to undo."""
        with torch.no_grad():
            for live, mean in zip(self._live, self.weights, strict=False):
                kept = live.detach().clone()
                live.copy_(mean)
                mean.copy_(kept)
