"""VGG-16 with a module before each bypass addition, and the rows of Table 1.

Where the paper is silent:
- the grid is halved after the addition of bypass and branch, so that both have one size;
- the bypass is a 1 x 1 convolution with batch normalisation where the channels change;
- a ReLU follows the addition, so that the class activation maps rest on features >= 0;
- a channel with each frame's own contrast joins the input (`layers.Standardise`).

Deviations of the slim form (each an argument): hidden size C/4, 32 visual words, and side outputs
from block 2 on, because the assignment map of block 1 costs more than all its convolutions.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from scatterlens_models.nets.aam.attention import Aggregation, Attended, Attention
from scatterlens_models.nets.aam.rivals import NoAttention, SoftMask, SqueezeExcitation
from scatterlens_models.nets.layers import (
    VGG16_LAYERS,
    Explanation,
    PooledNet,
    TrainingOutput,
    check_side,
    class_activation,
    conv_stack,
    initialise,
    on_grid,
    pooled_head,
    scaled_channels,
    stem,
)

BRANCHES = 4
"""p of the paper: four groups of attributes."""
MASK_STEPS = (3, 2, 1, 1, 1)
"""How deep the soft mask of row (d) goes in each block."""

ABLATIONS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "aggregation": lambda channels, reduction, block: NoAttention(channels),
    "cbam": lambda channels, reduction, block: Attention(channels, 1, reduction),
    "residual": lambda channels, reduction, block: SoftMask(channels, MASK_STEPS[block]),
    "se": lambda channels, reduction, block: SqueezeExcitation(channels, reduction),
}
"""Rows (b) to (e) of Table 1: (channels, r, block) to what stands in the module's place."""


class AAMVGG(PooledNet):
    """VGG-16 with an attentional aggregation module before each bypass addition.

    Args:
        attributes: number of attributes A.
        groups: indices of the attributes of each branch, together every attribute once; without
            them there are four branches that no loss can specialise.
        group_names: names of the branches, for the names of their maps.
        width: factor on the channels of VGG-16.
        in_channels: channels of the prepared frame.
        poolings: how many of the four gaps between blocks halve the grid, counted from the first.
        reduction: r, divisor of the hidden size in the channel attention.
        words: K, number of visual words.
        first_side: first block (from 0) with a side output.
        ablation: a name in `ABLATIONS`; the module itself where None.

    Raises:
        ValueError: groups that miss or repeat an attribute, or channels that do not divide.
    """

    def __init__(
        self,
        attributes: int,
        groups: Sequence[Sequence[int]] = (),
        group_names: Sequence[str] = (),
        width: float = 1.0,
        in_channels: int = 2,
        poolings: int = 4,
        reduction: int = 16,
        words: int = 64,
        first_side: int = 0,
        ablation: str | None = None,
    ) -> None:
        super().__init__()
        members = sorted(index for group in groups for index in group)
        if groups and (members != list(range(attributes)) or not all(groups)):
            raise ValueError(
                f"groups must hold every attribute from 0 to {attributes - 1} exactly once and"
                f" none may be empty; they are {[list(group) for group in groups]}"
            )
        if not 0 <= poolings <= 4:
            raise ValueError(f"VGG-16 has four gaps to halve the grid at, not {poolings}")
        branches = len(groups) or BRANCHES
        channels = scaled_channels(width, multiple_of=1 if ablation else branches)
        self.stem, first = stem(in_channels)
        inputs = (first, *channels[:-1])
        self.groups = () if ablation else tuple(tuple(group) for group in groups)
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
            for c_in, c_out in pairwise((first, *channels))
        )
        self.attentions = nn.ModuleList(
            Attention(c, branches, reduction)
            if ablation is None
            else ABLATIONS[ablation](c, reduction, block)
            for block, c in enumerate(channels)
        )
        self.aggregations = nn.ModuleList(Aggregation(c, words) for c in channels[first_side:])
        self.side_heads = nn.ModuleList(nn.Linear(words, attributes) for _ in channels[first_side:])
        self.head = nn.Linear(channels[-1], attributes)
        names = {
            None: group_names or [f"branch{i + 1}" for i in range(branches)],
            "cbam": ["spatial"],
            "residual": ["mask"],
        }.get(ablation, [])
        self.attention_names = tuple(
            f"block{block + 1}.{name}" for block in range(len(channels)) for name in names
        )
        self.apply(initialise)

    def _stage(self, block: int, x_BCHW: torch.Tensor) -> tuple[Attended, torch.Tensor]:
        """What the attention of a block gave, and the grid after the addition."""
        if 0 < block <= self.poolings:
            x_BCHW = functional.max_pool2d(x_BCHW, 2)
        attended = self.attentions[block](self.blocks[block](x_BCHW))
        return attended, torch.relu(attended.features + self.bypasses[block](x_BCHW))

    def _stages(self, x_BCHW: torch.Tensor, count: int) -> tuple[list[Attended], torch.Tensor]:
        """What the attention of each of the first blocks gave, and the grid after them."""
        check_side(x_BCHW, self.poolings)
        h_BCHW = self.stem(x_BCHW)
        seen = []
        for block in range(count):
            attended, h_BCHW = self._stage(block, h_BCHW)
            seen.append(attended)
        return seen, h_BCHW

    def inner(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Features at the end of block 4, (B, C, H, W)."""
        return self._stages(x_BCHW, len(self.blocks) - 1)[1]

    def last(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Features at the end of block 5, (B, C, h, w)."""
        return self._stage(len(self.blocks) - 1, f_BCHW)[1]

    def forward(self, x_BCHW: torch.Tensor) -> TrainingOutput:
        """Main and side logits for training."""
        seen, h_BCHW = self._stages(x_BCHW, len(self.blocks))
        sides = tuple(
            head(aggregation(attended.features))
            for attended, aggregation, head in zip(
                seen[self.first_side :], self.aggregations, self.side_heads, strict=True
            )
        )
        maps = class_activation(h_BCHW, self.head)
        return TrainingOutput(self.score(h_BCHW), sides, attribute_maps=maps)

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with the evidence of every cell and all spatial maps on the last grid."""
        seen, h_BCHW = self._stages(x_BCHW, len(self.blocks))
        logits, features = pooled_head(h_BCHW, self.head)
        side = h_BCHW.shape[-1]
        maps = [on_grid(a.spatial_maps, side) for a in seen if a.spatial_maps is not None]
        return Explanation(
            logits,
            class_activation(h_BCHW, self.head),
            torch.cat(maps, dim=1) if maps else None,
            features,
        )

    def branch_parameters(self) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Of each block: the parameters whose row i belongs to branch i (specialised loss).

        Raises:
            ValueError: the branches stand for no groups of attributes.
        """
        spatial = [m.spatial for m in self.attentions if isinstance(m, Attention)]
        if not self.groups or not spatial:
            raise ValueError(
                "this network has no branch for each group of attributes to specialise; use a"
                " vocabulary with groups and the module itself"
            )
        return [(s.conv.weight, s.norm.weight, s.norm.bias) for s in spatial]
