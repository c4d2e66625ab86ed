"""The attention module against the paper's equations, written out in numpy."""

import numpy as np
import pytest
import torch

from scatterlens_models.nets import build
from scatterlens_models.nets.aam import AAMVGG, ABLATIONS, Aggregation, Attention, FashionNet
from scatterlens_models.nets.aam.rivals import NoAttention, SoftMask, SqueezeExcitation
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
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    shuffled = f.flatten(2)[:, :, torch.randperm(16)].unflatten(2, (4, 4))
    np.testing.assert_allclose(module(shuffled).detach().numpy(), found, rtol=0, atol=1e-9)


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


def seeded(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def normalised(module, f):
    """Batch normalisation with running statistics, from its definition."""
    p = {k: v.detach().numpy()[None, :, None, None] for k, v in module.named_parameters()}
    b = {k: v.numpy() for k, v in module.named_buffers()}
    mean, var = (b[f"running_{k}"][None, :, None, None] for k in ("mean", "var"))
    return (f - mean) / np.sqrt(var + 1e-5) * p["weight"] + p["bias"]


def test_equal_branches_are_one_branch():
    four = Attention(8, 4, 2).double().eval()
    one = Attention(8, 1, 2).double().eval()
    random_statistics(one, 11)
    state = one.state_dict()
    for name in list(state):
        if name.startswith("spatial") and state[name].ndim:
            state[name] = state[name].repeat(4, *[1] * (state[name].ndim - 1))
    four.load_state_dict(state)
    f = seeded(2, 8, 6, 6)
    torch.testing.assert_close(four(f).features, one(f).features, rtol=0, atol=1e-12)


def test_permuting_branches_with_their_slices_permutes_what_they_attend_to():
    module = Attention(8, 4, 2).double().eval()
    random_statistics(module, 12)
    gated = seeded(1, 8, 5, 5, seed=13)
    maps = module.spatial(gated)
    attended = gated.unflatten(1, (4, 2)) * maps.unsqueeze(2)
    order = torch.tensor([2, 0, 3, 1])
    for tensor in (module.spatial.conv.weight, *module.spatial.norm.parameters()):
        tensor.data = tensor.data[order]
    for name in ("running_mean", "running_var"):
        setattr(module.spatial.norm, name, getattr(module.spatial.norm, name)[order])
    # The pooling over channels does not care for their order, so the maps are only re-ordered.
    slices = gated.unflatten(1, (4, 2))[:, order]
    again = slices * module.spatial(slices.flatten(1, 2)).unsqueeze(2)
    torch.testing.assert_close(again, attended[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("bias", "factor"), [(-1e4, 1.0), (1e4, 2.0)])
def test_maps_of_nothing_and_of_everything(bias, factor):
    module = Attention(4, 2, 2).double().eval()
    random_statistics(module, 14)
    # Gates wide open, so that only the spatial maps decide.
    module.channel.norm.weight.data.zero_()
    module.channel.norm.bias.data.fill_(1e4)
    module.spatial.norm.weight.data.zero_()
    module.spatial.norm.bias.data.fill_(bias)
    f = seeded(2, 4, 5, 5, seed=15)
    expected = normalised(module.norm, factor * f.numpy())
    np.testing.assert_allclose(module(f).features.detach().numpy(), expected, atol=1e-9)


def test_the_histogram_of_words_keeps_its_bounds():
    module = Aggregation(6, 5).double()
    random_statistics(module, 16)
    f = seeded(3, 6, 4, 4, seed=17)
    found = module(f)
    assert found.min() >= 0
    assert found.sum(dim=1).min() >= 1
    assert found.sum(dim=1).max() <= 5**0.5
    torch.testing.assert_close(module(f.repeat(1, 1, 2, 2)), found, rtol=0, atol=1e-12)
    words = module.assign(f).softmax(dim=1)
    torch.testing.assert_close(words.sum(dim=1), torch.ones(3, 4, 4, dtype=torch.float64))
    counts = words.sum(dim=(2, 3))
    assert torch.allclose(counts.sum(dim=1), torch.full((3,), 16.0, dtype=torch.float64))
    # The norm that divides is never near zero, whatever the features are.
    assert counts.norm(dim=1).min() >= 16 / 5**0.5
    assert torch.isfinite(module(torch.zeros_like(f))).all()


def test_training_and_back_leaves_the_statistics_alone():
    net = build("aam", load_vocabulary("aam20"), width=1 / 16, poolings=2)
    net(torch.rand(4, 2, 32, 32))
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    net.eval()(torch.rand(4, 2, 32, 32))
    net.train()
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())


def test_no_attention_is_batch_normalisation():
    module = NoAttention(5).double().eval()
    random_statistics(module, 20)
    f = seeded(2, 5, 4, 4, seed=21)
    found = module(f)
    assert found.spatial_maps is None
    np.testing.assert_allclose(
        found.features.detach().numpy(), normalised(module.norm, f.numpy()), atol=1e-9
    )


def test_squeeze_and_excitation_equals_its_equations():
    module = SqueezeExcitation(6, 3).double().eval()
    random_statistics(module, 22)
    f = seeded(2, 6, 4, 5, seed=23)
    w1, w2 = module.reduce.weight.detach().numpy(), module.expand.weight.detach().numpy()
    gates = logistic(np.maximum(f.numpy().mean(axis=(2, 3)) @ w1.T, 0) @ w2.T)
    expected = normalised(module.norm, f.numpy() * (1 + gates[:, :, None, None]))
    np.testing.assert_allclose(module(f).features.detach().numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("side", [7, 14, 29])
def test_the_soft_mask_gates_every_channel_and_place(side):
    module = SoftMask(8, 3).double().eval()
    random_statistics(module, 24)
    f = seeded(2, 8, side, side, seed=25)
    mask = module.mask(f)
    assert mask.shape == f.shape
    assert 0 < mask.min()
    assert mask.max() < 1
    assert mask.std() > 0.01
    expected = normalised(module.norm, (f * (1 + mask)).detach().numpy())
    found = module(f)
    np.testing.assert_allclose(found.features.detach().numpy(), expected, atol=1e-9)
    torch.testing.assert_close(found.spatial_maps[:, 0], mask.mean(dim=1))


def test_the_soft_mask_goes_no_deeper_than_seven_cells():
    module = SoftMask(8, 3).double().eval()
    deepest = []
    for unit in module.down:
        unit.register_forward_hook(lambda _m, _i, out: deepest.append(out.shape[-1]))
    module(seeded(1, 8, 32, 32))
    assert deepest == [16, 8]


@pytest.mark.parametrize("row", ABLATIONS)
def test_every_row_of_the_ablation_keeps_the_side_outputs(row):
    net = build(f"aam_{row}", load_vocabulary("aam20"), width=1 / 16, poolings=2)
    output = net(torch.rand(2, 2, 32, 32))
    assert len(output.side_logits) == 4
    with pytest.raises(ValueError, match="no branch"):
        net.branch_parameters()


def test_a_vocabulary_without_groups_has_four_branches_that_are_not_specialised():
    net = build("aam", load_vocabulary("full"), width=1 / 16, poolings=2)
    assert net(torch.rand(2, 2, 32, 32)).logits.shape == (2, len(load_vocabulary("full").ids))
    assert net.attention_names[:2] == ("block1.branch1", "block1.branch2")
    with pytest.raises(ValueError, match="vocabulary with groups"):
        net.branch_parameters()


def test_one_attribute_is_one_branch():
    net = AAMVGG(1, ((0,),), width=1 / 16, poolings=2)
    assert net(torch.rand(2, 2, 32, 32)).logits.shape == (2, 1)


def test_a_batch_of_one_in_training_is_refused_with_the_remedy():
    net = build("aam", load_vocabulary("aam20"), width=1 / 16, poolings=2)
    with pytest.raises(ValueError, match="two frames or more"):
        net(torch.rand(1, 2, 32, 32))
    assert net.eval()(torch.rand(1, 2, 32, 32)).logits.shape == (1, 20)


@pytest.mark.parametrize(
    ("layers", "convolutions"),
    [
        (2, [(1, 64), (64, 128)]),
        (3, [(1, 64), (64, 128), (128, 256)]),
        (5, [(1, 64), (64, 128), (128, 256), (256, 256), (256, 256)]),
    ],
)
@pytest.mark.parametrize("attention", [False, True])
def test_the_fashion_networks_are_those_of_table_3(layers, convolutions, attention):
    net = FashionNet(layers, attention=attention)
    threes = [m for m in net.modules() if getattr(m, "kernel_size", 0) == (3, 3)]
    assert [(m.in_channels, m.out_channels) for m in threes] == convolutions
    output = net(torch.rand(2, 1, 28, 28))
    assert output.logits.shape == (2, 10)
    assert len(output.side_logits) == (2 if attention else 0)
    assert net.explain(torch.rand(2, 1, 28, 28)).attribute_maps.shape == (2, 10, 7, 7)
