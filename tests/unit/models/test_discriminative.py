"""Attention losses against Eq. 6-9 in numpy, and their gradient through the double backward."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import scatterlens_models.vocabulary as vocabulary_module
from scatterlens_models.losses.discriminative import (
    THETA,
    attention_losses,
    confusing_pairs,
    consistency,
    discriminative_loss,
    soft_iou,
    soft_mask,
)
from scatterlens_models.losses.labels import total_loss
from scatterlens_models.nets import build
from scatterlens_models.nets.gradient_maps import MAPS, inner_maps
from scatterlens_models.nets.layers import Net, PooledNet
from scatterlens_models.vocabulary import load_vocabulary

SETS = ((0, 1), (2, 3, 4))
LABELS = torch.tensor(
    [
        [1, 0, 1, 0, 0],
        [0, 1, -1, 1, 0],
        [1, -1, 0, 0, 0],
        [1, 1, 1, 0, -1],
        [-1, -1, -1, -1, -1],
        [0, 0, 0, 0, 0],
    ],
    dtype=torch.int8,
)
"""Frames 0, 1 and 3 have a pair within the sets; frame 2 has one only without them."""


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


class NormedNet(PooledNet):
    """Two blocks with batch normalisation; the second has half the grid."""

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.high = nn.Sequential(
            nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.head = nn.Linear(8, 5)

    def inner(self, x_BCHW):
        return self.low(x_BCHW)

    def last(self, f_BCHW):
        return self.high(f_BCHW)


@pytest.fixture
def net() -> NormedNet:
    torch.manual_seed(1)
    net = NormedNet().double().train()
    net(randn(6, 2, 8, 8, seed=2))
    return net


@pytest.fixture
def x() -> torch.Tensor:
    return randn(6, 2, 8, 8, seed=3)


# The equations, one cell at a time.


def numpy_mask(last: np.ndarray) -> np.ndarray:
    scaled = last / last.max() if last.max() > 0 else last
    return 1 / (1 + np.exp(-100 * (scaled - 0.55)))


def numpy_iou(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    shared = sum(min(p, q) * m for p, q, m in zip(a.flat, b.flat, mask.flat, strict=True))
    return 2 * shared / (a.sum() + b.sum() + 1e-6)


def numpy_bilinear(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cell centres at (i + 1/2) / n, constant beyond the outermost."""

    def weights(fine: int, coarse: int) -> np.ndarray:
        matrix = np.zeros((fine, coarse))
        for i in range(fine):
            place = min(max((i + 0.5) * coarse / fine - 0.5, 0), coarse - 1)
            low = min(int(place), coarse - 1)
            high = min(low + 1, coarse - 1)
            matrix[i, low] += 1 - (place - low)
            matrix[i, high] += place - low
        return matrix

    return weights(height, mask.shape[0]) @ mask @ weights(width, mask.shape[1]).T


def numpy_pairs(logits, labels, sets, per_positive):
    """For each frame: a list of (target attributes, confusing attribute)."""
    found = []
    for row, scores in zip(labels, logits, strict=True):
        positives = [a for a in range(len(row)) if row[a] == 1]
        rivals = {
            a: {
                b
                for b in range(len(row))
                if row[b] == 0 and (not sets or any(a in s and b in s for s in sets))
            }
            for a in positives
        }
        taking_part = [a for a in positives if rivals[a]]
        if per_positive:
            found.append([([a], max(rivals[a], key=lambda b: scores[b])) for a in taking_part])
        elif taking_part:
            candidates = set().union(*(rivals[a] for a in taking_part))
            found.append([(taking_part, max(candidates, key=lambda b: scores[b]))])
        else:
            found.append([])
    return found


