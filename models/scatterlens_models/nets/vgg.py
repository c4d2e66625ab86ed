"""Plain VGG-16 with global average pooling: the baseline and the twin of every attention net.

Simonyan & Zisserman (2015), configuration D, with batch normalisation and without the fully
connected layers; row (a) of Table 1 in Guan et al. (WACV 2020).
"""

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


class VGG(Net):
    """Five convolution blocks, global average pooling, one linear head.

    Args:
        attributes: number of attributes A.
        width: factor on the channels of VGG-16.
        in_channels: channels of the prepared frame.
        poolings: how many of the four gaps between blocks halve the grid, counted from the first.
    """

    def __init__(
        self, attributes: int, width: float = 1.0, in_channels: int = 2, poolings: int = 4
    ) -> None:
        super().__init__()
        channels = scaled_channels(width)
        self.stem, first = stem(in_channels)
        inputs = (first, *channels[:-1])
        self.blocks = nn.ModuleList(
            conv_stack(c_in, c_out, layers)
            for c_in, c_out, layers in zip(inputs, channels, VGG16_LAYERS, strict=True)
        )
        self.poolings = poolings
        self.head = nn.Linear(channels[-1], attributes)
        self.apply(initialise)

    def last_map(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Features before pooling, (B, C, h, w)."""
        x_BCHW = self.stem(x_BCHW)
        for stage, block in enumerate(self.blocks):
            x_BCHW = block(x_BCHW)
            if stage < self.poolings:
                x_BCHW = functional.max_pool2d(x_BCHW, 2)
        return x_BCHW

    def forward(self, x_BCHW: torch.Tensor) -> TrainingOutput:
        """Logits for training."""
        logits, _ = pooled_head(self.last_map(x_BCHW), self.head)
        return TrainingOutput(logits, ())

    def explain(self, x_BCHW: torch.Tensor) -> Explanation:
        """Logits with the evidence of every cell."""
        h_BCHW = self.last_map(x_BCHW)
        logits, features = pooled_head(h_BCHW, self.head)
        return Explanation(logits, class_activation(h_BCHW, self.head), None, features)


def build_vgg(vocabulary: Vocabulary, width: float, in_channels: int, poolings: int) -> VGG:
    """Plain VGG-16 for a vocabulary."""
    return VGG(len(vocabulary.ids), width, in_channels, poolings)
