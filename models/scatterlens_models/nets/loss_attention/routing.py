"""Dynamic routing on the same capsules: Sabour, Frosst, Hinton (NIPS 2017), Procedure 1.

The paper compares Loss-Attention with it but published neither its code nor its form. Here:
capsules of one channel share their transformation over all patches, each attribute is one capsule
of 16 dimensions, three iterations; couplings are found on detached predictions, so that gradients
flow through the last weighted sum alone.
"""

from typing import NamedTuple

import torch
from torch import nn

from scatterlens_models.nets.layers import Explanation, initialise
from scatterlens_models.nets.loss_attention.attention import TINY, at_least_single, length
from scatterlens_models.nets.loss_attention.capsules import DIMENSIONS, CapsuleLayers
from scatterlens_models.nets.loss_attention.grid import spread
from scatterlens_models.nets.loss_attention.patches import PatchNet

OUT_DIMENSIONS = 16
ITERATIONS = 3
DEVIATION = 1e-3
"""Of the initial transformation. The capsules of all patches add up, and with the 1e-2 of a plain
head every attribute would begin at length one, where squashing lets hardly a gradient through."""


class Routed(NamedTuple):
    """What routing settles on."""

    couplings: torch.Tensor
    """c, (B, C, M, A); they sum to one over the attributes."""
    sums: torch.Tensor
    """s = sum of c u over channels and patches, before squashing, (B, A, D)."""


def squash(s_BAD: torch.Tensor) -> torch.Tensor:
    """Eq. 1: the same direction, the length |s|^2 / (1 + |s|^2)."""
    square = (s_BAD * s_BAD).sum(dim=-1, keepdim=True)
    return s_BAD * square / ((1 + square) * (square + TINY).sqrt())


def route(u_BCMAD: torch.Tensor, iterations: int = ITERATIONS) -> Routed:
    """Route predictions u of every capsule for every attribute by their agreement."""
    fixed = u_BCMAD.detach()
    agreements = torch.zeros_like(fixed[..., 0])
    for _ in range(iterations - 1):
        couplings = agreements.softmax(dim=3)
        v_BAD = squash((couplings.unsqueeze(4) * fixed).sum(dim=(1, 2)))
        agreements = agreements + (fixed * v_BAD[:, None, None]).sum(dim=4)
    couplings = agreements.softmax(dim=3)
    return Routed(couplings, (couplings.unsqueeze(4) * u_BCMAD).sum(dim=(1, 2)))


class RoutingPatchNet(PatchNet):
    """Capsules under dynamic routing.

    An attribute's capsule of length |v| = |s|^2 / (1 + |s|^2) gives the logit
    ln(|v| / (1 - |v|)) = 2 ln |s|, so that the logistic of the logit is the length. The maps sum
    to |s|, not to the logit. There are no patch logits: a patch decides nothing by itself.

    Args:
        backbone: a name in `patches.PATCH_BACKBONES`.
        attributes: number of attributes A.
        width: factor on the channels.
        in_channels: channels of the prepared frame.
        halvings: how often the backbone halves the grid, 0 to 3.
        patch_stride: cells from patch to patch: 1, 2 or 4.

    Raises:
        ValueError: an argument that does not exist (the message lists the choices).
    """

    additive = False

    def __init__(
        self,
        backbone: str,
        attributes: int,
        width: float = 1.0,
        in_channels: int = 2,
        halvings: int = 0,
        patch_stride: int = 4,
    ) -> None:
        super().__init__(backbone, width, in_channels, halvings, patch_stride)
        self.capsules = CapsuleLayers(self.channels, width, patch_stride)
        self.apply(initialise)
        shape = (self.capsules.channels, DIMENSIONS, attributes, OUT_DIMENSIONS)
        self.transform = nn.Parameter(torch.randn(shape) * DEVIATION)

    def last(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Capsules (B, D * C, h, w), one cell for each patch; d of c at index d C + c."""
        return self.capsules(f_BCHW)

    def predict(self, h_BChw: torch.Tensor) -> torch.Tensor:
        """u, what each capsule predicts for each attribute, (B, C, M, A, 16)."""
        h_BDCM = h_BChw.unflatten(1, (DIMENSIONS, -1)).flatten(3)
        u_BCMK = torch.einsum("bdcm,cdk->bcmk", h_BDCM, self.transform.flatten(2))
        return at_least_single(u_BCMK).unflatten(3, (-1, OUT_DIMENSIONS))

    @staticmethod
    def _logits(sums_BAD: torch.Tensor) -> torch.Tensor:
        return ((sums_BAD * sums_BAD).sum(dim=2) + TINY).log()

    def score(self, h_BCHW: torch.Tensor) -> torch.Tensor:
        """Logits (B, A), 2 ln |s|."""
        return self._logits(route(self.predict(h_BCHW)).sums)

    def bias(self) -> torch.Tensor:
        """Zeros: the maps leave nothing of |s|."""
        return torch.zeros(self.transform.shape[2], device=self.transform.device)

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with what each patch brings along s: sum over c of c_cmk <u_cmk, s_k / |s_k|>."""
        f_BCHW = self.inner(x_BCHW)
        h_BChw = self.last(f_BCHW)
        u_BCMAD = self.predict(h_BChw)
        routed = route(u_BCMAD)
        direction = routed.sums / length(routed.sums, dim=2).unsqueeze(2)
        along_BCMA = (u_BCMAD * direction[:, None, None]).sum(dim=4)
        shares = (routed.couplings * along_BCMA).sum(dim=1).transpose(1, 2)
        side = (f_BCHW.shape[2], f_BCHW.shape[3])
        return Explanation(
            self._logits(routed.sums),
            spread(
                shares.unflatten(2, (h_BChw.shape[2], h_BChw.shape[3])), side, self.patch_stride
            ),
            None,
            h_BChw.unflatten(1, (DIMENSIONS, -1)).mean(dim=(2, 3, 4)),
        )
