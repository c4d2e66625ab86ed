"""The capsule architecture (Fig. 3, right): many feature vectors for each patch.

Sixteen parallel convolutions 512 -> 32 are one convolution 512 -> 16 * 32, and 128 parallel 1 x 1
convolutions 32 -> 64 are one convolution 32 -> 128 * 64, batch normalisation included: the same
function and the same parameters. The paper's code counts 270,336 parameters more, of shortcut
convolutions that nothing uses.
"""

import torch
from torch import nn

from scatterlens_models.nets.layers import (
    Explanation,
    TrainingOutput,
    affine,
    conv_norm,
    initialise,
    scaled,
)
from scatterlens_models.nets.loss_attention.attention import (
    XI,
    CapsuleWeights,
    at_least_single,
    capsule_weights,
    check_xi,
    length,
)
from scatterlens_models.nets.loss_attention.grid import PATCH, spread
from scatterlens_models.nets.loss_attention.patches import PatchNet

FIRST_DIMENSIONS = 16
FIRST_CHANNELS = 32
DIMENSIONS = 128
CHANNELS = 64


class CapsuleLayers(nn.Module):
    """Both capsule layers: features (B, C, s, s) to capsules (B, D 128, C 64, h, w), rectified.

    Of the first layer only the lengths of its capsules go on, less a learned offset of each
    channel (Eq. 11). Width scales the channels, never the dimensions of a capsule.
    """

    def __init__(self, channels_in: int, width: float, patch_stride: int) -> None:
        super().__init__()
        first = scaled(FIRST_CHANNELS, width)
        self.channels = scaled(CHANNELS, width)
        self.first = nn.Sequential(
            nn.Conv2d(channels_in, FIRST_DIMENSIONS * first, PATCH, patch_stride),
            nn.BatchNorm2d(FIRST_DIMENSIONS * first),
            nn.ReLU(),
        )
        self.offset = nn.Parameter(torch.randn(1, first, 1, 1))
        self.second = conv_norm(first, DIMENSIONS * self.channels, 1, bias=True)

    def forward(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """(B, D * C, h, w); dimension d of channel c at index d C + c."""
        poses = self.first(f_BCHW).unflatten(1, (FIRST_DIMENSIONS, -1))
        return self.second(torch.relu(length(poses, dim=1).to(poses.dtype) - self.offset))


class CapsulePatchNet(PatchNet):
    """Capsules under Loss-Attention (Eq. 6), one linear head for all of them.

    The patch logits are the sums over channels, so they hold the bias once for each channel, as
    in the paper's code. The threshold is always divided by the number of patches: here the code
    does as the paper says.

    Args:
        backbone: a name in `patches.PATCH_BACKBONES`.
        attributes: number of attributes A.
        width: factor on the channels.
        in_channels: channels of the prepared frame.
        halvings: how often the backbone halves the grid, 0 to 3.
        patch_stride: cells from patch to patch: 1, 2 or 4.
        xi: threshold of Eq. 6b.

    Raises:
        ValueError: an argument that does not exist (the message lists the choices).
    """

    attention_names = ("patch_weights",)

    def __init__(
        self,
        backbone: str,
        attributes: int,
        width: float = 1.0,
        in_channels: int = 2,
        halvings: int = 0,
        patch_stride: int = 4,
        xi: float = XI,
    ) -> None:
        super().__init__(backbone, width, in_channels, halvings, patch_stride)
        check_xi(xi)
        self.xi = xi
        self.capsules = CapsuleLayers(self.channels, width, patch_stride)
        self.head = nn.Linear(DIMENSIONS, attributes)
        self.apply(initialise)

    def last(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Capsules (B, D * C, h, w), one cell for each patch; d of c at index d C + c."""
        return self.capsules(f_BCHW)

    def decide(self, h_BChw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, CapsuleWeights]:
        """Capsules (B, C, M, D), their logits (B, C, M, A) and their weights."""
        h_BCMD = h_BChw.unflatten(1, (DIMENSIONS, -1)).flatten(3).permute(0, 2, 3, 1)
        p_BCMA = at_least_single(affine(h_BCMD, self.head))
        return h_BCMD, p_BCMA, capsule_weights(p_BCMA, self.xi)

    def score(self, h_BCHW: torch.Tensor) -> torch.Tensor:
        """Logits (B, A): Eq. 6d and 6e."""
        _, p_BCMA, weights = self.decide(h_BCHW)
        return (weights.capsules.unsqueeze(3) * p_BCMA).sum(dim=(1, 2))

    def bias(self) -> torch.Tensor:
        """Bias of the head."""
        return self.head.bias

    def forward(self, x_BCHW: torch.Tensor) -> TrainingOutput:
        """Logits of the frame and of its patches, with the patches' weights."""
        _, p_BCMA, weights = self.decide(self.last(self.inner(x_BCHW)))
        logits = (weights.capsules.unsqueeze(3) * p_BCMA).sum(dim=(1, 2))
        return TrainingOutput(logits, (), p_BCMA.sum(dim=1), weights.patches)

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with the share of every patch, sum over c of alpha_cm (p_cmk - b_k)."""
        f_BCHW = self.inner(x_BCHW)
        h_BChw = self.last(f_BCHW)
        h_BCMD, p_BCMA, weights = self.decide(h_BChw)
        grid = (h_BChw.shape[2], h_BChw.shape[3])
        side = (f_BCHW.shape[2], f_BCHW.shape[3])
        each = weights.capsules.unsqueeze(3)
        shares = (each * (p_BCMA - self.head.bias)).sum(dim=1).transpose(1, 2)
        return Explanation(
            (each * p_BCMA).sum(dim=(1, 2)),
            spread(shares.unflatten(2, grid), side, self.patch_stride),
            spread(weights.patches.unsqueeze(1).unflatten(2, grid), side, self.patch_stride),
            (each * h_BCMD).sum(dim=(1, 2)),
        )
