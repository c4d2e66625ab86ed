"""Weighted batches: the right shares, evenly, and the same frames after a resume."""

from itertools import islice

import pytest
import torch

from scatterlens_models.datasets.mixing import mixed_batches


def draws(weights, batch, seed=1, start=0, steps=100):
    made = islice(mixed_batches(torch.tensor(weights), batch, seed, start), steps)
    return torch.stack(list(made))


def test_frames_are_drawn_by_their_weights():
    weights = [1.0] * 90 + [9.0] * 10
    drawn = draws(weights, 10, steps=1000)
    counts = torch.bincount(drawn.flatten(), minlength=100).double()
    expected = torch.tensor(weights) / sum(weights) * 10_000
    # Rounding is by at most one in each of the hundred epochs.
    assert ((counts - expected).abs() <= 100).all()
    assert (counts[90:].sum() / 10_000 - 0.5).abs() < 0.002


def test_an_epoch_rounds_each_share_up_or_down():
    weights = [0.5, 1.0, 2.2, 1.0, 0.3, 1.0]
    for seed in range(50):
        counts = torch.bincount(draws(weights, 3, seed, steps=2).flatten(), minlength=6)
        exact = torch.tensor(weights)
        assert ((counts >= exact.floor()) & (counts <= exact.ceil())).all()


def test_equal_weights_show_every_frame_once_an_epoch():
    drawn = draws([0.3] * 12, 4, steps=6)
    for epoch in drawn.reshape(2, 12):
        assert sorted(epoch.tolist()) == list(range(12))
    assert drawn[:3].tolist() != drawn[3:].tolist()


def test_a_resumed_run_sees_the_same_frames():
    whole = draws([1.0, 5.0, 2.0, 1.0, 1.0, 1.0, 3.0], 2, steps=20)
    for start in (1, 3, 7, 12):
        again = draws([1.0, 5.0, 2.0, 1.0, 1.0, 1.0, 3.0], 2, start=start, steps=20 - start)
        assert torch.equal(again, whole[start:])
    assert not torch.equal(draws([1.0, 5.0, 2.0, 1.0, 1.0, 1.0, 3.0], 2, 2, steps=20), whole)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="do not fill one batch"):
        draws([1.0, 1.0], 3)
    with pytest.raises(ValueError, match="above 0"):
        draws([1.0, 0.0], 1)
