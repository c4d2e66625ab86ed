"""What moves the weights: Muon for the filters of convolutions, AdamW for everything else."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from scatterlens_models.training.recipe import Recipe

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MOMENTUM = 0.95


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """Bring all singular values of a matrix (M, N) near one (0.7 to 1.2), keeping its directions.

    Newton-Schulz iteration with the quintic coefficients of K. Jordan, "Muon: An optimizer for
    hidden layers in neural networks" (2024). In single precision: `torch.optim.Muon` iterates in
    bfloat16, which processors without that format do up to three times slower.
    """
    a, b, c = _QUINTIC
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp_min(1e-7)
    for _ in range(_ITERATIONS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class Muon(torch.optim.Optimizer):
    """Momentum whose step on each filter bank (out, in, kh, kw) is orthogonalised (Jordan 2024).

    Rare features move as far as frequent ones, so weak attributes are learned from few steps.
    """

    def __init__(
        self, parameters: Iterable[torch.Tensor], learning_rate: float, weight_decay: float
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group["lr"], group["weight_decay"])

    def _move(self, weight: torch.Tensor, rate: float, weight_decay: float) -> None:
        momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
        momentum.mul_(_MOMENTUM).add_(weight.grad)
        ahead = (weight.grad + _MOMENTUM * momentum).flatten(1)
        step = orthogonalise(ahead).view_as(weight)
        scale = max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
        weight.mul_(1 - rate * weight_decay).add_(step, alpha=-rate * scale)


def optimisers(net: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for convolutions of more than a handful of filters, AdamW for the rest.

    The few maps of a spatial attention stay with AdamW: their filters are gates, one for each
    branch, and branches that get no gradient in a step must not be moved by the others.
    """
    filters = [p for p in net.parameters() if p.ndim == 4 and p.shape[0] > 4]
    banks = {id(p) for p in filters}
    others = [p for p in net.parameters() if id(p) not in banks]
    return [
        Muon(filters, recipe.filter_rate, recipe.weight_decay),
        torch.optim.AdamW(others, lr=recipe.learning_rate, weight_decay=recipe.weight_decay),
    ]
