"""Backbones: VGG-11/16, ResNet-18/50 and GoogLeNet at any width, halved where one chooses.

Each is cut in three, so that methods can reach in: `first` (the first convolution with its
ReLU), `inner` (to the end of the last block but one), `tail` (the last block).

- VGG: Simonyan & Zisserman (2015), configurations A and D, with batch normalisation, without
  the fully connected layers.
- ResNet: He et al. (2016); the first convolution is 3 x 3, as for small images.
- GoogLeNet: Szegedy et al. (2015), Table 1, with batch normalisation and a first kernel of 3 x 3,
  without auxiliary heads.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from scatterlens_models.nets.layers import (
    PooledNet,
    check_side,
    conv_norm,
    initialise,
    scaled,
    stem,
)

VGG_BLOCKS = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
}
RESNET_BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
RESNET_HALVINGS = ("first", "stage2", "stage3", "stage4", "pool")
"""Where a plain ResNet halves its grid, in this order: its first layer costs most."""
INCEPTIONS: dict[str, tuple[int, int, int, int, int, int]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Channels of 1 x 1 | 3 x 3 reduced, 3 x 3 | 5 x 5 reduced, 5 x 5 | after pooling."""
GOOGLENET_HALVINGS = ("first", "3a", "4a", "5a")


class Backbone(nn.Module):
    """Features of a frame: (B, in_channels, S, S) to (B, channels, s, s), s = S / 2**halvings."""

    def __init__(
        self, first: nn.Module, inner: nn.Module, tail: nn.Module, channels: int, halvings: int
    ) -> None:
        super().__init__()
        self.first = first
        self.inner = inner
        self.tail = tail
        self.channels = channels
        self.halvings = halvings

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Features of the last convolution."""
        return self.tail(self.inner(self.first(x_BCHW)))


def vgg(
    depth: Literal[11, 16],
    width: float,
    in_channels: int,
    pools: int = 4,
    strides: Sequence[int] = (),
    bias: bool = False,
) -> Backbone:
    """VGG with `pools` maximum poolings between its blocks, or with strides instead.

    Args:
        depth: 11 or 16.
        width: factor on the channels.
        in_channels: channels that come in.
        pools: how many of the four gaps between blocks halve the grid, counted from the first.
        strides: convolutions (counted from 1) that halve the grid by a stride of two.
        bias: whether convolutions have one in spite of the normalisation that follows.

    Raises:
        ValueError: more poolings than gaps.
    """
    if not 0 <= pools <= 4:
        raise ValueError(f"VGG has four gaps between its blocks, {pools} cannot be poolings")
    layers: list[nn.Module] = []
    count, channels_in, cut = 0, in_channels, 0
    for block, channels in enumerate(VGG_BLOCKS[depth]):
        if block == 4:
            cut = len(layers)
        if 0 < block <= pools:
            layers.append(nn.MaxPool2d(2))
        for base in channels:
            count += 1
            stride = 2 if count in strides else 1
            layers.append(conv_norm(channels_in, scaled(base, width), 3, stride, bias))
            channels_in = scaled(base, width)
    return Backbone(
        layers[0],
        nn.Sequential(*layers[1:cut]),
        nn.Sequential(*layers[cut:]),
        channels_in,
        pools + len(strides),
    )


class Residual(nn.Module):
    """A residual block: convolutions beside a shortcut, added before the last ReLU.

    Args:
        kernels: sizes of its convolutions; the last gives `channels`, the others `hidden`.
        strided: which convolution (counted from 0) takes the stride.
        doubled: rectify the branch before the addition, too.
    """

    def __init__(
        self,
        channels_in: int,
        hidden: int,
        channels: int,
        kernels: Sequence[int],
        stride: int,
        strided: int = 0,
        doubled: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels_in
        for i, kernel in enumerate(kernels):
            ends = i + 1 == len(kernels)
            outputs = channels if ends else hidden
            step = stride if i == strided else 1
            layers += [
                nn.Conv2d(inputs, outputs, kernel, step, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(outputs),
            ]
            if not ends or doubled:
                layers.append(nn.ReLU())
            inputs = outputs
        self.branch = nn.Sequential(*layers)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and channels_in == channels
            else nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        )

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """The next features."""
        return torch.relu(self.branch(x_BCHW) + self.shortcut(x_BCHW))


def resnet(
    depth: Literal[18, 50],
    width: float,
    in_channels: int,
    halve_at: Sequence[str] = RESNET_HALVINGS[1:4],
    wide_bottleneck: bool = False,
) -> Backbone:
    """ResNet; the grid is halved at the named places.

    Args:
        depth: 18 (two 3 x 3 convolutions in a block) or 50 (bottlenecks).
        width: factor on the channels.
        in_channels: channels that come in.
        halve_at: some of `RESNET_HALVINGS`; the default is the form for 32 x 32 images.
        wide_bottleneck: the bottleneck of Shi et al. (2021): its first kernel is 3 x 3, and it is
            rectified before the addition, too.

    Raises:
        ValueError: a place that does not exist.
    """
    if unknown := set(halve_at) - set(RESNET_HALVINGS):
        raise ValueError(
            f"no place {sorted(unknown)} to halve; there are {', '.join(RESNET_HALVINGS)}"
        )
    channels = scaled(64, width)
    first = conv_norm(in_channels, channels, 3, 2 if "first" in halve_at else 1)
    stages: list[nn.Module] = []
    for stage, blocks in enumerate(RESNET_BLOCKS[depth]):
        hidden = scaled(64 * 2**stage, width)
        layers: list[nn.Module] = []
        for block in range(blocks):
            stride = 2 if block == 0 and f"stage{stage + 1}" in halve_at else 1
            if depth == 18:
                layers.append(Residual(channels, hidden, hidden, (3, 3), stride))
                channels = hidden
            else:
                kernels = (3 if wide_bottleneck else 1, 3, 1)
                layers.append(
                    Residual(channels, hidden, 4 * hidden, kernels, stride, 1, wide_bottleneck)
                )
                channels = 4 * hidden
        stages.append(nn.Sequential(*layers))
    if "pool" in halve_at:
        stages.insert(0, nn.MaxPool2d(2))
    return Backbone(first, nn.Sequential(*stages[:-1]), stages[-1], channels, len(set(halve_at)))


class Inception(nn.Module):
    """Four branches beside one another: 1 x 1, 3 x 3, 5 x 5, and 1 x 1 after pooling."""

    def __init__(self, channels_in: int, plan: Sequence[int], stride: int = 1) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pooled = plan
        self.one = conv_norm(channels_in, one, 1, stride)
        self.three = nn.Sequential(
            conv_norm(channels_in, three_in, 1), conv_norm(three_in, three, 3, stride)
        )
        self.five = nn.Sequential(
            conv_norm(channels_in, five_in, 1), conv_norm(five_in, five, 5, stride)
        )
        self.pooled = conv_norm(channels_in, pooled, 1)
        self.stride = stride
        self.channels = one + three + five + pooled

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """The branches' channels one after another."""
        around = functional.max_pool2d(x_BCHW, 3, self.stride, padding=1)
        branches = (self.one(x_BCHW), self.three(x_BCHW), self.five(x_BCHW), self.pooled(around))
        return torch.cat(branches, dim=1)


