"""Patch networks against the equations of their papers, written out in numpy with plain loops."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from scatterlens_models.evaluation.patches import patch_rectangles
from scatterlens_models.losses.patches import equation_10, margin_loss
from scatterlens_models.nets.layers import TrainingOutput
from scatterlens_models.nets.loss_attention import (
    CAPSULE_POOLINGS,
    PATCH_BACKBONES,
    POOLINGS,
    CapsulePatchNet,
    ConvPatchNet,
    RoutingPatchNet,
    build_patch_net,
)
from scatterlens_models.nets.loss_attention.attention import (
    FLAT,
    ScoredWeights,
    capsule_weights,
    loss_weights,
)
from scatterlens_models.nets.loss_attention.capsules import CapsuleLayers
from scatterlens_models.nets.loss_attention.grid import cell_count, patch_count, spread
from scatterlens_models.nets.loss_attention.routing import route, squash
from scatterlens_models.training.export import ServedNet, write_onnx

WIDTH = 1 / 16
SHORTCUTS = 270_336
"""Parameters of 128 shortcut convolutions 32 -> 64 that the paper's code has and nothing uses."""


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def vary(net: torch.nn.Module, seed: int = 0) -> Any:
    """The network with biases, statistics and a head that make every term count."""
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
        if name.endswith("running_var"):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    for name, parameter in net.named_parameters():
        if name.endswith("bias") or name.startswith(("head", "scored", "transform")):
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return net.eval()


def eq5(p: np.ndarray, xi: float, reference: int) -> np.ndarray:
    """Eq. 5a and 5b of one frame, p (M, K)."""
    patches, classes = p.shape
    norms = [math.sqrt(sum(p[m, k] ** 2 for k in range(classes))) for m in range(patches)]
    shares = [norm / sum(norms) for norm in norms]
    kept = [max(share - xi / reference, 0.0) for share in shares]
    return np.array([k / sum(kept) for k in kept])


