"""Losses: unknown labels, the specialised loss, its cheap form."""

import numpy as np
import pytest
import torch

from scatterlens_models.losses.labels import SIDE_WEIGHT, label_loss, total_loss
from scatterlens_models.losses.specialised import (
    sampled_specialised_backward,
    specialised_backward,
)
from scatterlens_models.nets.aam import AAMVGG

GROUPS = ((0, 2), (1,), (3, 4, 5))


@pytest.fixture
def net():
    torch.manual_seed(1)
    return AAMVGG(
        6, GROUPS, width=0.046875, in_channels=1, poolings=4, reduction=2, words=4
    ).double()


@pytest.fixture
def frames():
    return torch.rand(4, 1, 16, 16, dtype=torch.float64)


@pytest.fixture
def labels():
    generator = torch.Generator().manual_seed(7)
    return torch.randint(-1, 2, (4, 6), generator=generator).to(torch.int8)


def split(net):
    branches = [p for block in net.branch_parameters() for p in block]
    own = {id(p) for p in branches}
    return [p for p in net.parameters() if id(p) not in own], branches


def gradients(parameters):
    return [None if p.grad is None else p.grad.clone() for p in parameters]


def test_label_loss_is_the_mean_cross_entropy_of_known_labels():
    logits = np.array([[2.0, -1.0], [0.5, 3.0]])
    labels = np.array([[1, -1], [0, 1]])
    p = 1 / (1 + np.exp(-logits))
    expected = -(np.log(p[0, 0]) + np.log(1 - p[1, 0]) + np.log(p[1, 1])) / 3
    found = label_loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert float(found) == pytest.approx(expected, rel=0, abs=1e-12)


def test_a_batch_without_known_labels_costs_nothing():
    logits = torch.randn(2, 3, requires_grad=True)
    loss = label_loss(logits, torch.full((2, 3), -1))
    loss.backward()
    assert loss.item() == 0
    assert float(logits.grad.abs().max()) == 0


def test_side_outputs_count_a_fifth(net, frames, labels):
    output = net(frames)
    expected = label_loss(output.logits, labels).item() + SIDE_WEIGHT * sum(
        label_loss(side, labels).item() for side in output.side_logits
    )
    assert len(output.side_logits) == 5
    assert total_loss(output, labels).item() == pytest.approx(expected, rel=1e-9)


def test_side_heads_learn_by_their_weight_alone(net, frames, labels, monkeypatch):
    monkeypatch.setattr("scatterlens_models.losses.labels.SIDE_WEIGHT", 0.0)
    total_loss(net(frames), labels).backward()
    assert all(float(p.grad.abs().max()) == 0 for p in net.side_heads.parameters())
    assert float(net.head.weight.grad.abs().max()) > 0


def test_the_exact_form_leaves_the_gradient_of_shared_parameters_as_it_was(net, frames, labels):
    shared, branches = split(net)
    total_loss(net(frames), labels).backward()
    plain = gradients(shared)
    net.zero_grad()
    specialised_backward(net(frames), labels, GROUPS, shared, branches)
    scale = max(float(g.abs().max()) for g in plain if g is not None)
    for found, expected in zip(gradients(shared), plain, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12 * scale)


def test_a_branch_does_not_see_the_labels_of_other_groups(net, frames, labels):
    shared, branches = split(net)
    specialised_backward(net(frames), labels, GROUPS, shared, branches)
    before = gradients(branches)
    flipped = labels.clone()
    others = [1, 3, 4, 5]
    flipped[:, others] = torch.where(
        labels[:, others] < 0, labels[:, others], 1 - labels[:, others]
    )
    net.zero_grad()
    specialised_backward(net(frames), flipped, GROUPS, shared, branches)
    after = gradients(branches)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(after, before, strict=True))
    assert any(not torch.equal(a[2], b[2]) for a, b in zip(after, before, strict=True))


def test_the_sampled_form_gives_one_branch_its_exact_gradient(net, frames, labels):
    shared, branches = split(net)
    specialised_backward(net(frames), labels, GROUPS, shared, branches)
    exact_shared, exact_branches = gradients(shared), gradients(branches)
    net.zero_grad()
    sampled_specialised_backward(net(frames), labels, GROUPS, branches, drawn=2)
    for found, exact in zip(gradients(branches), exact_branches, strict=True):
        torch.testing.assert_close(found[2], exact[2])
        assert float(found[:2].abs().max()) == 0
    for found, exact in zip(gradients(shared), exact_shared, strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-10, atol=1e-12)


def test_one_group_of_everything_is_plain_training(frames, labels):
    torch.manual_seed(3)
    net = AAMVGG(
        6, (tuple(range(6)),), width=0.046875, in_channels=1, words=4, reduction=2
    ).double()
    shared, branches = split(net)
    total_loss(net(frames), labels).backward()
    plain = gradients(branches)
    net.zero_grad()
    specialised_backward(net(frames), labels, (tuple(range(6)),), shared, branches)
    for found, expected in zip(gradients(branches), plain, strict=True):
        torch.testing.assert_close(found, expected)
