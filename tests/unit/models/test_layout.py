"""The order of a network's numbers in memory, and where the fast one is left alone."""

import pytest
import torch
from torch import nn

from scatterlens_models.training.layout import fitting_format, format_of


def halving(times: int) -> nn.Sequential:
    return nn.Sequential(*(nn.Conv2d(2, 2, 3, 2, 1) for _ in range(times)))


@pytest.mark.parametrize(
    ("times", "sides", "expected"),
    [
        (3, (16,), torch.channels_last),
        (5, (16,), torch.contiguous_format),  # 16 8 4 2 1: the last halves a single pixel
        (4, (32, 16), torch.channels_last),
        (5, (32, 16), torch.contiguous_format),  # frames of half the side come first
        (0, (16,), torch.channels_last),
    ],
)
def test_a_strided_convolution_of_one_pixel_is_laid_out_plainly(times, sides, expected):
    net = nn.Sequential(nn.Conv2d(2, 2, 1), halving(times))
    assert fitting_format(net, sides) is expected
    net.to(memory_format=expected)
    net(torch.rand(2, 2, 16, 16).contiguous(memory_format=expected)).sum().backward()


def test_the_order_of_weights_is_found_again():
    net = nn.Sequential(nn.Conv2d(2, 4, 3))
    for order in (torch.channels_last, torch.contiguous_format):
        assert format_of(net.to(memory_format=order)) is order
