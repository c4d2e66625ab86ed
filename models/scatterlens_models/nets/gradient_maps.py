"""Maps of where a score comes from, by its gradient at any layer.

Grad-CAM: Selvaraju et al. (ICCV 2017), Eq. 1-2. A_ch and A_px: Wang et al., "Sharpen Focus:
Learning with Attention Separability and Consistency" (ICCV 2019), Eq. 3-5; equation numbers are
those of its first version, "Reducing Visual Confusion with Discriminative Attention".

Legend: B frames, K channels, H W grid of the layer, A attributes.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from scatterlens_models.nets.layers import Net


def gradcam(f_BKHW: torch.Tensor, g_BKHW: torch.Tensor) -> torch.Tensor:
    """Grad-CAM (Eq. 1-2): channels weighted by the mean of their gradient, rectified.

    Args:
        f_BKHW: features of a layer.
        g_BKHW: gradient of a score (before any logistic or softmax) with respect to them.

    Returns:
        maps >= 0, (B, H, W).
    """
    return _weighted(g_BKHW.mean(dim=(2, 3)), f_BKHW)


def channel_attention_map(f_BKHW: torch.Tensor, g_BKHW: torch.Tensor) -> torch.Tensor:
    """A_ch (Eq. 3-4): as Grad-CAM, but only cells where a channel helps count for its weight.

    Background cells, most of a frame, pull the mean of Eq. 2 below zero. Arguments and result as
    for `gradcam`.
    """
    return _weighted(torch.relu(g_BKHW).mean(dim=(2, 3)), f_BKHW)


def pixel_attention_map(f_BKHW: torch.Tensor, g_BKHW: torch.Tensor) -> torch.Tensor:
    """A_px (Eq. 5): every cell with its own gradient, mean over channels, rectified.

    Arguments and result as for `gradcam`.
    """
    return torch.relu((g_BKHW * f_BKHW).mean(dim=1))


def _weighted(weights_BK: torch.Tensor, f_BKHW: torch.Tensor) -> torch.Tensor:
    return torch.relu((weights_BK[:, :, None, None] * f_BKHW).sum(dim=1))


MAPS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gradcam": gradcam,
    "a_ch": channel_attention_map,
    "a_px": pixel_attention_map,
}
"""Every kind of map by its name: (features, gradient) to maps (B, H, W)."""


@contextmanager
def frozen_statistics(net: nn.Module) -> Generator[None]:
    """Run a network in evaluation mode, then give every module back the mode that it had.

    Batch normalisation over the batch couples the frames: the gradient of the sum of a batch's
    scores would be no frame's own gradient. With running statistics it is, for every layer.
    """
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def inner_maps(
    net: Net,
    x_BCHW: torch.Tensor,
    target_BA: torch.Tensor,
    layers: Sequence[str] = ("inner", "last"),
) -> dict[str, dict[str, torch.Tensor]]:
    """All maps of a weighted sum of logits, by autograd, with frozen statistics.

    Args:
        net: network; its parameters, buffers, gradients and modes stay as they are.
        x_BCHW: prepared frames.
        target_BA: weight of each logit in the score of each frame; one-hot for one attribute.
        layers: some of `inner` and `last`, see `Net`.

    Returns:
        by layer, then by the names in `MAPS`: detached maps (B, h, w) on that layer's grid.

    Raises:
        ValueError: a layer that does not exist.
    """
    if unknown := set(layers) - {"inner", "last"}:
        raise ValueError(f"no layer {sorted(unknown)}; there are inner, last")
    with frozen_statistics(net), torch.enable_grad():
        f_BKHW = net.inner(x_BCHW).detach().requires_grad_()
        h_BKHW = net.last(f_BKHW)
        features = {"inner": f_BKHW, "last": h_BKHW}
        score = (net.score(h_BKHW) * target_BA).sum()
        gradients = torch.autograd.grad(score, [features[layer] for layer in layers])
    return {
        layer: {name: function(features[layer].detach(), g_BKHW) for name, function in MAPS.items()}
        for layer, g_BKHW in zip(layers, gradients, strict=True)
    }
