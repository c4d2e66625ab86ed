"""Attentional Aggregation Module and the VGG-16 that carries it.

Guan, Yu, Yager, Qin: "Multi-Label Visual Feature Learning with Attentional Aggregation",
WACV 2020. Equation numbers are the paper's.

Where the paper is silent:
- the grid is halved after the addition of bypass and branch, so that both have one size;
- the bypass is a 1 x 1 convolution with batch normalisation where the channels change;
- a ReLU follows the addition, so that the class activation maps rest on features >= 0;
- the two pooled paths of the channel attention are summed before batch normalisation;
- pooling over channels is stacked as (maximum, mean), as in CBAM;
- a channel with each frame's own contrast joins the input (`layers.Standardise`).

Deviations of the slim form (each an argument): hidden size C/4, 32 visual words, and side outputs
from block 2 on, because the assignment map of block 1 costs more than all its convolutions.

Legend: B frames, C channels, H W grid, P branches, K visual words, A attributes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from scatterlens_models.nets.layers import (
    VGG16_LAYERS,
    Explanation,
    Net,
    TrainingOutput,
    class_activation,
    conv_stack,
    initialise,
    pooled_head,
    scaled_channels,
    stem,
)
from scatterlens_models.vocabulary import Vocabulary


class Attended(NamedTuple):
    """What the attention hands on."""

    features: torch.Tensor
    """(B, C, H, W)."""
    spatial_maps: torch.Tensor
    """One map for each branch, (B, P, H, W), in (0, 1)."""


class ChannelAttention(nn.Module):
    """Eq. 4 and 7: one gate in (0, 1) for each channel, batch normalised before the logistic."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Gates (B, C)."""
        pooled = f_BCHW.mean(dim=(2, 3)), f_BCHW.amax(dim=(2, 3))
        paths = [self.expand(torch.relu(self.reduce(v_BC))) for v_BC in pooled]
        return torch.sigmoid(self.norm(paths[0] + paths[1]))


