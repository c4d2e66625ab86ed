"""Layers and shapes that several networks share, and what every network is.

Legend of shape suffixes: B frames, C channels, H W grid of the layer, A attributes, D features,
M patches.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

VGG16_LAYERS = (2, 2, 3, 3, 3)
VGG16_CHANNELS = (64, 128, 256, 512, 512)


class TrainingOutput(NamedTuple):
    """What the losses see."""

    logits: torch.Tensor
    """Main head, (B, A)."""
    side_logits: tuple[torch.Tensor, ...] = ()
    """Auxiliary heads, each (B, A); empty where the method has none."""
    patch_logits: torch.Tensor | None = None
    """Logits of each patch, (B, M, A), where the method decides by patches."""
    patch_weights: torch.Tensor | None = None
    """Weight of each patch in the frame's logits, (B, M); every row sums to one."""
    attribute_maps: torch.Tensor | None = None
    """Signed evidence (B, A, h, w) whose cells sum to the logits, where the method has it."""


class Explanation(NamedTuple):
    """What a bundle serves: forward-only, before calibration."""

    logits: torch.Tensor
    """(B, A)."""
    attribute_maps: torch.Tensor
    """Signed evidence (B, A, h, w)."""
    attention_maps: torch.Tensor | None
    """(B, M, h, w) on one grid, or None where the method attends to nothing of its own."""
    features: torch.Tensor
    """Pooled features (B, D)."""


