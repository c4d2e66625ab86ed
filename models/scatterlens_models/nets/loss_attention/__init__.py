"""Loss-based attention over patches, and what its paper compares it with.

Shi, Xing, Xu, Chen, Yang, Guo: "Loss-Based Attention for Interpreting Image-Level Prediction of
Convolutional Neural Networks", IEEE TIP 2021. Equation and table numbers are the paper's.

Legend: B frames, C channels, H W and s grid of the backbone, h w grid of the patches, M patches,
A attributes (the paper's K), D dimensions of a capsule.
"""

from scatterlens_models.nets.loss_attention.capsules import CapsulePatchNet
from scatterlens_models.nets.loss_attention.conv import POOLINGS, ConvPatchNet
from scatterlens_models.nets.loss_attention.patches import PATCH_BACKBONES, PatchNet
from scatterlens_models.nets.loss_attention.routing import RoutingPatchNet

CAPSULE_POOLINGS = ("loss", "routing")
"""Loss-Attention (Eq. 6), and dynamic routing."""

__all__ = [
    "CAPSULE_POOLINGS",
    "PATCH_BACKBONES",
    "POOLINGS",
    "CapsulePatchNet",
    "ConvPatchNet",
    "PatchNet",
    "RoutingPatchNet",
    "build_patch_net",
]


def build_patch_net(
    pooling: str,
    backbone: str,
    attributes: int,
    width: float = 1.0,
    in_channels: int = 2,
    poolings: int = 4,
    capsules: bool = False,
) -> PatchNet:
    """Build a patch network whose patches stand 2**poolings pixels apart.

    The last of these halvings is the stride of the patch layer, the others are the backbone's.

    Args:
        pooling: how patches decide: a name in `POOLINGS`, or in `CAPSULE_POOLINGS`.
        backbone: a name in `PATCH_BACKBONES`.
        attributes: number of attributes A.
        width: factor on the channels.
        in_channels: channels of the prepared frame.
        poolings: 0 to 4.
        capsules: whether a patch has capsules, or one feature vector.

    Raises:
        ValueError: a name or number that does not exist (the message lists the choices).
    """
    if not 0 <= poolings <= 4:
        raise ValueError(f"patch networks halve their grid 0 to 4 times, not {poolings}")
    halvings, patch_stride = max(poolings - 1, 0), 2 if poolings else 1
    if not capsules:
        return ConvPatchNet(
            pooling, backbone, attributes, width, in_channels, halvings, patch_stride
        )
    if pooling not in CAPSULE_POOLINGS:
        raise ValueError(
            f"no pooling {pooling!r} of capsules; there are {', '.join(CAPSULE_POOLINGS)}"
        )
    net = CapsulePatchNet if pooling == "loss" else RoutingPatchNet
    return net(backbone, attributes, width, in_channels, halvings, patch_stride)