class SpatialAttention(nn.Module):
    """Eq. 8: P maps over the grid, each batch normalised by itself before its logistic.

    One convolution 2 -> P with one batch normalisation over P channels is the same function as P
    separate branches; row i of the weights is branch i.
    """

    def __init__(self, branches: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, branches, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(branches)

    def forward(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Maps (B, P, H, W) in (0, 1)."""
        # Stacked last: on a CPU the convolution of two channels is three times as fast so.
        pooled = torch.stack((f_BCHW.amax(dim=1), f_BCHW.mean(dim=1)), dim=-1)
        return torch.sigmoid(self.norm(self.conv(pooled.permute(0, 3, 1, 2))))


class Attention(nn.Module):
    """Eq. 6-8: channel gates, then one spatial map for each of P channel slices.

    Raises:
        ValueError: the channels do not divide into the branches.
    """

    def __init__(self, channels: int, branches: int, reduction: int) -> None:
        super().__init__()
        if channels % branches:
            raise ValueError(
                f"{channels} channels do not divide into {branches} branches; change the width or"
                " the number of groups"
            )
        self.branches = branches
        self.channel = ChannelAttention(channels, reduction)
        self.spatial = SpatialAttention(branches)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, f_BCHW: torch.Tensor) -> Attended:
        """Features after attention and the spatial maps."""
        gated = f_BCHW * self.channel(f_BCHW)[:, :, None, None]
        maps_BPHW = self.spatial(gated)
        # F + F'' in one pass over memory: at block 1 the passes cost more than the arithmetic.
        added = torch.addcmul(
            f_BCHW.unflatten(1, (self.branches, -1)),
            gated.unflatten(1, (self.branches, -1)),
            maps_BPHW.unsqueeze(2),
        )
        return Attended(self.norm(added.flatten(1, 2)), maps_BPHW)


class Aggregation(nn.Module):
    """Eq. 10-11: how often each visual word occurs on the grid, as a unit vector.

    The mean over the grid stands for the sum: after the division by the norm they are the same,
    and the sum overflows in half precision.
    """

    def __init__(self, channels: int, words: int) -> None:
        super().__init__()
        self.assign = nn.Conv2d(channels, words, 1)

    def forward(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Histogram of words, (B, K), of 2-norm one."""
        scores = self.assign(f_BCHW)
        # At least single precision: in half precision the norm overflows.
        dtype = torch.promote_types(scores.dtype, torch.float32)
        histogram = scores.softmax(dim=1, dtype=dtype).mean(dim=(2, 3))
        return functional.normalize(histogram, dim=1)


class AAMVGG(Net):
    """VGG-16 with an attentional aggregation module before each bypass addition.

    Args:
        groups: indices of the attributes of each branch; together every attribute once.
        width: factor on the channels of VGG-16.
        in_channels: channels of the prepared frame.
        poolings: how many of the four gaps between blocks halve the grid, counted from the first.
        reduction: r, divisor of the hidden size in the channel attention.
        words: K, number of visual words.
        first_side: first block (from 0) with a side output.
        group_names: names of the branches, for the names of their maps.

    Raises:
        ValueError: groups that miss or repeat an attribute, or channels that do not divide.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[int]],
        width: float = 1.0,
        in_channels: int = 2,
        poolings: int = 4,
        reduction: int = 16,
        words: int = 64,
        first_side: int = 0,
        group_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        members = sorted(index for group in groups for index in group)
        attributes = len(members)
        if members != list(range(attributes)) or not all(groups):
            raise ValueError(
                f"groups must hold every attribute from 0 to {attributes - 1} exactly once and"
                f" none may be empty; they are {[list(group) for group in groups]}"
            )
        branches = len(groups)
        channels = scaled_channels(width, multiple_of=branches)
        self.stem, first = stem(in_channels)
        inputs = (first, *channels[:-1])
        self.groups = tuple(tuple(group) for group in groups)
        self.poolings = poolings
        self.first_side = first_side
        self.blocks = nn.ModuleList(
            conv_stack(c_in, c_out, layers)
            for c_in, c_out, layers in zip(inputs, channels, VGG16_LAYERS, strict=True)
        )
        self.bypasses = nn.ModuleList(
            nn.Identity()
            if c_in == c_out
            else nn.Sequential(nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out))
            for c_in, c_out in zip(inputs, channels, strict=True)
        )
        self.attentions = nn.ModuleList(Attention(c, branches, reduction) for c in channels)
        self.aggregations = nn.ModuleList(Aggregation(c, words) for c in channels[first_side:])
        self.side_heads = nn.ModuleList(nn.Linear(words, attributes) for _ in channels[first_side:])
        self.head = nn.Linear(channels[-1], attributes)
        names = group_names or [f"branch{i + 1}" for i in range(branches)]
        self.attention_names = tuple(
            f"block{block + 1}.{name}" for block in range(len(channels)) for name in names
        )
        self.apply(initialise)

    def _stages(self, x_BCHW: torch.Tensor) -> list[tuple[Attended, torch.Tensor]]:
        """Of each block: what its attention gave, and the grid after the addition."""
        x_BCHW = self.stem(x_BCHW)
        stages = []
        for block, bypass, attention in zip(
            self.blocks, self.bypasses, self.attentions, strict=True
        ):
            attended = attention(block(x_BCHW))
            h_BCHW = torch.relu(attended.features + bypass(x_BCHW))
            stages.append((attended, h_BCHW))
            x_BCHW = functional.max_pool2d(h_BCHW, 2) if len(stages) <= self.poolings else h_BCHW
        return stages

    def forward(self, x_BCHW: torch.Tensor) -> TrainingOutput:
        """Main and side logits for training."""
        stages = self._stages(x_BCHW)
        sides = tuple(
            head(aggregation(attended.features))
            for (attended, _), aggregation, head in zip(
                stages[self.first_side :], self.aggregations, self.side_heads, strict=True
            )
        )
        logits, _ = pooled_head(stages[-1][1], self.head)
        return TrainingOutput(logits, sides)

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with the evidence of every cell and all spatial maps on the last grid."""
        stages = self._stages(x_BCHW)
        h_BCHW = stages[-1][1]
        logits, features = pooled_head(h_BCHW, self.head)
        maps = []
        for attended, _ in stages:
            maps_BPHW = attended.spatial_maps
            # Grids differ by powers of two, so the mean over a cell is exact.
            stride = maps_BPHW.shape[-1] // h_BCHW.shape[-1]
            maps.append(functional.avg_pool2d(maps_BPHW, stride) if stride > 1 else maps_BPHW)
        return Explanation(
            logits, class_activation(h_BCHW, self.head), torch.cat(maps, dim=1), features
        )

    def branch_parameters(self) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Of each block: the parameters whose row i belongs to branch i (specialised loss)."""
        spatial = [attention.spatial for attention in self._attentions()]
        return [(s.conv.weight, s.norm.weight, s.norm.bias) for s in spatial]

    def _attentions(self) -> list[Attention]:
        return [module for module in self.attentions if isinstance(module, Attention)]


def build_aam(vocabulary: Vocabulary, width: float, in_channels: int, poolings: int) -> AAMVGG:
    """AAM-VGG16 for a vocabulary; below half width in the slim form.

    Raises:
        ValueError: the vocabulary has no groups.
    """
    if not vocabulary.groups:
        raise ValueError(f"vocabulary {vocabulary.name} has no groups; AAM needs them")
    slim = width < 0.5
    return AAMVGG(
        tuple(vocabulary.groups.values()),
        width,
        in_channels,
        poolings,
        reduction=4 if slim else 16,
        words=32 if slim else 64,
        first_side=1 if slim else 0,
        group_names=tuple(vocabulary.groups),
    )