def eq6(p: np.ndarray, xi: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eq. 6 of one frame, p (C, M, K): weights of patches and of capsules, and the logits."""
    channels, patches, classes = p.shape
    norms = np.zeros((channels, patches))
    for c in range(channels):
        for m in range(patches):
            norms[c, m] = math.sqrt(sum(p[c, m, k] ** 2 for k in range(classes)))
    shares = norms / norms.sum()
    kept = [max(sum(shares[:, m]) - xi / patches, 0.0) for m in range(patches)]
    alpha = np.array([k / sum(kept) for k in kept])
    masked = np.array(
        [[shares[c, m] * (alpha[m] > 0) for m in range(patches)] for c in range(channels)]
    )
    masked /= masked.sum()
    z = np.zeros(classes)
    for c in range(channels):
        for m in range(patches):
            z += masked[c, m] * p[c, m]
    return alpha, masked, z


@pytest.mark.parametrize("xi", [0.0, 0.1, 0.7])
@pytest.mark.parametrize(
    ("patches", "classes", "reference"), [(36, 10, None), (5, 1, 40), (1, 3, None)]
)
def test_weights_equal_equation_5(xi, patches, classes, reference):
    p = normal(3, patches, classes, seed=patches) ** 3
    found = loss_weights(p, xi, reference).numpy()
    for frame in range(3):
        expected = eq5(p[frame].numpy(), xi, reference or patches)
        np.testing.assert_allclose(found[frame], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("xi", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("shape", [(2, 4, 9, 3), (1, 1, 1, 1), (2, 64, 36, 10)])
def test_weights_and_logits_equal_equation_6(xi, shape):
    p = normal(*shape, seed=shape[2]) * normal(*shape[:1], 1, shape[2], 1, seed=7).abs()
    found = capsule_weights(p, xi)
    logits = (found.capsules.unsqueeze(3) * p).sum(dim=(1, 2)).numpy()
    for frame in range(shape[0]):
        alpha, capsules, z = eq6(p[frame].numpy(), xi)
        np.testing.assert_allclose(found.patches[frame].numpy(), alpha, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.capsules[frame].numpy(), capsules, rtol=0, atol=1e-9)
        np.testing.assert_allclose(logits[frame], z, rtol=0, atol=1e-9)


def test_the_threshold_of_capsules_masks_but_is_not_taken_off_them():
    p = normal(2, 8, 16, 5, seed=3) * normal(2, 1, 16, 1, seed=4) ** 2
    found = capsule_weights(p, 0.5)
    assert (found.patches == 0).any()
    assert torch.equal(found.capsules.sum(dim=1) > 0, found.patches > 0)
    assert float((found.capsules.sum(dim=1) - found.patches).abs().max()) > 1e-3


@pytest.mark.parametrize("gated", [False, True])
def test_scored_weights_equal_the_equations_of_ilse_et_al(gated):
    module = vary(ScoredWeights(6, WIDTH, gated)).double()
    for parameter in module.parameters():
        parameter.data.copy_(normal(*parameter.shape, seed=parameter.numel()))
    h = normal(2, 7, 6, seed=1)
    p = {name: value.numpy() for name, value in module.state_dict().items()}
    found = module(h).detach().numpy()
    for frame in range(2):
        scores = []
        for m in range(7):
            hidden = np.tanh(p["value.weight"] @ h[frame, m].numpy() + p["value.bias"])
            if gated:
                u = p["gate.weight"] @ h[frame, m].numpy() + p["gate.bias"]
                hidden = hidden / (1 + np.exp(-u))
            scores.append(math.exp(float(p["score.weight"][0] @ hidden + p["score.bias"][0])))
        expected = np.array(scores) / sum(scores)
        np.testing.assert_allclose(found[frame], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_frame_is_the_weighted_mean_of_its_patches(pooling):
    net = vary(ConvPatchNet(pooling, "vgg11", 4, WIDTH, 2, halvings=1)).double()
    x = normal(2, 2, 64, 64, seed=2)
    with torch.no_grad():
        h = net.last(net.inner(x))
        output = net(x)
        features = net.explain(x).features.numpy()
    grid = h.shape[2:]
    assert tuple(grid) == (6, 6)
    weight, bias = net.head.weight.detach().numpy(), net.head.bias.detach().numpy()
    for frame in range(2):
        z = np.zeros(32)
        for m in range(36):
            h_m = h[frame, :, m // 6, m % 6].numpy()
            p_m = output.patch_logits[frame, m].numpy()
            np.testing.assert_allclose(p_m, weight @ h_m + bias, rtol=0, atol=1e-9)
            z += output.patch_weights[frame, m].item() * h_m
        np.testing.assert_allclose(features[frame], z, rtol=0, atol=1e-9)
        np.testing.assert_allclose(
            output.logits[frame].numpy(), weight @ z + bias, rtol=0, atol=1e-9
        )
    if pooling == "loss":
        p = output.patch_logits[1].numpy()
        np.testing.assert_allclose(output.patch_weights[1].numpy(), eq5(p, 0.1, 36), atol=1e-9)
    if pooling == "mean":
        np.testing.assert_allclose(output.patch_weights.numpy(), 1 / 36, atol=1e-12)


def test_the_threshold_may_refer_to_the_cells_before_the_patch_layer():
    x = normal(1, 3, 32, 32)
    net = vary(ConvPatchNet("loss", "vgg11", 4, WIDTH, 3, xi=1.0)).double()
    net.threshold_reference = "features"
    output = net(x)
    expected = eq5(output.patch_logits[0].detach().numpy(), 1.0, 32 * 32)
    np.testing.assert_allclose(output.patch_weights[0].detach().numpy(), expected, atol=1e-9)
    net.threshold_reference = "patches"
    assert (net(x).patch_weights == 0).any()


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("side", [12, 32, 56, 64])
def test_the_cells_before_the_patch_layer_are_known_from_the_patches(side, stride):
    count = patch_count(side, stride)
    assert cell_count((count, count), stride) == side**2


def routing_oracle(u: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Procedure 1 of Sabour et al. for one frame, u (I, K, D): couplings and sums."""
    inputs, outputs, dimensions = u.shape
    b = np.zeros((inputs, outputs))
    c, s = np.zeros_like(b), np.zeros((outputs, dimensions))
    for _ in range(iterations):
        c = np.zeros_like(b)
        for i in range(inputs):
            c[i] = np.exp(b[i]) / sum(np.exp(b[i]))
        s = np.zeros((outputs, dimensions))
        for j in range(outputs):
            for i in range(inputs):
                s[j] += c[i, j] * u[i, j]
        v = np.zeros_like(s)
        for j in range(outputs):
            square = float(s[j] @ s[j])
            v[j] = square / (1 + square) * s[j] / math.sqrt(square)
        for i in range(inputs):
            for j in range(outputs):
                b[i, j] += u[i, j] @ v[j]
    return c, s


@pytest.mark.parametrize("iterations", [1, 3])
def test_routing_equals_its_procedure(iterations):
    u = normal(2, 3, 4, 5, 6) * 0.3
    found = route(u, iterations)
    for frame in range(2):
        c, s = routing_oracle(u[frame].flatten(0, 1).numpy(), iterations)
        np.testing.assert_allclose(found.couplings[frame].flatten(0, 1), c, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.sums[frame], s, rtol=0, atol=1e-9)


def test_gradients_of_routing_flow_through_the_last_sum_alone():
    u = (normal(1, 2, 3, 4, 5) * 0.5).requires_grad_()
    routed = route(u)
    towards = normal(1, 4, 5, seed=9)
    (routed.sums * towards).sum().backward()
    expected = routed.couplings.unsqueeze(4) * towards[:, None, None]
    torch.testing.assert_close(u.grad, expected, rtol=0, atol=1e-12)


def test_the_logit_of_routing_is_that_of_the_capsules_length():
    net = vary(RoutingPatchNet("vgg11", 3, WIDTH, 3)).double()
    h = net.last(net.inner(normal(2, 3, 32, 32)))
    u = net.predict(h)
    w = net.transform.detach().numpy()
    capsule = h.detach().unflatten(1, (128, -1)).flatten(3)[1, :, 2, 17].numpy()
    np.testing.assert_allclose(
        u[1, 2, 17].detach().numpy(), np.einsum("d,dke->ke", capsule, w[2]), atol=1e-9
    )
    lengths = squash(route(u).sums).norm(dim=2)
    torch.testing.assert_close(torch.sigmoid(net.score(h)), lengths, rtol=0, atol=1e-9)


def test_capsule_layers_equal_parallel_convolutions():
    layers = vary(CapsuleLayers(5, WIDTH, 4)).double()
    layers.offset.data.copy_(normal(1, 2, 1, 1) * 0.1)
    f = normal(2, 5, 17, 17).abs()
    found = layers(f).detach()
    conv, norm = layers.first[0], layers.first[1]

    def normed(x, norm, own):
        shape = (1, -1, 1, 1)
        scale = norm.weight[own] / (norm.running_var[own] + norm.eps).sqrt()
        return (x - norm.running_mean[own].reshape(shape)) * scale.reshape(shape) + norm.bias[
            own
        ].reshape(shape)

    square = torch.zeros(2, 2, 3, 3, dtype=torch.float64)
    for d in range(16):
        own = slice(2 * d, 2 * d + 2)
        out = torch.nn.functional.conv2d(f, conv.weight[own], conv.bias[own], stride=4)
        square += torch.relu(normed(out, norm, own)) ** 2
    first = torch.relu(square.sqrt() - layers.offset)
    conv, norm = layers.second[0], layers.second[1]
    for d in (0, 1, 127):
        own = slice(4 * d, 4 * d + 4)
        out = torch.nn.functional.conv2d(first, conv.weight[own], conv.bias[own])
        expected = torch.relu(normed(out, norm, own)).detach()
        torch.testing.assert_close(found[:, own], expected, rtol=0, atol=1e-9)


def test_weights_are_shares_and_fall_to_exactly_zero_below_the_threshold():
    p = normal(8, 36, 10, seed=5) * (normal(8, 36, 1, seed=6) ** 2 + 0.1)
    plain = loss_weights(p, 0.0)
    norms = p.norm(dim=2)
    torch.testing.assert_close(plain, norms / norms.sum(dim=1, keepdim=True), rtol=0, atol=1e-9)
    found = loss_weights(p, 0.4)
    assert (found >= 0).all()
    torch.testing.assert_close(found.sum(dim=1), torch.ones(8).double(), rtol=0, atol=1e-12)
    below = plain <= 0.4 / 36
    assert below.any()
    assert torch.equal(found == 0, below)


def test_weights_do_not_see_scale_or_direction_and_follow_their_patches():
    p = normal(4, 20, 6, seed=7)
    found = loss_weights(p, 0.3)
    rotation = torch.linalg.qr(normal(6, 6, seed=8))[0]
    order = torch.randperm(20, generator=torch.Generator().manual_seed(9))
    for other in (3.5 * p, p @ rotation):
        torch.testing.assert_close(loss_weights(other, 0.3), found, rtol=0, atol=1e-9)
    torch.testing.assert_close(loss_weights(p[:, order], 0.3), found[:, order], rtol=0, atol=1e-12)
    capsules = p.unflatten(1, (4, 5))
    same = capsule_weights(capsules[:, :, [3, 1, 4, 0, 2]], 0.3)
    torch.testing.assert_close(
        same.patches, capsule_weights(capsules, 0.3).patches[:, [3, 1, 4, 0, 2]], rtol=0, atol=1e-12
    )


def test_where_the_threshold_leaves_nothing_all_patches_weigh_the_same():
    equal: Any = torch.ones(1, 7, 3, dtype=torch.float64, requires_grad=True)
    weights = loss_weights(equal, 1.0)
    np.testing.assert_allclose(weights.detach().numpy(), 1 / 7, atol=1e-12)
    weights[0, 0].backward()
    assert torch.isfinite(equal.grad).all()
    assert FLAT <= 1e-6
    capsules = capsule_weights(torch.zeros(1, 2, 7, 3), 1.0)
    np.testing.assert_allclose(capsules.patches.numpy(), 1 / 7, atol=1e-6)
    np.testing.assert_allclose(capsules.capsules.numpy(), 1 / 14, atol=1e-6)


def make(kind: str, attributes: int = 3, **options) -> Any:
    if kind in POOLINGS:
        return ConvPatchNet(kind, "vgg11", attributes, WIDTH, 3, **options)
    net = {"capsules": CapsulePatchNet, "routing": RoutingPatchNet}[kind]
    return net("vgg11", attributes, WIDTH, 3, **options)


KINDS = (*POOLINGS, "capsules", "routing")


def loss_of(output: TrainingOutput, labels: torch.Tensor) -> torch.Tensor:
    if output.patch_logits is None:
        return margin_loss(output.logits, labels)
    return equation_10(output, labels, 0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dark", ["all", "one patch"])
@pytest.mark.parametrize("kind", KINDS)
def test_features_of_zero_have_finite_loss_and_gradients(kind, dark, dtype):
    net = make(kind).to(dtype)
    shape = net.last(torch.zeros(2, net.channels, 12, 12, dtype=dtype)).shape
    h: Any = torch.rand(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
    h[:, :, 0, 0] = 0
    if dark == "all":
        h.zero_()
    h.requires_grad_()
    labels = torch.tensor([[1, 0, -1], [0, 0, 0]], dtype=torch.int8)
    if kind == "routing":
        output = TrainingOutput(net.score(h))
    elif kind == "capsules":
        _, p, weights = net.decide(h)
        output = TrainingOutput(net.score(h), (), p.sum(dim=1), weights.patches)
    else:
        decided = net.decide(h)
        output = TrainingOutput(decided.logits, (), decided.patch_logits, decided.patch_weights)
    loss = loss_of(output, labels)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(h.grad).all()
    for parameter in net.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attributes", [1, 3])
def test_one_frame_trains_like_many(kind, attributes):
    net = make(kind, attributes)
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    output = net.train()(x[:1])
    loss_of(output, torch.ones(1, attributes, dtype=torch.int8)).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    net.eval()
    with torch.no_grad():
        together, alone = net(x), net(x[:1])
    assert alone.logits.shape == (1, attributes)
    torch.testing.assert_close(together.logits[:1], alone.logits)
    if alone.patch_logits is not None:
        assert alone.patch_logits.shape == (1, 36, attributes)
        assert alone.patch_weights.shape == (1, 36)


@pytest.mark.parametrize("kind", ["loss", "capsules"])
def test_a_frame_of_one_patch_is_that_patch(kind):
    net = vary(make(kind)).double()
    output = net(normal(2, 3, 9, 9))
    assert output.patch_weights.tolist() == [[1.0], [1.0]]
    if kind == "loss":
        torch.testing.assert_close(output.logits, output.patch_logits[:, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("pooling", ["loss", "gated"])
def test_attention_stays_in_single_precision_under_autocast(pooling):
    net = vary(make(pooling))
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        output = net(torch.rand(2, 3, 32, 32))
    assert output.patch_weights.dtype == output.logits.dtype == torch.float32
    torch.testing.assert_close(output.patch_weights.sum(dim=1), torch.ones(2))
    mean = (output.patch_weights.unsqueeze(2) * output.patch_logits).sum(dim=1)
    torch.testing.assert_close(output.logits, mean)


@pytest.mark.parametrize("backbone", PATCH_BACKBONES)
@pytest.mark.parametrize("poolings", [0, 1, 2, 4])
def test_maps_lie_on_the_backbones_grid_and_sum_to_the_logits(backbone, poolings):
    net = vary(build_patch_net("loss", backbone, 3, WIDTH, 2, poolings)).double()
    side = 24 if poolings < 3 else 96
    with torch.no_grad():
        found = net.explain(normal(2, 2, side, side).abs())
    cells = side // 2 ** max(poolings - 1, 0)
    assert found.attribute_maps.shape == (2, 3, cells, cells)
    assert found.attention_maps.shape == (2, 1, cells, cells)
    assert net.additive
    torch.testing.assert_close(
        found.attribute_maps.sum(dim=(2, 3)), found.logits - net.bias(), rtol=0, atol=1e-9
    )
    torch.testing.assert_close(
        found.attention_maps.sum(dim=(1, 2, 3)), torch.ones(2).double(), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_explained_is_what_is_scored(kind):
    net = vary(make(kind, halvings=1, patch_stride=2)).double()
    x = normal(2, 3, 32, 32).abs()
    with torch.no_grad():
        found, output = net.explain(x), net(x)
        sums = found.attribute_maps.sum(dim=(2, 3))
    torch.testing.assert_close(found.logits, output.logits, rtol=0, atol=1e-12)
    if kind == "routing":
        assert not net.additive
        assert net.bias().tolist() == [0, 0, 0]
        torch.testing.assert_close(2 * sums.log(), found.logits, rtol=0, atol=1e-9)
    else:
        torch.testing.assert_close(sums, found.logits - net.bias(), rtol=0, atol=1e-9)
    assert (found.attention_maps is None) == (net.attention_names == ())
    assert net.attention_names == (() if kind in ("mean", "routing") else ("patch_weights",))


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("halvings", [0, 2])
def test_a_patch_shows_at_the_centre_of_its_rectangle_and_within_it(stride, halvings):
    side, cell = 23, 2**halvings
    count = patch_count(side, stride)
    one_hot = torch.eye(count**2, dtype=torch.float64).reshape(-1, 1, count, count)
    maps = spread(one_hot, (side, side), stride)[:, 0].numpy()
    rectangles = patch_rectangles((count, count), stride, halvings)
    centres = (np.arange(side) + 0.5) * cell
    for found, (y0, x0, y1, x1) in zip(maps, rectangles, strict=True):
        assert found.sum() == pytest.approx(1, abs=1e-12)
        assert found.sum(axis=1) @ centres == pytest.approx((y0 + y1) / 2, abs=1e-9)
        assert found.sum(axis=0) @ centres == pytest.approx((x0 + x1) / 2, abs=1e-9)
        assert found[y0 // cell : y1 // cell, x0 // cell : x1 // cell].sum() == pytest.approx(1)


def test_a_tent_of_stride_two_is_a_quarter_a_half_a_quarter():
    found = spread(torch.ones(1, 1, 1, 1), (10, 9), 2)[0, 0]
    assert found.sum(dim=1).tolist() == [0, 0, 0, 0.25, 0.5, 0.25, 0, 0, 0, 0]
    assert found.sum(dim=0).tolist() == [0, 0, 0, 0.25, 0.5, 0.25, 0, 0, 0]


@pytest.mark.parametrize(
    ("net", "count"),
    [
        (lambda: ConvPatchNet("loss", "vgg11", 10, in_channels=3), 30_728_970),
        (lambda: ConvPatchNet("mean", "resnet18", 10, in_channels=3), 32_671_818),
        (lambda: ConvPatchNet("attention", "vgg11", 10, in_channels=3), 30_728_970 + 65_793),
        (lambda: ConvPatchNet("gated", "vgg11", 10, in_channels=3), 30_728_970 + 131_457),
        (lambda: CapsulePatchNet("vgg11", 10, in_channels=3), 31_019_562 - SHORTCUTS),
        (lambda: CapsulePatchNet("resnet18", 10, in_channels=3), 32_962_410 - SHORTCUTS),
    ],
)
def test_full_networks_have_the_sizes_of_table_2(net, count):
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in net().parameters()) == count


@pytest.mark.parametrize("capsules", [False, True])
@pytest.mark.parametrize(
    ("side", "halvings", "patches"), [(32, 0, 6), (64, 1, 6), (64, 0, 14), (56, 0, 12)]
)
def test_patches_are_as_many_as_the_paper_has(side, halvings, patches, capsules):
    kind = "capsules" if capsules else "loss"
    net = make(kind, halvings=halvings)
    assert net.last(torch.zeros(1, net.channels, side >> halvings, side >> halvings)).shape[2:] == (
        patches,
        patches,
    )


def test_patches_stand_as_far_apart_as_the_poolings_say():
    for poolings in range(5):
        net = build_patch_net("mean", "vgg11", 2, WIDTH, 2, poolings)
        assert net.patch_stride * 2**net.halvings == 2**poolings


@pytest.mark.parametrize(
    ("build", "choices"),
    [
        (lambda: build_patch_net("max", "vgg11", 2, WIDTH), "loss, mean, attention, gated"),
        (lambda: build_patch_net("mean", "vgg11", 2, WIDTH, capsules=True), "loss, routing"),
        (lambda: build_patch_net("loss", "alexnet", 2, WIDTH), "vgg11, resnet18"),
        (lambda: build_patch_net("loss", "vgg11", 2, WIDTH, poolings=5), "0 to 4"),
        (lambda: ConvPatchNet("loss", "vgg11", 2, WIDTH, halvings=4), "0 to 3"),
        (lambda: ConvPatchNet("loss", "vgg11", 2, WIDTH, patch_stride=3), "1, 2 or 4"),
        (lambda: ConvPatchNet("loss", "vgg11", 2, WIDTH, xi=1.5), r"\[0, 1\]"),
        (lambda: CapsulePatchNet("vgg11", 2, WIDTH, xi=-0.1), r"\[0, 1\]"),
        (
            lambda: ConvPatchNet("loss", "vgg11", 2, WIDTH, threshold_reference="cells"),  # pyright: ignore[reportArgumentType]
            "patches, features",
        ),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(build, choices):
    with pytest.raises(ValueError, match=choices):
        build()


@pytest.mark.parametrize("pooling", CAPSULE_POOLINGS)
def test_frames_that_do_not_fit_are_refused_with_a_remedy(pooling):
    net = build_patch_net(pooling, "vgg11", 2, WIDTH, capsules=True)
    with pytest.raises(ValueError, match="multiple of 8"):
        net(torch.zeros(1, 2, 100, 100))
    with pytest.raises(ValueError, match="72 or more"):
        net(torch.zeros(1, 2, 64, 64))
    assert net.eval()(torch.zeros(1, 2, 72, 72)).logits.shape == (1, 2)


# The exporter of torch speaks of its own future, and of packages that we do not use.
@pytest.mark.filterwarnings(
    "ignore:.*LeafSpec.*:FutureWarning", "ignore::DeprecationWarning:onnxscript.*"
)
@pytest.mark.timeout(240)  # an export takes ten seconds of a free core
@pytest.mark.parametrize("kind", ["capsules", "routing"])
def test_the_exported_graph_computes_the_same(kind, tmp_path):
    net = vary(make(kind, halvings=1, patch_stride=2))
    served = ServedNet(net, np.ones(3))
    frames = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    write_onnx(served, frames, tmp_path / "model.onnx", bool(net.attention_names))