class Net(nn.Module):
    """What every network is: something to train, to explain and to export.

    A forward pass is `score(last(inner(x)))`, so that the gradient of any score with respect to
    an inner layer can be taken by whoever wants to see what that layer looked at.
    """

    attention_names: tuple[str, ...] = ()
    """Names of the attention maps, in order."""
    additive: bool = True
    """Whether the cells of an attribute map sum to its logit minus its bias."""

    def inner(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Features of the last layer but one block, after its ReLU: (B, C, H, W)."""
        raise NotImplementedError

    def last(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Features of the last convolution, from those of `inner`: (B, C, H, W)."""
        raise NotImplementedError

    def score(self, h_BCHW: torch.Tensor) -> torch.Tensor:
        """Logits (B, A), from the features of `last`."""
        raise NotImplementedError

    def bias(self) -> torch.Tensor:
        """What an attribute map leaves of each logit, (A,)."""
        raise NotImplementedError

    def forward(self, x_BCHW: torch.Tensor) -> TrainingOutput:
        """All that the losses need; x is a prepared batch (B, in_channels, S, S)."""
        return TrainingOutput(self.score(self.last(self.inner(x_BCHW))))

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with the evidence of every cell."""
        raise NotImplementedError


class PooledNet(Net):
    """A network that ends in global average pooling and one linear head."""

    head: nn.Linear

    def score(self, h_BCHW: torch.Tensor) -> torch.Tensor:
        """Logits (B, A)."""
        return pooled_head(h_BCHW, self.head)[0]

    def forward(self, x_BCHW: torch.Tensor) -> TrainingOutput:
        """Logits and the evidence of every cell for training."""
        h_BCHW = self.last(self.inner(x_BCHW))
        maps = class_activation(h_BCHW, self.head)
        return TrainingOutput(self.score(h_BCHW), attribute_maps=maps)

    def bias(self) -> torch.Tensor:
        """Bias of the head."""
        return self.head.bias

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with the evidence of every cell."""
        h_BCHW = self.last(self.inner(x_BCHW))
        logits, features = pooled_head(h_BCHW, self.head)
        return Explanation(logits, class_activation(h_BCHW, self.head), None, features)


class Standardise(nn.Module):
    """Add a channel with each frame's contrast: (x - mean) / deviation over its live pixels.

    Exposures differ by factors of a thousand, and batch normalisation sees only the batch: without
    this channel the bright frames of a batch decide the scale and the weak ones vanish.
    """

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """(B, 2, H, W) to (B, 3, H, W); the last channel is coverage, as in the prepared frame."""
        value, coverage = x_BCHW[:, :1], x_BCHW[:, 1:2]
        area = coverage.sum(dim=(2, 3), keepdim=True).clamp_min(1.0)
        offset = (value - (value * coverage).sum(dim=(2, 3), keepdim=True) / area) * coverage
        deviation = ((offset * offset).sum(dim=(2, 3), keepdim=True) / area + 1e-6).sqrt()
        return torch.cat((offset / deviation, value, coverage), dim=1)


def stem(in_channels: int) -> tuple[nn.Module, int]:
    """What stands before the first block, and how many channels it gives.

    A prepared frame (value, coverage) is standardised; any other input passes as it is.
    """
    return (Standardise(), 3) if in_channels == 2 else (nn.Identity(), in_channels)


def check_side(x_BCHW: torch.Tensor, halvings: int) -> None:
    """Refuse frames whose grid could not be halved exactly.

    Every map cell must cover the same number of pixels, or overlays would lie beside the evidence.

    Raises:
        ValueError: a side is no multiple of 2**halvings.
    """
    height, width = x_BCHW.shape[-2:]
    if height % 2**halvings or width % 2**halvings:
        raise ValueError(
            f"frames of {height} x {width} cannot be halved {halvings} times; take an input size"
            f" that is a multiple of {2**halvings}"
        )


def scaled(base: int, width: float) -> int:
    """Channels at a width factor, one at least."""
    return max(round(base * width), 1)


def scaled_channels(width: float, multiple_of: int = 1) -> tuple[int, ...]:
    """Channels of the five VGG-16 blocks at a width factor.

    Raises:
        ValueError: a block would not divide into `multiple_of` equal slices.
    """
    channels = tuple(round(base * width) for base in VGG16_CHANNELS)
    for base, own in zip(VGG16_CHANNELS, channels, strict=True):
        if own < multiple_of or own % multiple_of:
            raise ValueError(
                f"width {width} gives a block of {own} channels (of {base}), which do not divide"
                f" into {multiple_of} equal slices; take a width that is a multiple of"
                f" {multiple_of / VGG16_CHANNELS[0]:g}"
            )
    return channels


def conv_norm(
    channels_in: int, channels: int, kernel: int = 3, stride: int = 1, bias: bool = False
) -> nn.Sequential:
    """One convolution that keeps the grid (or strides over it), batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2, bias=bias),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def conv_stack(channels_in: int, channels: int, layers: int) -> nn.Sequential:
    """`layers` 3 x 3 convolutions, each followed by batch normalisation and ReLU."""
    modules: list[nn.Module] = []
    for _ in range(layers):
        modules += conv_norm(channels_in, channels)
        channels_in = channels
    return nn.Sequential(*modules)


def initialise(module: nn.Module) -> None:
    """He initialisation of every convolution, small heads; call by `module.apply`."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def affine(x: torch.Tensor, layer: nn.Linear) -> torch.Tensor:
    """What a linear layer computes of every row of a stack, as a product and a sum.

    The layer itself adds its bias in place where the stack is not contiguous, and no graph can
    hold the backward pass of that (`training.gradient_export`).
    """
    return x @ layer.weight.T + layer.bias


def pooled_head(h_BCHW: torch.Tensor, head: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
    """Global average pooling and a linear head: logits (B, A) and features (B, C)."""
    features = h_BCHW.mean(dim=(2, 3))
    return head(features), features


def class_activation(h_BCHW: torch.Tensor, head: nn.Linear) -> torch.Tensor:
    """Share of each cell in each logit under `pooled_head`, (B, A, H, W).

    The cells of an attribute sum to its logit minus its bias; this is Grad-CAM at the last layer
    before its ReLU, divided by nothing but the number of cells (Selvaraju et al. 2017, Eq. 1-2).
    """
    cells = h_BCHW.shape[2] * h_BCHW.shape[3]
    return torch.einsum("bchw,ac->bahw", h_BCHW, head.weight) / cells


def on_grid(maps_BMHW: torch.Tensor, side: int) -> torch.Tensor:
    """Maps brought to a coarser grid of `side` cells by the mean over each cell.

    Grids of one network differ by powers of two (`check_side`), so the mean is exact.
    """
    stride = maps_BMHW.shape[-1] // side
    return functional.avg_pool2d(maps_BMHW, stride) if stride > 1 else maps_BMHW
