"""Gradient maps against their equations in numpy, and against captum."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn

from scatterlens_models.nets import build
from scatterlens_models.nets.gradient_maps import MAPS, frozen_statistics, inner_maps
from scatterlens_models.nets.layers import PooledNet
from scatterlens_models.vocabulary import load_vocabulary


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def oracle(name: str, f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Eq. 1-5, one frame, channel and cell at a time."""
    batch, channels, height, width = f.shape
    maps = np.zeros((batch, height, width))
    for b in range(batch):
        for k in range(channels):
            slopes = [g[b, k, i, j] for i in range(height) for j in range(width)]
            if name == "a_ch":
                slopes = [max(slope, 0.0) for slope in slopes]
            weight = sum(slopes) / (height * width)
            for i in range(height):
                for j in range(width):
                    own = g[b, k, i, j] / channels if name == "a_px" else weight
                    maps[b, i, j] += own * f[b, k, i, j]
    return np.maximum(maps, 0)


@pytest.mark.parametrize("name", MAPS)
def test_maps_equal_the_equations(name):
    f, g = randn(3, 5, 4, 6, seed=1), randn(3, 5, 4, 6, seed=2)
    expected = oracle(name, f.numpy(), g.numpy())
    assert expected.max() > 0
    np.testing.assert_allclose(MAPS[name](f, g).numpy(), expected, rtol=0, atol=1e-12)


def test_channel_attention_is_nowhere_below_gradcam_on_rectified_features():
    f, g = randn(4, 7, 5, 5, seed=3).relu(), randn(4, 7, 5, 5, seed=4)
    assert torch.all(MAPS["a_ch"](f, g) >= MAPS["gradcam"](f, g) - 1e-15)
    for function in MAPS.values():
        assert function(f, g).min() >= 0


class SmallNet(PooledNet):
    """Two convolutions with batch normalisation behind each."""

    def __init__(self, attributes: int = 4) -> None:
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.high = nn.Sequential(
            nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.head = nn.Linear(8, attributes)

    def inner(self, x_BCHW):
        return self.low(x_BCHW)

    def last(self, f_BCHW):
        return self.high(f_BCHW)


@pytest.fixture
def net() -> SmallNet:
    torch.manual_seed(5)
    net = SmallNet().double().train()
    net(randn(6, 2, 8, 8, seed=6))  # running statistics that are not those of the batches below
    return net


def test_at_the_last_layer_the_maps_have_a_closed_form(net):
    x = randn(3, 2, 8, 8, seed=7)
    found = inner_maps(net, x, torch.eye(4, dtype=torch.float64)[[2, 0, 2]])["last"]
    with torch.no_grad(), frozen_statistics(net):
        h = net.last(net.inner(x))
    w = net.head.weight.detach()[[2, 0, 2]]
    cells = h.shape[2] * h.shape[3]
    cam = torch.einsum("bchw,bc->bhw", h, w).relu() / cells
    positive = torch.einsum("bchw,bc->bhw", h, w.relu()) / cells
    torch.testing.assert_close(found["gradcam"], cam, rtol=0, atol=1e-15)
    torch.testing.assert_close(found["a_ch"], positive, rtol=0, atol=1e-15)
    torch.testing.assert_close(found["a_px"], cam / h.shape[1], rtol=0, atol=1e-15)


@pytest.mark.parametrize("layer", ["inner", "last"])
def test_gradcam_is_that_of_captum(net, layer):
    x = randn(3, 2, 8, 8, seed=8)
    found = inner_maps(net, x, torch.eye(4, dtype=torch.float64)[[1, 3, 0]])[layer]["gradcam"]

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x_BCHW):
            return self.net(x_BCHW).logits

    net.eval()
    cam = LayerGradCam(Logits(), {"inner": net.low, "last": net.high}[layer])
    expected = cam.attribute(x, target=[1, 3, 0], relu_attributions=True).detach()[:, 0]
    assert float(expected.max()) > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_the_score_may_be_a_sum_of_logits_and_the_gradient_is_numerical(net):
    x, weights = randn(1, 2, 4, 4, seed=9), randn(1, 4, seed=10)
    found = inner_maps(net, x, weights)
    with frozen_statistics(net), torch.no_grad():
        f = net.inner(x)
        slopes = torch.zeros_like(f)
        for cell in range(f.numel()):
            step = torch.zeros_like(f).flatten()
            step[cell] = 1e-6
            step = step.view_as(f)
            up, down = (net.score(net.last(f + sign * step)) for sign in (1, -1))
            slopes.view(-1)[cell] = ((up - down) * weights).sum() / 2e-6
    for name, function in MAPS.items():
        torch.testing.assert_close(found["inner"][name], function(f, slopes), rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", ["aam", "fashion3_aam"])
def test_the_maps_of_a_frame_do_not_depend_on_its_neighbours(method):
    net = build(method, load_vocabulary("aam20"), 0.0625, poolings=3).double().train()
    x = randn(3, 2, 16, 16, seed=11).abs()
    target = torch.eye(20, dtype=torch.float64)[[3, 4, 5]]
    together = inner_maps(net, x, target)
    for frame in range(3):
        alone = inner_maps(net, x[frame : frame + 1], target[frame : frame + 1])
        for layer, maps in alone.items():
            for name, map_BHW in maps.items():
                peak = float(map_BHW.max())
                torch.testing.assert_close(
                    together[layer][name][frame], map_BHW[0], rtol=0, atol=1e-12 * peak
                )


def test_modes_buffers_and_gradients_stay_as_they_were(net):
    net.high.eval()
    modes = [module.training for module in net.modules()]
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    inner_maps(net, randn(2, 2, 8, 8), torch.eye(4, dtype=torch.float64)[:2])
    assert [module.training for module in net.modules()] == modes
    for name, value in net.named_buffers():
        assert torch.equal(value, buffers[name])
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_modes_come_back_after_an_error(net):
    with pytest.raises(RuntimeError), frozen_statistics(net):
        net(randn(1, 3, 8, 8))
    assert all(module.training for module in net.modules())


def test_a_layer_that_does_not_exist_is_refused(net):
    with pytest.raises(ValueError, match="inner, last"):
        inner_maps(net, randn(1, 2, 8, 8), torch.ones(1, 4), layers=("first",))
