"""The evidence loss against plain numpy, and what it must not depend on."""

import numpy as np
import torch
from scipy.special import log_softmax, rel_entr

from scatterlens_models.losses.evidence import evidence_loss


def drawn():
    generator = torch.Generator().manual_seed(5)
    maps = torch.randn((3, 4, 4, 4), generator=generator, dtype=torch.float64) / 16
    evidence = torch.randint(0, 256, (3, 4, 8, 8), generator=generator).to(torch.uint8)
    labels = torch.tensor([[1, 0, -1, 1], [1, 1, 0, 0], [0, -1, 1, 1]], dtype=torch.int8)
    evidence[1, 1] = 0
    return maps, evidence, labels


def test_it_is_the_divergence_of_the_map_from_the_evidence():
    maps, evidence, labels = drawn()
    found = []
    for b, a in np.argwhere(labels.numpy() == 1):
        blocks = evidence[b, a].double().numpy().reshape(4, 2, 4, 2).mean(axis=(1, 3))
        if blocks.sum() == 0:
            continue
        wanted = blocks.ravel() / blocks.sum()
        own = np.exp(log_softmax(maps[b, a].numpy().ravel() * 16))
        found.append(rel_entr(wanted, own).sum())
    assert len(found) == 5
    np.testing.assert_allclose(evidence_loss(maps, evidence, labels), np.mean(found), rtol=1e-5)


def test_it_says_nothing_of_absent_and_unknown_labels_nor_of_how_much_there_is():
    maps, evidence, labels = drawn()
    loss = evidence_loss(maps, evidence, labels)
    other = maps.clone()
    other[0, 1:3] += torch.randn(2, 4, 4)
    other += 0.3  # an even part of the map
    torch.testing.assert_close(evidence_loss(other, evidence, labels), loss)
    assert evidence_loss(maps, torch.zeros_like(evidence), labels) == 0
    assert evidence_loss(maps, evidence, torch.zeros_like(labels)) == 0


def test_it_vanishes_where_the_map_lies_on_the_evidence_and_pulls_where_it_does_not():
    _, evidence, labels = drawn()
    evidence = evidence.clamp_min(1)
    weights = torch.nn.functional.avg_pool2d(evidence.double(), 2)
    assert evidence_loss(weights.log() / 16, evidence, labels) < 1e-6
    maps = torch.zeros((3, 4, 4, 4), requires_grad=True)
    evidence_loss(maps, evidence, labels).backward()
    share = weights / weights.sum(dim=(2, 3), keepdim=True)
    pulled = maps.grad[labels == 1] < 0
    assert torch.equal(pulled, (share > 1 / 16)[labels == 1])
    assert not maps.grad[labels != 1].any()
