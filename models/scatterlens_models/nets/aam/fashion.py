"""The three small networks of Table 3, plain and with the module.

Each convolution is 3 x 3 with batch normalisation and ReLU; after each of two stages comes the
module (where there is one), then maximum pooling; then global average pooling and one head. Ten
exclusive classes: `losses.class_loss` trains main and side heads by cross-entropy.
"""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from scatterlens_models.nets.aam.attention import Aggregation, Attended, Attention
from scatterlens_models.nets.layers import (
    Explanation,
    PooledNet,
    TrainingOutput,
    check_side,
    class_activation,
    conv_norm,
    initialise,
    on_grid,
    pooled_head,
    scaled,
    stem,
)

STAGES: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    2: ((64,), (128,)),
    3: ((64,), (128, 256)),
    5: ((64, 128), (256, 256, 256)),
}
"""Channels of the convolutions of both stages, by the number of convolutions."""
BRANCHES = 4


class FashionNet(PooledNet):
    """Two stages of convolutions, each ended by maximum pooling.

    Args:
        layers: number of convolutions.
        attributes: classes, or attributes A.
        attention: whether a module with its side output stands after each stage.
        width: factor on the channels.
        in_channels: channels of the image.
        reduction: r, divisor of the hidden size in the channel attention.
        words: K, number of visual words.

    Raises:
        ValueError: channels that do not divide into four branches.
    """

    def __init__(
        self,
        layers: Literal[2, 3, 5],
        attributes: int = 10,
        attention: bool = False,
        width: float = 1.0,
        in_channels: int = 1,
        reduction: int = 16,
        words: int = 64,
    ) -> None:
        super().__init__()
        self.stem, channels = stem(in_channels)
        self.stages = nn.ModuleList()
        self.attentions = nn.ModuleList()
        self.aggregations = nn.ModuleList()
        self.side_heads = nn.ModuleList()
        for plan in STAGES[layers]:
            convolutions: list[nn.Module] = []
            for base in plan:
                convolutions.append(conv_norm(channels, scaled(base, width)))
                channels = scaled(base, width)
            self.stages.append(nn.Sequential(*convolutions))
            if attention:
                self.attentions.append(Attention(channels, BRANCHES, reduction))
                self.aggregations.append(Aggregation(channels, words))
                self.side_heads.append(nn.Linear(words, attributes))
        self.head = nn.Linear(channels, attributes)
        if attention:
            self.attention_names = tuple(
                f"stage{stage + 1}.branch{branch + 1}"
                for stage in range(len(self.stages))
                for branch in range(BRANCHES)
            )
        self.apply(initialise)

    def _stage(self, index: int, x_BCHW: torch.Tensor) -> tuple[Attended, torch.Tensor]:
        """Features of a stage as its module leaves them, and after pooling."""
        f_BCHW = self.stages[index](x_BCHW)
        attended = self.attentions[index](f_BCHW) if self.attentions else Attended(f_BCHW, None)
        # The plain features are rectified already, so this ReLU changes only the module's.
        return attended, functional.max_pool2d(torch.relu(attended.features), 2)

    def inner(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Features after the first stage."""
        check_side(x_BCHW, len(self.stages))
        return self._stage(0, self.stem(x_BCHW))[1]

    def last(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Features after the second stage."""
        return self._stage(1, f_BCHW)[1]

    def _run(self, x_BCHW: torch.Tensor) -> tuple[list[Attended], torch.Tensor]:
        check_side(x_BCHW, len(self.stages))
        x_BCHW = self.stem(x_BCHW)
        attended = []
        for index in range(len(self.stages)):
            seen, x_BCHW = self._stage(index, x_BCHW)
            attended.append(seen)
        return attended, x_BCHW

    def forward(self, x_BCHW: torch.Tensor) -> TrainingOutput:
        """Main and side logits."""
        attended, h_BCHW = self._run(x_BCHW)
        sides = tuple(
            head(aggregation(seen.features))
            for seen, aggregation, head in zip(
                attended if self.attentions else (),
                self.aggregations,
                self.side_heads,
                strict=True,
            )
        )
        return TrainingOutput(self.score(h_BCHW), sides)

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with the evidence of every cell and the module's maps."""
        attended, h_BCHW = self._run(x_BCHW)
        logits, features = pooled_head(h_BCHW, self.head)
        side = h_BCHW.shape[-1]
        maps = [on_grid(a.spatial_maps, side) for a in attended if a.spatial_maps is not None]
        return Explanation(
            logits,
            class_activation(h_BCHW, self.head),
            torch.cat(maps, dim=1) if maps else None,
            features,
        )
