"""What all patch networks share: a backbone that hardly halves the grid, cut into 9 x 9 patches."""

from collections.abc import Callable

import torch
from torch import nn

from scatterlens_models.nets.backbones import Backbone, googlenet, resnet, vgg
from scatterlens_models.nets.layers import Net, check_side, conv_norm, scaled, stem
from scatterlens_models.nets.loss_attention.grid import PATCH

CHANNELS = 512
"""Channels that the patch layers take."""
PATCH_STRIDES = (1, 2, 4)
VGG_STRIDES = ((), (4,), (2, 4), (2, 3, 4))
RESNET_STRIDES = ((), ("stage2",), ("first", "stage2"), ("first", "stage2", "stage3"))
GOOGLENET_STRIDES = ((), ("first",), ("first", "4a"), ("first", "3a", "4a"))
"""Where a backbone strides, by how often it shall halve the grid. One halving of VGG-11 and
ResNet-18 lies where the paper has it for 64 x 64 images; the others are early, for speed."""

PATCH_BACKBONES: dict[str, Callable[[float, int, int], Backbone]] = {
    "vgg11": lambda width, channels, halvings: vgg(
        11, width, channels, pools=0, strides=VGG_STRIDES[halvings], bias=True
    ),
    "resnet18": lambda width, channels, halvings: resnet(
        18, width, channels, RESNET_STRIDES[halvings]
    ),
    "resnet50": lambda width, channels, halvings: resnet(
        50, width, channels, RESNET_STRIDES[halvings], wide_bottleneck=True
    ),
    "googlenet": lambda width, channels, halvings: googlenet(
        width, channels, GOOGLENET_STRIDES[halvings], pools=False
    ),
}
"""By name: (width, channels that come in, halvings) to a backbone without pooling."""


class PatchNet(Net):
    """A backbone without pooling, brought to 512 channels; what cuts the patches comes after.

    The paper's form is `halvings` 0, `patch_stride` 4 and three channels of 32 x 32 pixels: 6 x 6
    patches. Deviations from the paper's code: the first convolution of ResNet is normalised and
    rectified (the code skips both, and says nothing of it in the paper).

    Args:
        backbone: a name in `PATCH_BACKBONES`.
        width: factor on the channels.
        in_channels: channels of the prepared frame.
        halvings: how often the backbone halves the grid, 0 to 3.
        patch_stride: cells from patch to patch: 1, 2 or 4.

    Raises:
        ValueError: an unknown backbone, number of halvings or patch stride.
    """

    def __init__(
        self, backbone: str, width: float, in_channels: int, halvings: int, patch_stride: int
    ) -> None:
        super().__init__()
        if backbone not in PATCH_BACKBONES:
            raise ValueError(
                f"no patch backbone {backbone!r}; there are {', '.join(PATCH_BACKBONES)}"
            )
        if not 0 <= halvings < len(VGG_STRIDES):
            raise ValueError(
                f"patch networks halve their grid 0 to {len(VGG_STRIDES) - 1} times before the"
                f" patch layer, not {halvings}"
            )
        if patch_stride not in PATCH_STRIDES:
            raise ValueError(f"patches stand 1, 2 or 4 cells apart, not {patch_stride}")
        self.halvings = halvings
        self.patch_stride = patch_stride
        self.channels = scaled(CHANNELS, width)
        self.stem, first = stem(in_channels)
        self.backbone = PATCH_BACKBONES[backbone](width, first, halvings)
        self.reduce = (
            nn.Identity()
            if self.backbone.channels == self.channels
            else conv_norm(self.backbone.channels, self.channels, 1)
        )

    def inner(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Features on the backbone's grid, (B, C, s, s) with s = S / 2**halvings.

        Raises:
            ValueError: frames that cannot be halved so often, or are smaller than one patch.
        """
        check_side(x_BCHW, self.halvings)
        height, width = x_BCHW.shape[-2:]
        if min(height, width) < PATCH * 2**self.halvings:
            raise ValueError(
                f"frames of {height} x {width} are smaller than one patch; take an input size of"
                f" {PATCH * 2**self.halvings} or more, or fewer poolings"
            )
        return self.reduce(self.backbone(self.stem(x_BCHW)))
