"""In which order a network's numbers lie in memory: the fast one, unless a library fails at it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def fitting_format(
    net: nn.Module, sides: tuple[int, ...], channels: int = 2
) -> torch.memory_format:
    """`channels_last`, about a third faster, unless a strided convolution sees a single pixel.

    With few channels the library of convolutions has crashed the process there. `sides` are those
    of the frames (square, pixels) that the network will see.
    """
    smallest: list[int] = []
    with _watched(net, smallest), torch.no_grad():
        was_training = net.training
        net.eval()
        weight = next(net.parameters())
        for side in sides:
            frames = torch.zeros(1, channels, side, side, dtype=weight.dtype, device=weight.device)
            net(frames)
        net.train(was_training)
    return torch.contiguous_format if min(smallest, default=2) < 2 else torch.channels_last


def format_of(net: nn.Module) -> torch.memory_format:
    """In which order the weights of a network lie."""
    last = any(
        weight.dim() == 4
        and weight.is_contiguous(memory_format=torch.channels_last)
        and not weight.is_contiguous()
        for weight in net.parameters()
    )
    return torch.channels_last if last else torch.contiguous_format


@contextmanager
def _watched(net: nn.Module, smallest: list[int]) -> Iterator[None]:
    def look(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        smallest.append(min(inputs[0].shape[-2:]))

    hooks = [
        module.register_forward_pre_hook(look)
        for module in net.modules()
        if isinstance(module, nn.Conv2d) and max(module.stride) > 1
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