def numpy_loss(net, x, labels, sets, kind, per_positive, normalise) -> float:
    """Eq. 6-9 without L_cls, mean over the frames that have a pair."""

    def maps(frame: int, attributes: list[int]) -> tuple[np.ndarray, np.ndarray]:
        target = torch.zeros(1, labels.shape[1], dtype=torch.float64)
        target[0, attributes] = 1
        found = inner_maps(net, x[frame : frame + 1], target)
        return found["inner"][kind][0].numpy(), found["last"][kind][0].numpy()

    net.eval()
    logits = net(x).logits.detach().numpy()
    net.train()
    frames = []
    for frame, pairs in enumerate(numpy_pairs(logits, labels.tolist(), sets, per_positive)):
        losses = []
        for positives, confusing in pairs:
            inner, last = maps(frame, positives)
            inner_confusing, last_confusing = maps(frame, [confusing])
            mask = numpy_mask(last)
            inner_mask = numpy_bilinear(mask, *inner.shape)
            scales = [m.max() or 1.0 for m in (inner, inner_confusing, last, last_confusing)]
            if not normalise:
                scales = [max(scales[:2])] * 2 + [max(scales[2:])] * 2
            inner, inner_confusing = inner / scales[0], inner_confusing / scales[1]
            last, last_confusing = last / scales[2], last_confusing / scales[3]
            share = (inner * inner_mask).sum() / (inner.sum() + 1e-6)
            losses.append(
                numpy_iou(inner, inner_confusing, inner_mask)
                + numpy_iou(last, last_confusing, mask)
                + THETA
                - share
            )
        if losses:
            frames.append(np.mean(losses))
    return float(np.mean(frames))


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("sets", [SETS, (), None])
@pytest.mark.parametrize("per_positive", [False, True])
@pytest.mark.parametrize("normalise", [True, False])
def test_the_loss_equals_the_equations(net, x, kind, sets, per_positive, normalise):
    expected = numpy_loss(net, x, LABELS, sets, kind, per_positive, normalise)
    found = attention_losses(net, x, LABELS, sets, kind, per_positive, normalise)
    assert float(found.detach()) == pytest.approx(expected, rel=0, abs=1e-9)


def test_mask_and_overlap_equal_the_equations():
    a, b = randn(4, 5, 7, seed=4).relu(), randn(4, 5, 7, seed=5).relu()
    mask = soft_mask(a)
    for frame in range(4):
        np.testing.assert_allclose(mask[frame], numpy_mask(a[frame].numpy()), rtol=0, atol=1e-12)
        assert float(soft_iou(a, b, mask)[frame]) == pytest.approx(
            numpy_iou(a[frame].numpy(), b[frame].numpy(), mask[frame].numpy()), abs=1e-12
        )


def test_the_overlap_has_the_properties_of_eq_6():
    a, b = randn(8, 6, 6, seed=6).relu(), randn(8, 6, 6, seed=7).relu()
    mask = soft_mask(a)
    overlap = soft_iou(a, b, mask)
    torch.testing.assert_close(overlap, soft_iou(b, a, mask), rtol=0, atol=0)
    assert 0 <= overlap.min()
    assert overlap.max() <= 1
    torch.testing.assert_close(soft_iou(3 * a, 3 * b, mask), overlap, rtol=1e-6, atol=0)
    apart = torch.zeros_like(a)
    apart[:, 3:] = a[:, :3]
    halves = a.clone()
    halves[:, 3:] = 0
    assert soft_iou(halves, apart, torch.ones_like(mask)).max() == 0
    same = soft_iou(a, a, mask)
    within = (a * mask).sum(dim=(1, 2)) / a.sum(dim=(1, 2))
    torch.testing.assert_close(same, within, rtol=1e-6, atol=0)
    whole = soft_iou(a, a, torch.ones_like(mask))
    torch.testing.assert_close(whole, torch.ones_like(whole), rtol=0, atol=1e-6)
    torch.testing.assert_close(consistency(a, mask), THETA - same, rtol=0, atol=1e-6)


def test_consistency_stays_within_its_bounds():
    a = randn(8, 6, 6, seed=8).relu()
    for mask in (torch.zeros_like(a), torch.ones_like(a), soft_mask(a)):
        found = consistency(a, mask)
        assert found.min() >= THETA - 1
        assert found.max() <= THETA


def test_a_map_of_small_numbers_has_the_same_mask():
    a = randn(3, 5, 5, seed=9).relu()
    torch.testing.assert_close(soft_mask(1e-12 * a), soft_mask(a), rtol=1e-9, atol=0)
    assert soft_mask(a).max() > 0.99
    assert not soft_mask(a.requires_grad_()).requires_grad


# Who is held against whom.


@pytest.mark.parametrize("sets", [SETS, ()])
@pytest.mark.parametrize("per_positive", [False, True])
def test_the_confusing_attribute_is_the_highest_known_negative_of_a_set(sets, per_positive):
    logits = randn(6, 5, seed=10)
    expected = numpy_pairs(logits.tolist(), LABELS.tolist(), sets, per_positive)
    found: list[list] = [[] for _ in LABELS]
    weights = torch.zeros(6, dtype=torch.float64)
    for pairs in confusing_pairs(logits, LABELS, sets, per_positive):
        weights += pairs.weight
        for frame in range(6):
            if pairs.weight[frame] > 0:
                target = pairs.target[frame].nonzero().flatten().tolist()
                found[frame].append((target, int(pairs.confusing[frame].argmax())))
    assert found == expected
    torch.testing.assert_close(weights, torch.tensor([float(bool(e)) for e in expected]).double())


