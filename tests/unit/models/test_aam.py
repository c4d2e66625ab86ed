"""The attention module against the paper's equations, written out in numpy."""

import numpy as np
import pytest
import torch

from scatterlens_models.nets import build
from scatterlens_models.nets.aam import AAMVGG, Aggregation, Attention
from scatterlens_models.nets.layers import stem
from scatterlens_models.vocabulary import load_vocabulary

GROUPS = ((0, 1), (2, 3), (4,), (5, 6, 7))


def logistic(x):
    return 1 / (1 + np.exp(-x))


def attention_oracle(module: Attention, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eq. 4-8 with running statistics of batch normalisation, float64, loops over branches."""
    p = {k: v.detach().numpy() for k, v in module.state_dict().items()}

    def norm(x, name, shape):
        scale = p[f"{name}.weight"] / np.sqrt(p[f"{name}.running_var"] + 1e-5)
        return (x - p[f"{name}.running_mean"].reshape(shape)) * scale.reshape(shape) + p[
            f"{name}.bias"
        ].reshape(shape)

    def perceptron(v):
        hidden = np.maximum(v @ p["channel.reduce.weight"].T + p["channel.reduce.bias"], 0)
        return hidden @ p["channel.expand.weight"].T + p["channel.expand.bias"]

    batch, _, height, width = f.shape
    u = perceptron(f.mean(axis=(2, 3))) + perceptron(f.max(axis=(2, 3)))
    gated = f * logistic(norm(u, "channel.norm", (1, -1)))[:, :, None, None]
    stacked = np.stack((gated.max(axis=1), gated.mean(axis=1)), axis=1)
    padded = np.pad(stacked, ((0, 0), (0, 0), (3, 3), (3, 3)))
    weights = p["spatial.conv.weight"]
    response = np.zeros((batch, len(weights), height, width))
    for branch in range(len(weights)):
        for y in range(7):
            for x in range(7):
                for c in range(2):
                    response[:, branch] += (
                        weights[branch, c, y, x] * padded[:, c, y : y + height, x : x + width]
                    )
    maps = logistic(norm(response, "spatial.norm", (1, -1, 1, 1)))
    slices = np.split(gated, len(weights), axis=1)
    attended = np.concatenate([s * maps[:, i : i + 1] for i, s in enumerate(slices)], axis=1)
    return norm(f + attended, "norm", (1, -1, 1, 1)), maps


def random_statistics(module: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
        if name.endswith("running_var"):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    for parameter in module.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)


def test_attention_equals_the_equations():
    module = Attention(channels=12, branches=4, reduction=3).double().eval()
    random_statistics(module, 1)
    f = torch.randn(2, 12, 9, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = module(f)
    features, maps = attention_oracle(module, f.numpy())
    np.testing.assert_allclose(found.spatial_maps.detach().numpy(), maps, atol=1e-9)
    np.testing.assert_allclose(found.features.detach().numpy(), features, atol=1e-9)
    assert 0 < maps.min()
    assert maps.max() < 1


def test_aggregation_is_a_unit_histogram_of_words():
    module = Aggregation(6, 5).double()
    random_statistics(module, 3)
    f = torch.randn(3, 6, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    found = module(f).detach().numpy()
    w, b = module.assign.weight.detach().numpy()[:, :, 0, 0], module.assign.bias.detach().numpy()
    scores = np.exp(np.einsum("bchw,kc->bkhw", f.numpy(), w) + b[None, :, None, None])
    words = (scores / scores.sum(axis=1, keepdims=True)).sum(axis=(2, 3))
    expected = words / np.linalg.norm(words, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    shuffled = f.flatten(2)[:, :, torch.randperm(16)].unflatten(2, (4, 4))
    np.testing.assert_allclose(module(shuffled).detach().numpy(), found, atol=1e-7)


@pytest.mark.parametrize("method", ["aam", "vgg16"])
def test_cells_sum_to_the_logit_minus_its_bias(method):
    net = build(method, load_vocabulary("aam20"), width=0.125, poolings=3).eval()
    random_statistics(net, 5)
    with torch.no_grad():
        found = net.explain(torch.rand(2, 2, 64, 64))
        expected = found.logits - net.head.bias
    assert found.attribute_maps.shape == (2, 20, 8, 8)
    torch.testing.assert_close(
        found.attribute_maps.sum(dim=(2, 3)),
        expected,
        rtol=1e-4,
        atol=1e-4 * float(expected.abs().max()),
    )


def test_attention_maps_lie_on_one_grid_and_have_names():
    net = build("aam", load_vocabulary("aam20"), width=0.125, poolings=3).eval()
    with torch.no_grad():
        maps = net.explain(torch.rand(1, 2, 64, 64)).attention_maps
    assert maps.shape == (1, len(net.attention_names), 8, 8)
    assert net.attention_names[0] == "block1.visual"
    assert net.attention_names[-1] == "block5.style"


def test_the_full_network_has_the_size_that_the_specification_gives():
    net = AAMVGG(20, tuple(load_vocabulary("aam20").groups.values()), in_channels=1)
    redundant = 4_224  # biases of convolutions before batch normalisation: left out here
    assert sum(p.numel() for p in net.parameters()) == 15_093_028 - redundant


@pytest.mark.parametrize("groups", [((0, 1), (1, 2)), ((0,), (2,)), ((0, 1), ())])
def test_groups_that_miss_or_repeat_an_attribute_are_refused(groups):
    with pytest.raises(ValueError, match="exactly once"):
        AAMVGG(5, groups, width=0.125)


def test_channels_that_do_not_divide_into_the_branches_are_refused():
    with pytest.raises(ValueError, match="multiple of"):
        AAMVGG(3, ((0,), (1,), (2,)), width=0.25)


def test_an_unknown_method_is_refused_with_those_that_exist():
    with pytest.raises(ValueError, match="aam, aam_aggregation"):
        build("alexnet", load_vocabulary("aam20"))


def test_the_stem_standardises_live_pixels_frame_by_frame():
    rng = np.random.default_rng(6)
    value = rng.random((2, 8, 8))
    coverage = (rng.random((2, 8, 8)) > 0.3).astype(float)
    value[1] *= 1e-2
    module, channels = stem(2)
    found = module(torch.from_numpy(np.stack((value * coverage, coverage), axis=1))).numpy()
    assert found.shape == (2, channels, 8, 8)
    for frame in range(2):
        live = coverage[frame] == 1
        contrast = found[frame, 0][live]
        expected = (value[frame][live] - value[frame][live].mean()) / value[frame][live].std()
        # The smallest deviation that counts, 1e-3, is a tenth of the weak frame's.
        np.testing.assert_allclose(contrast, expected, rtol=0.1)
        assert np.abs(found[frame, 0][~live]).max() == 0
    empty = module(torch.zeros(1, 2, 8, 8)).numpy()
    assert np.abs(empty).max() == 0
