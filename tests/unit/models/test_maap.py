"""MAAP: the low level in the network, the high level in the training frames."""

import numpy as np
import pytest
import torch
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.nets import build
from scatterlens_models.nets.backbones import PlainNet
from scatterlens_models.nets.maap import MAAPNet, activation_attention, propagate
from scatterlens_models.training.alternate import alternate
from scatterlens_models.training.loop import train
from scatterlens_models.training.propagation import (
    OPERATIONS,
    WEIGHTS,
    Box,
    crop,
    guide,
    guided_frame,
    high_attention,
    otsu,
    region,
)
from scatterlens_models.training.recipe import Recipe
from scatterlens_models.vocabulary import load_vocabulary

BOX = Box(2, 6, 1, 5)
WHOLE = Box(0, 8, 0, 8)


@pytest.fixture
def attention():
    return np.random.default_rng(1).uniform(0.5, 1, (8, 8))


def test_the_low_level_equals_its_equation():
    f = np.random.default_rng(2).normal(size=(2, 5, 4, 6))
    a = 1 / (1 + np.exp(-f.mean(axis=1, keepdims=True)))
    tensor = torch.from_numpy(f)
    np.testing.assert_allclose(activation_attention(tensor).numpy(), a, atol=1e-12)
    np.testing.assert_allclose(propagate(tensor).numpy(), (1 + a) * f, atol=1e-12)


def test_no_activation_gives_one_half_and_stays_none():
    zero = torch.zeros(1, 3, 4, 4)
    assert torch.equal(activation_attention(zero), torch.full((1, 1, 4, 4), 0.5))
    assert torch.equal(propagate(zero), zero)


