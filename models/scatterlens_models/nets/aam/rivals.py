"""What stands in the place of the module in rows (b), (d) and (e) of Table 1.

All three keep the frame of Eq. 6: what they attend to is added to the features, then normalised.
"""

import torch
from torch import nn
from torch.nn import functional

from scatterlens_models.nets.aam.attention import Attended

SMALLEST_SIDE = 7
"""The soft mask goes no deeper than to a grid of this side."""


class NoAttention(nn.Module):
    """Row (b): the features as they are, normalised."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, f_BCHW: torch.Tensor) -> Attended:
        """Normalised features."""
        return Attended(self.norm(f_BCHW), None)


class SqueezeExcitation(nn.Module):
    """Row (e): one gate for each channel from its mean (Hu, Shen, Sun: CVPR 2018, Eq. 2-4)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def gates(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """(B, C), in (0, 1)."""
        hidden = torch.relu(self.reduce(f_BCHW.mean(dim=(2, 3))))
        return torch.sigmoid(self.expand(hidden))

    def forward(self, f_BCHW: torch.Tensor) -> Attended:
        """Features with what the gates let through added."""
        gated = f_BCHW * self.gates(f_BCHW)[:, :, None, None]
        return Attended(self.norm(f_BCHW + gated), None)


class PreActivated(nn.Module):
    """A bottleneck that normalises and rectifies before each convolution (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 4, 1)
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in (
            (channels, hidden, 1),
            (hidden, hidden, 3),
            (hidden, channels, 1),
        ):
            layers += [
                nn.BatchNorm2d(inputs),
                nn.ReLU(),
                nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            ]
        self.branch = nn.Sequential(*layers)

    def forward(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """The next features."""
        return f_BCHW + self.branch(f_BCHW)


class SoftMask(nn.Module):
    """Row (d): a mask for every channel and place, from a path down and up again.

    Wang et al., "Residual Attention Network", CVPR 2017, section 3.2: maximum pooling and residual
    units down, the same number of bilinear steps up with skips, two 1 x 1 convolutions and a
    logistic; the features leave as (1 + M) F. There is no trunk branch of its own here: the
    block's convolutions are the trunk.

    Args:
        channels: C.
        steps: how often the mask goes down; fewer where the grid would get smaller than 7 cells.
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(PreActivated(channels) for _ in range(steps))
        self.skips = nn.ModuleList(PreActivated(channels) for _ in range(steps - 1))
        self.up = nn.ModuleList(PreActivated(channels) for _ in range(steps - 1))
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                nn.BatchNorm2d(channels),
                nn.ReLU(),
                nn.Conv2d(channels, channels, 1, bias=False),
            ]
        self.gate = nn.Sequential(*layers, nn.Sigmoid())
        self.norm = nn.BatchNorm2d(channels)

    def mask(self, f_BCHW: torch.Tensor) -> torch.Tensor:
        """M, (B, C, H, W), in (0, 1)."""
        grids = [f_BCHW]
        for unit in self.down:
            if min(grids[-1].shape[-2:]) < 2 * SMALLEST_SIDE:
                break
            grids.append(unit(functional.max_pool2d(grids[-1], 3, stride=2, padding=1)))
        m_BCHW = grids.pop()
        for skip, unit in zip(self.skips, self.up, strict=True):
            if len(grids) < 2:
                break
            finer = grids.pop()
            m_BCHW = unit(_spread(m_BCHW, finer) + skip(finer))
        return self.gate(_spread(m_BCHW, f_BCHW))

    def forward(self, f_BCHW: torch.Tensor) -> Attended:
        """Features after the mask, and the mean of the mask over channels as its map."""
        mask = self.mask(f_BCHW)
        return Attended(self.norm(f_BCHW + f_BCHW * mask), mask.mean(dim=1, keepdim=True))


def _spread(m_BCHW: torch.Tensor, like_BCHW: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(
        m_BCHW, size=like_BCHW.shape[-2:], mode="bilinear", align_corners=False
    )
