"""The convolutional architecture (Fig. 3, middle): one feature vector for each patch."""

from typing import Literal, NamedTuple

import torch
from torch import nn

from scatterlens_models.nets.layers import (
    Explanation,
    TrainingOutput,
    affine,
    conv_norm,
    initialise,
)
from scatterlens_models.nets.loss_attention.attention import (
    XI,
    ScoredWeights,
    at_least_single,
    check_xi,
    loss_weights,
    mean_weights,
)
from scatterlens_models.nets.loss_attention.grid import PATCH, cell_count, spread
from scatterlens_models.nets.loss_attention.patches import PatchNet

POOLINGS = ("loss", "mean", "attention", "gated")
"""Loss-Attention (Eq. 5), and what the paper compares it with."""
THRESHOLD_REFERENCES = ("patches", "features")


class Decided(NamedTuple):
    """How the patches came to the frame's logits."""

    logits: torch.Tensor
    """(B, A)."""
    patch_logits: torch.Tensor
    """(B, M, A)."""
    patch_weights: torch.Tensor
    """(B, M); every row sums to one."""
    features: torch.Tensor
    """Weighted mean of the patch features, (B, C)."""


class ConvPatchNet(PatchNet):
    """Patches of 9 x 9 cells, a 1 x 1 convolution, one linear head for patches and frame alike.

    Because the weights sum to one, the frame's logits are the weighted mean of the patches'
    logits, bias included, and every logit is the sum of what its patches bring.

    Args:
        pooling: a name in `POOLINGS`: how patches are weighed.
        backbone: a name in `patches.PATCH_BACKBONES`.
        attributes: number of attributes A.
        width: factor on the channels.
        in_channels: channels of the prepared frame.
        halvings: how often the backbone halves the grid, 0 to 3.
        patch_stride: cells from patch to patch: 1, 2 or 4.
        xi: threshold of Eq. 5b, for "loss" alone.
        threshold_reference: what xi is divided by: the number of patches, as in the paper, or the
            number of cells before the patch layer, as in its published code, which makes the
            threshold next to nothing.

    Raises:
        ValueError: an argument that does not exist (the message lists the choices).
    """

    def __init__(
        self,
        pooling: str,
        backbone: str,
        attributes: int,
        width: float = 1.0,
        in_channels: int = 2,
        halvings: int = 0,
        patch_stride: int = 4,
        xi: float = XI,
        threshold_reference: Literal["patches", "features"] = "patches",
    ) -> None:
        super().__init__(backbone, width, in_channels, halvings, patch_stride)
        if pooling not in POOLINGS:
            raise ValueError(f"no pooling {pooling!r} of patches; there are {', '.join(POOLINGS)}")
        if threshold_reference not in THRESHOLD_REFERENCES:
            raise ValueError(
                f"no threshold reference {threshold_reference!r}; there are"
                f" {', '.join(THRESHOLD_REFERENCES)}"
            )
        check_xi(xi)
        self.pooling = pooling
        self.xi = xi
        self.threshold_reference = threshold_reference
        self.patches = nn.Sequential(
            nn.Conv2d(self.channels, self.channels, PATCH, patch_stride, bias=False),
            nn.BatchNorm2d(self.channels),
            nn.ReLU(),
            *conv_norm(self.channels, self.channels, 1),
        )
        self.scored = (
            ScoredWeights(self.channels, width, pooling == "gated")
            if pooling in ("attention", "gated")
            else None
        )
        self.head = nn.Linear(self.channels, attributes)
        self.attention_names = () if pooling == "mean" else ("patch_weights",)
        self.apply(initialise)

    def last(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Patch features (B, C, h, w), one cell for each patch."""
        return self.patches(f_BCHW)

    def decide(self, h_BChw: torch.Tensor) -> Decided:
        """Logits of patches and frame, from the features of `last`."""
        h_BMC = h_BChw.flatten(2).transpose(1, 2)
        p_BMA = at_least_single(affine(h_BMC, self.head))
        if self.scored is not None:
            weights = self.scored(h_BMC)
        elif self.pooling == "mean":
            weights = mean_weights(p_BMA)
        else:
            grid = (h_BChw.shape[2], h_BChw.shape[3])
            features = self.threshold_reference == "features"
            reference = cell_count(grid, self.patch_stride) if features else None
            weights = loss_weights(p_BMA, self.xi, reference)
        # A product and a sum, not a matrix product, which autocast would run in half precision.
        each = weights.unsqueeze(2)
        return Decided((each * p_BMA).sum(dim=1), p_BMA, weights, (each * h_BMC).sum(dim=1))

    def score(self, h_BCHW: torch.Tensor) -> torch.Tensor:
        """Logits (B, A): Eq. 5c and 5d."""
        return self.decide(h_BCHW).logits

    def bias(self) -> torch.Tensor:
        """Bias of the head."""
        return self.head.bias

    def forward(self, x_BCHW: torch.Tensor) -> TrainingOutput:
        """Logits of the frame and of its patches, with the patches' weights."""
        decided = self.decide(self.last(self.inner(x_BCHW)))
        return TrainingOutput(decided.logits, (), decided.patch_logits, decided.patch_weights)

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with the share of every patch, alpha_m (p_mk - b_k), on the backbone's grid."""
        f_BCHW = self.inner(x_BCHW)
        h_BChw = self.last(f_BCHW)
        decided = self.decide(h_BChw)
        grid = (h_BChw.shape[2], h_BChw.shape[3])
        side = (f_BCHW.shape[2], f_BCHW.shape[3])
        each = decided.patch_weights.unsqueeze(2)
        shares = (each * (decided.patch_logits - self.head.bias)).transpose(1, 2)
        weights = each.transpose(1, 2).unflatten(2, grid)
        return Explanation(
            decided.logits,
            spread(shares.unflatten(2, grid), side, self.patch_stride),
            spread(weights, side, self.patch_stride) if self.attention_names else None,
            decided.features,
        )