def googlenet(
    width: float,
    in_channels: int,
    halve_at: Sequence[str] = GOOGLENET_HALVINGS[:3],
    pools: bool = True,
) -> Backbone:
    """GoogLeNet; the grid is halved at the named places by maximum pooling, or by strides.

    Args:
        width: factor on the channels.
        in_channels: channels that come in.
        halve_at: some of `GOOGLENET_HALVINGS`; `first` is always a stride.
        pools: pool before the named modules; else every branch of theirs strides.

    Raises:
        ValueError: a place that does not exist.
    """
    if unknown := set(halve_at) - set(GOOGLENET_HALVINGS):
        raise ValueError(
            f"no place {sorted(unknown)} to halve; there are {', '.join(GOOGLENET_HALVINGS)}"
        )
    channels = scaled(192, width)
    low = scaled(64, width)
    first = conv_norm(in_channels, low, 3, 2 if "first" in halve_at else 1)
    layers: list[nn.Module] = [conv_norm(low, low, 1), conv_norm(low, channels, 3)]
    cut = 0
    for name, plan in INCEPTIONS.items():
        if name == "5a":
            cut = len(layers)
        halves = name in halve_at
        if halves and pools:
            layers.append(nn.MaxPool2d(2))
        module = Inception(
            channels, [scaled(base, width) for base in plan], 2 if halves and not pools else 1
        )
        layers.append(module)
        channels = module.channels
    return Backbone(
        first,
        nn.Sequential(*layers[:cut]),
        nn.Sequential(*layers[cut:]),
        channels,
        len(set(halve_at)),
    )


def _first(places: Sequence[str], halvings: int) -> Sequence[str]:
    """The first places to halve a grid at; `ValueError` where there are not as many."""
    if not 0 <= halvings <= len(places):
        raise ValueError(f"this backbone halves its grid 0 to {len(places)} times, not {halvings}")
    return places[:halvings]


BACKBONES: dict[str, Callable[[float, int, int], Backbone]] = {
    "vgg11": lambda width, channels, halvings: vgg(11, width, channels, halvings),
    "vgg16": lambda width, channels, halvings: vgg(16, width, channels, halvings),
    "resnet18": lambda width, channels, halvings: resnet(
        18, width, channels, _first(RESNET_HALVINGS, halvings)
    ),
    "resnet50": lambda width, channels, halvings: resnet(
        50, width, channels, _first(RESNET_HALVINGS, halvings)
    ),
    "googlenet": lambda width, channels, halvings: googlenet(
        width, channels, _first(GOOGLENET_HALVINGS, halvings)
    ),
}
"""By name: (width, channels that come in, how often the grid is halved) to a backbone."""


class PlainNet(PooledNet):
    """A backbone, global average pooling, one linear head: the twin of every attention network.

    Args:
        backbone: a name in `BACKBONES`.
        attributes: number of attributes A.
        width: factor on the channels.
        in_channels: channels of the prepared frame.
        poolings: how often the grid is halved; the last map is S / 2**poolings cells wide.
    """

    def __init__(
        self,
        backbone: str,
        attributes: int,
        width: float = 1.0,
        in_channels: int = 2,
        poolings: int = 4,
    ) -> None:
        super().__init__()
        self.stem, first = stem(in_channels)
        self.backbone = BACKBONES[backbone](width, first, poolings)
        self.head = nn.Linear(self.backbone.channels, attributes)
        self.apply(initialise)

    def inner(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Features at the end of the last block but one, (B, C, H, W)."""
        check_side(x_BCHW, self.backbone.halvings)
        return self.backbone.inner(self.backbone.first(self.stem(x_BCHW)))

    def last(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Features of the last convolution, (B, C, h, w)."""
        return self.backbone.tail(f_BCHW)
