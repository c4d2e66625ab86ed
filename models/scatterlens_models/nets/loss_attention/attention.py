"""Weights of patches: from their own logits (Eq. 5 and 6), or from a small network beside them.

Every function computes in single precision at least, whatever the layers before it ran in, and in
double precision where its input is double. What the paper leaves open: lengths carry 1e-12 under
their root, so that a patch of zeros has a gradient, and where the threshold leaves (next to)
nothing, which only xi = 1 can do, all patches weigh the same.
"""

from typing import NamedTuple

import torch
from torch import nn

from scatterlens_models.nets.layers import affine, scaled

XI = 0.1
"""xi of Eq. 5b and 6b: a patch below this share of the mean weight counts nothing."""
HIDDEN = 128
"""L of Ilse et al. (2018): hidden size of the scoring network."""
TINY = 1e-12
FLAT = 1e-6
"""What the threshold leaves of a sum of one; below this, rounding would choose the patches."""


class CapsuleWeights(NamedTuple):
    """Weights of Eq. 6."""

    patches: torch.Tensor
    """alpha_m of Eq. 6b, (B, M); every row sums to one."""
    capsules: torch.Tensor
    """alpha_cm of Eq. 6c, (B, C, M); every frame sums to one, but the channels of a patch do not
    sum to its alpha_m, because the threshold is taken from `patches` alone."""


def at_least_single(x: torch.Tensor) -> torch.Tensor:
    """The same numbers in single precision, or in double where they came so."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def length(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Euclidean length along a dimension, with a gradient (of zero) at zero."""
    x = at_least_single(x)
    return ((x * x).sum(dim=dim) + TINY).sqrt()


def _thresholded(shares_BM: torch.Tensor, threshold: float) -> torch.Tensor:
    """Shares above the threshold, less the threshold, as parts of one."""
    kept = torch.relu(shares_BM - threshold)
    total = kept.sum(dim=1, keepdim=True)
    even = torch.full_like(kept, 1 / kept.shape[1])
    return torch.where(total > FLAT, kept / total.clamp_min(FLAT), even)


def check_xi(xi: float) -> None:
    """Refuse thresholds that could leave no patch.

    Raises:
        ValueError: xi lies outside [0, 1].
    """
    if not 0 <= xi <= 1:
        raise ValueError(f"xi is a share of the mean weight in [0, 1], not {xi}")


def loss_weights(p_BMA: torch.Tensor, xi: float = XI, reference: int | None = None) -> torch.Tensor:
    """Eq. 5a and 5b: weights (B, M) of patches from their logits; every row sums to one.

    Args:
        p_BMA: logits of each patch, bias included.
        xi: threshold in [0, 1].
        reference: number that divides xi; the number of patches M where None.
    """
    lengths = length(p_BMA, dim=2)
    shares = lengths / lengths.sum(dim=1, keepdim=True).clamp_min(TINY)
    return _thresholded(shares, xi / (reference or p_BMA.shape[1]))


def capsule_weights(p_BCMA: torch.Tensor, xi: float = XI) -> CapsuleWeights:
    """Eq. 6a to 6c: weights of patches and of their capsules from the capsules' logits.

    Args:
        p_BCMA: logits of each capsule (channel c, patch m), bias included.
        xi: threshold in [0, 1].
    """
    lengths = length(p_BCMA, dim=3)
    shares = lengths / lengths.sum(dim=(1, 2), keepdim=True).clamp_min(TINY)
    patches = _thresholded(shares.sum(dim=1), xi / p_BCMA.shape[2])
    kept = shares * (patches > 0).to(shares.dtype).unsqueeze(1)
    return CapsuleWeights(patches, kept / kept.sum(dim=(1, 2), keepdim=True).clamp_min(TINY))


def mean_weights(p_BMA: torch.Tensor) -> torch.Tensor:
    """The same weight 1/M for every patch, (B, M)."""
    return torch.full_like(at_least_single(p_BMA[:, :, 0]), 1 / p_BMA.shape[1])


class ScoredWeights(nn.Module):
    """Attention of Ilse, Tomczak and Welling (ICML 2018), Eq. 8, or gated attention, Eq. 9.

    alpha = softmax over patches of w tanh(V h), or of w (tanh(V h) sigmoid(U h)).

    Args:
        channels: C, features of a patch.
        width: factor on the hidden size.
        gated: whether U stands beside V.
    """

    def __init__(self, channels: int, width: float = 1.0, gated: bool = False) -> None:
        super().__init__()
        hidden = scaled(HIDDEN, width)
        self.value = nn.Linear(channels, hidden)
        self.gate = nn.Linear(channels, hidden) if gated else None
        self.score = nn.Linear(hidden, 1)

    def forward(self, h_BMC: torch.Tensor) -> torch.Tensor:
        """Weights (B, M); every row sums to one."""
        hidden = torch.tanh(affine(h_BMC, self.value))
        if self.gate is not None:
            hidden = hidden * torch.sigmoid(affine(h_BMC, self.gate))
        return at_least_single(affine(hidden, self.score)[:, :, 0]).softmax(dim=1)