def test_rectified_features_gain_between_one_and_a_half_and_two():
    f = torch.rand(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    gain = propagate(f * 5) / (f * 5)
    assert gain.min() >= 1.5
    assert gain.max() < 2


def test_gradients_flow_through_the_attention_unless_it_is_detached():
    f = torch.rand(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    (through,) = torch.autograd.grad(propagate(f).sum(), f)
    (past,) = torch.autograd.grad(propagate(f, detach_attention=True).sum(), f)
    a = activation_attention(f).detach()
    assert torch.allclose(past, (1 + a).expand_as(f))
    # d/dF_c of sum_k (1 + A) F_k = (1 + A) + A (1 - A) mean(F).
    assert torch.allclose(through, past + (a * (1 - a) * f.detach().mean(1, keepdim=True)))


def test_weights_of_the_plain_twin_fit():
    plain, guided = PlainNet("resnet18", 3, 1 / 16, 1, 2), MAAPNet("resnet18", 3, 1 / 16, 1, 2)
    guided.load_state_dict(plain.state_dict())
    x = torch.rand(2, 1, 16, 16)
    f = plain.eval().backbone.first(x)
    expected = plain.score(plain.last(plain.backbone.inner(propagate(f))))
    assert torch.equal(guided.eval()(x).logits, expected)
    assert not torch.equal(plain(x).logits, expected)


@pytest.mark.parametrize("seed", range(5))
def test_otsu_equals_scikit_image(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate((rng.normal(0.55, 0.02, 900), rng.normal(0.8, 0.05, 100)))
    assert otsu(values) == pytest.approx(threshold_otsu(values), abs=1e-12)


def test_the_region_is_the_box_of_the_largest_component():
    rng = np.random.default_rng(4)
    smooth = np.kron(rng.uniform(0.5, 1, (8, 8)), np.ones((4, 4)))
    live = np.ones(smooth.shape, bool)
    found = region(smooth, live)
    parts = label(smooth > threshold_otsu(smooth), connectivity=2)
    largest = max(regionprops(parts), key=lambda part: part.area)
    top, left, bottom, right = largest.bbox
    assert found == (top, bottom, left, right)
    assert region(3 * smooth + 7, live) == found


def test_masked_pixels_neither_set_the_threshold_nor_join_the_region():
    a = np.full((16, 16), 0.5)
    a[2:5, 3:7] = 0.6
    a[10:16, 10:16] = 0.99
    live = np.ones(a.shape, bool)
    live[9:, 9:] = False
    assert region(a, live) == (2, 5, 3, 7)


@pytest.mark.parametrize("live", [True, False])
def test_without_contrast_the_region_is_the_whole_frame(live):
    assert region(np.full((8, 8), 0.7), np.full((8, 8), live)) == WHOLE


def test_the_six_operations_obey_their_algebra(attention):
    made = {name: operation(attention, BOX) for name, operation in WEIGHTS.items()}
    inside = made["uncorrelated"]
    assert inside.sum() == 16
    np.testing.assert_allclose(made["enhance"], inside * (attention + 1))
    np.testing.assert_allclose(made["reduce"], inside + (1 - inside) * made["allsoft"])
    np.testing.assert_allclose(made["allsoft_plus_one"], made["allsoft"] + 1)
    whole = {name: operation(attention, WHOLE) for name, operation in WEIGHTS.items()}
    assert np.all(whole["uncorrelated"] == 1)
    assert np.all(whole["reduce"] == 1)
    np.testing.assert_allclose(whole["enhance"], whole["allsoft_plus_one"])


def test_leaving_out_what_is_uncorrelated_twice_is_once(attention):
    x = np.stack((np.random.default_rng(5).random((8, 8)), np.ones((8, 8)))).astype(np.float32)
    smooth = np.kron(attention[::4, ::4], np.ones((4, 4)))
    once = guided_frame(x, smooth, "uncorrelated")
    box = region(smooth, x[1] > 0)
    assert once[1].sum() == (box.bottom - box.top) * (box.right - box.left)
    assert np.array_equal(once[0], x[0] * once[1])
    again = once * WEIGHTS["uncorrelated"](smooth, box)
    assert np.array_equal(again, once)


def test_a_crop_fills_the_frame_and_keeps_a_quarter_of_it():
    x = np.zeros((2, 16, 16), np.float32)
    x[0, 4:8, 4:8] = 1
    x[1] = 1
    assert np.all(crop(x, Box(4, 8, 4, 8)) == 1)
    # One pixel alone would be a region of no use: the crop takes four around it.
    small = crop(x, Box(15, 16, 15, 16))
    assert np.array_equal(small[0], np.zeros((16, 16)))
    around = crop(x, Box(6, 7, 6, 7))
    assert 0 < around[0].mean() <= 1


def test_the_region_sits_where_the_network_is_active():
    net = build("maap_vgg16", load_vocabulary("aam20"), 1 / 16, poolings=2).eval()
    x = torch.rand(2, 2, 32, 32)
    a = high_attention(net, x)
    with torch.no_grad():
        h = net.last(net.inner(x))
    cells = 1 / (1 + np.exp(-h.numpy().mean(axis=1)))
    assert a.shape == (2, 32, 32)
    # Bilinear from 8 to 32 cells: the mean of a cell's middle four pixels is nearly the cell.
    middle = a.reshape(2, 8, 4, 8, 4)[:, :, 1:3, :, 1:3].mean(axis=(2, 4))
    assert np.corrcoef(middle.ravel(), cells.ravel())[0, 1] > 0.9


def test_at_test_time_the_frames_stay_as_they_are():
    net = build("maap_vgg16", load_vocabulary("aam20"), 1 / 16, poolings=2).eval()
    x = torch.rand(2, 2, 32, 32)
    before = x.clone()
    with torch.no_grad():
        found = net(x).logits
        first = net.backbone.first(net.stem(x))
        a = torch.sigmoid(first.mean(dim=1, keepdim=True))
        expected = net.score(net.backbone.tail(net.backbone.inner(first * (1 + a))))
    assert torch.equal(x, before)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_guided_frames_keep_shape_labels_and_the_originals(operation):
    net = build("maap_vgg16", load_vocabulary("aam20"), 1 / 16, poolings=2)
    x = torch.rand(3, 2, 32, 32).half()
    examples = Examples(x.clone(), torch.ones(3, 20, dtype=torch.int8))
    made = guide(net, examples, operation)
    assert made.x.shape == x.shape
    assert made.x.dtype == torch.float16
    assert torch.isfinite(made.x).all()
    assert torch.equal(examples.x, x)
    assert made.labels is examples.labels


def test_an_unknown_operation_is_refused_with_the_six():
    with pytest.raises(ValueError, match="allsoft_plus_one"):
        guided_frame(np.ones((2, 8, 8), np.float32), np.ones((8, 8)), "erase")


@pytest.fixture
def few():
    generator = torch.Generator().manual_seed(6)
    x = torch.rand(16, 2, 32, 32, generator=generator).half()
    return Examples(x, torch.randint(0, 2, (16, 20), generator=generator).to(torch.int8))


def tiny(method: str, **changes) -> Recipe:
    return Recipe(method, width=1 / 16, input_size=32, poolings=2, passes=32, batch=8, **changes)


def test_alternate_training_goes_through_both_levels_and_resumes(tmp_path, few):
    train(tiny("vgg16"), few, few, tmp_path / "plain", evaluations=1)
    recipe = tiny("maap_vgg16", start=str(tmp_path / "plain/checkpoint.safetensors"))
    net = alternate(recipe, few, few, tmp_path / "run", "uncorrelated")
    assert (tmp_path / "run/low/checkpoint.safetensors").exists()
    assert (tmp_path / "run/frames1.safetensors").exists()
    again = alternate(recipe, few, few, tmp_path / "run", "uncorrelated")
    for one, other in zip(net.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_alternate_training_needs_a_trained_network(tmp_path, few):
    with pytest.raises(ValueError, match="give `start`"):
        alternate(tiny("maap_vgg16"), few, few, tmp_path)
    with pytest.raises(ValueError, match="no operation"):
        alternate(tiny("maap_vgg16", start="x"), few, few, tmp_path, "erase")