def test_an_unknown_label_is_neither_target_nor_confusing():
    labels = torch.tensor([[1, -1, 0]], dtype=torch.int8)
    (pairs,) = confusing_pairs(torch.tensor([[0.0, 9.0, -9.0]]), labels, None)
    assert pairs.target.tolist() == [[1, 0, 0]]
    assert pairs.confusing.tolist() == [[0, 0, 1]]


def test_frames_without_a_pair_are_left_out(net, x):
    alone = attention_losses(net, x[[0, 1, 3]], LABELS[[0, 1, 3]], SETS)
    torch.testing.assert_close(attention_losses(net, x, LABELS, SETS), alone, rtol=0, atol=1e-14)
    each = [attention_losses(net, x[[i]], LABELS[[i]], SETS) for i in (0, 1, 3)]
    torch.testing.assert_close(torch.stack(each).mean(), alone, rtol=0, atol=1e-14)


@pytest.mark.parametrize("label", [-1, 0, 1])
def test_without_any_pair_the_loss_is_zero_and_has_a_graph(net, x, label):
    labels = torch.full_like(LABELS, label)
    found = attention_losses(net, x, labels, SETS)
    assert float(found.detach()) == 0
    found.backward()
    assert all(float(p.grad.abs().sum()) == 0 for p in net.parameters())


@pytest.mark.parametrize("kind", MAPS)
def test_dead_maps_have_finite_losses_and_gradients(net, x, kind):
    with torch.no_grad():
        net.high[1].bias.fill_(-100)
    found = attention_losses(net, x, LABELS, SETS, kind)
    assert float(found.detach()) == pytest.approx(THETA)
    found.backward()
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters() if p.grad is not None)


# The gradient.


