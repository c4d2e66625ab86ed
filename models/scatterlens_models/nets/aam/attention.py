"""The module: channel gates, one spatial map for each branch, and the histogram of visual words.

Where the paper is silent:
- the two pooled paths of the channel attention are summed before batch normalisation;
- pooling over channels is stacked as (maximum, mean), as in CBAM (Woo et al. 2018);
- maxima share their gradient between ties (`amax`).
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional


class Attended(NamedTuple):
    """What the attention hands on."""

    features: torch.Tensor
    """(B, C, H, W)."""
    spatial_maps: torch.Tensor | None
    """One map for each branch, (B, P, H, W), in (0, 1); None where it attends to no place."""


class ChannelAttention(nn.Module):
    """Eq. 4 and 7: one gate in (0, 1) for each channel, batch normalised before the logistic."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.reduce = nn.Linear(channels, hidden)
        self.expand = nn.Linear(hidden, channels)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """Gates (B, C).

        Raises:
            ValueError: a batch of one frame in training, which batch normalisation cannot scale.
        """
        if self.training and f_BCHW.shape[0] == 1:
            raise ValueError(
                "a batch of one frame cannot be normalised in training; take two frames or more,"
                " or call eval()"
            )
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