class SmoothNet(Net):
    """No kinks of its own, weights that are set from outside, and a score that is not linear."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = (
            0.5 * randn(3, 1, 3, 3, seed=11),
            0.5 * randn(4, 3, 2, 2, seed=12) + 0.2,
            randn(5, 4, seed=13) + 1,
        )

    def inner(self, x_BCHW):
        return functional.softplus(functional.conv2d(x_BCHW, self.weights[0], padding=1))

    def last(self, f_BCHW):
        return functional.softplus(functional.conv2d(f_BCHW, self.weights[1], stride=2))

    def score(self, h_BCHW):
        return torch.tanh(h_BCHW.mean(dim=(2, 3)) - 1) @ self.weights[2].T


@pytest.mark.parametrize("kind", MAPS)
def test_gradients_are_right_through_the_double_backward(kind):
    """Against numbers, with the parts that are detached held fixed."""
    net, x = SmoothNet(), randn(2, 1, 4, 4, seed=14)
    labels = LABELS[:2]
    weights = tuple(w.requires_grad_() for w in net.weights)
    net.weights = weights
    logits = net(x).logits
    (pairs,) = confusing_pairs(logits, labels, SETS)

    def maps(logits, features, score):
        slopes = torch.autograd.grad((logits * score).sum(), features, create_graph=True)
        return [MAPS[kind](f, g) for f, g in zip(features, slopes, strict=True)]

    def all_maps(weights):
        net.weights = weights
        f = net.inner(x)
        h = net.last(f)
        logits = net.score(h)
        scores = (pairs.target, pairs.confusing)
        return logits, [maps(logits, (f, h), score) for score in scores]

    _, fixed = all_maps(weights)
    mask = soft_mask(fixed[0][1])
    masks = [functional.interpolate(mask[:, None], (4, 4), mode="bilinear")[:, 0], mask]
    peaks = [[m.detach().amax(dim=(1, 2), keepdim=True) for m in pair] for pair in fixed]
    assert all(float(peak.min()) > 0 for pair in peaks for peak in pair)

    def loss(*weights):
        logits, seen = all_maps(weights)
        (inner, last), (inner_confusing, last_confusing) = (
            [m / peak for m, peak in zip(pair, own, strict=True)]
            for pair, own in zip(seen, peaks, strict=True)
        )
        terms = (
            soft_iou(inner, inner_confusing, masks[0])
            + soft_iou(last, last_confusing, masks[1])
            + consistency(inner, masks[0])
        )
        return total_loss(net(x)._replace(logits=logits), labels) + terms.mean()

    assert torch.autograd.gradcheck(loss, weights, eps=1e-6, atol=1e-7, rtol=1e-5)
    expected = torch.autograd.grad(loss(*weights), weights)
    net.weights = weights
    whole = discriminative_loss(net, net(x), x, labels, SETS, kind)
    for found, own in zip(torch.autograd.grad(whole, weights), expected, strict=True):
        torch.testing.assert_close(found, own, rtol=0, atol=1e-9)


def test_the_losses_reach_every_layer_and_leave_the_statistics_alone(net, x):
    modes = [module.training for module in net.modules()]
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    attention_losses(net, x, LABELS, SETS).backward()
    assert [module.training for module in net.modules()] == modes
    for name, value in net.named_buffers():
        assert torch.equal(value, buffers[name])
    for name, parameter in net.named_parameters():
        if name != "head.bias":
            assert float(parameter.grad.abs().max()) > 0, name


def test_a_frozen_lower_part_does_not_hinder(net, x):
    net.low.requires_grad_(False)
    attention_losses(net, x, LABELS, SETS).backward()
    assert float(net.head.weight.grad.abs().max()) > 0
    assert all(p.grad is None for p in net.low.parameters())


def test_half_precision_is_left_outside(net, x):
    net = net.float()
    plain = attention_losses(net, x.float(), LABELS, SETS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = attention_losses(net, x.float(), LABELS, SETS)
        halves = attention_losses(net, x.half(), LABELS, SETS)
    assert mixed.dtype == halves.dtype == torch.float32
    torch.testing.assert_close(mixed, plain, rtol=0, atol=0)


def test_descent_parts_the_maps():
    vocabulary = load_vocabulary("aam20")
    torch.manual_seed(15)
    net = build("aam", vocabulary, 0.0625, poolings=3)
    x = torch.rand(4, 2, 32, 32)
    labels = torch.randint(-1, 2, (4, 20), generator=torch.Generator().manual_seed(16)).to(
        torch.int8
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    curve = []
    for _ in range(6):
        loss = attention_losses(net, x, labels, vocabulary.confusions)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        curve.append(float(loss.detach()))
    assert curve[-1] < curve[0] - 0.02


def test_an_unknown_kind_is_refused(net, x):
    with pytest.raises(ValueError, match="gradcam, a_ch, a_px"):
        attention_losses(net, x, LABELS, SETS, kind="cam")


# Confusion sets as data.


@pytest.mark.parametrize("name", ["aam20", "experimental20", "full"])
def test_vocabularies_say_what_is_confused(name):
    vocabulary = load_vocabulary(name)
    named = [tuple(vocabulary.ids[i] for i in members) for members in vocabulary.confusions]
    assert ("ring", "halo") in named
    assert all(len(members) == len(set(members)) >= 2 for members in named)


def test_symmetries_are_confused_with_one_another_and_not_with_textures():
    vocabulary = load_vocabulary("aam20")
    folds = tuple(vocabulary.index(f"symmetry_{n}") for n in (2, 4, 6))
    assert folds in vocabulary.confusions
    ring, isotropic = vocabulary.index("ring"), vocabulary.index("isotropic")
    assert not any(ring in members and isotropic in members for members in vocabulary.confusions)


@pytest.mark.parametrize(
    ("confusions", "message"),
    [
        ('[["ring", "hallo"]]', "'hallo' is no attribute of own"),
        ('[["ring"]]', "two different attributes"),
        ('[["ring", "ring"]]', "two different attributes"),
    ],
)
def test_confusion_sets_that_make_no_sense_are_refused(tmp_path, monkeypatch, confusions, message):
    entries = "".join(
        f'[[attributes]]\nid = "{name}"\nname = "{name}"\ndefinition = ""\n'
        for name in ("ring", "halo")
    )
    (tmp_path / "own.toml").write_text(f'name = "own"\nconfusions = {confusions}\n{entries}')
    monkeypatch.setattr(vocabulary_module, "_FOLDER", tmp_path)
    with pytest.raises(ValueError, match=message):
        load_vocabulary("own")
    (tmp_path / "own.toml").write_text(f'name = "own"\n{entries}')
    assert load_vocabulary("own").confusions == ()
