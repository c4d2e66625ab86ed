"""Losses and measures of patches: the paper's equations in plain loops, and counted examples."""

import math

import numpy as np
import pytest
import torch

from scatterlens_models.evaluation.patches import (
    bounding_box,
    f_score,
    inside_boxes,
    inside_mask,
    intersection_over_union,
    localisation,
    patch_agreement,
    patch_rectangles,
    predicted_labels,
    selected_patches,
)
from scatterlens_models.losses.labels import total_loss
from scatterlens_models.losses.patches import (
    GAMMA,
    equation_9,
    equation_10,
    loss_attention_loss,
    margin_loss,
    patch_loss,
    patch_loss_classes,
    ramp_up,
)
from scatterlens_models.nets.layers import TrainingOutput
from scatterlens_models.nets.loss_attention.attention import loss_weights
from scatterlens_models.nets.loss_attention.grid import PATCH


def example(frames: int = 4, patches: int = 6, attributes: int = 5, seed: int = 0):
    """Patches under Loss-Attention: an output in double precision."""
    generator = torch.Generator().manual_seed(seed)
    p = torch.randn(frames, patches, attributes, dtype=torch.float64, generator=generator) * 2
    weights = loss_weights(p, 0.5)
    return TrainingOutput((weights.unsqueeze(2) * p).sum(dim=1), (), p, weights)


LABELS = torch.tensor(
    [[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 1, 1, 0, 1]], dtype=torch.int8
)


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def patch_term(output: TrainingOutput, labels: np.ndarray) -> float:
    """The last term of Eq. 10 without gamma and sign."""
    assert output.patch_logits is not None
    assert output.patch_weights is not None
    p, alpha = output.patch_logits.numpy(), output.patch_weights.numpy()
    total = 0.0
    for i in range(len(p)):
        for m in range(p.shape[1]):
            logs = [
                math.log(min(max(logistic(p[i, m, k]), 1e-6), 1 - 1e-6))
                for k in range(p.shape[2])
                if labels[i, k] == 1
            ]
            total += alpha[i, m] * max(logs) if logs else 0.0
    return total / len(p)


@pytest.mark.parametrize(
    ("epoch", "gamma"),
    [(1, 0.00076), (10, 0.00218), (20, 0.00601), (40, 0.02865), (60, 0.07316), (79, 0.09992)],
)
def test_the_ramp_has_the_published_values(epoch, gamma):
    assert GAMMA * ramp_up(epoch) == pytest.approx(gamma, abs=5.1e-6)
    assert ramp_up(epoch / 8, length=10) == pytest.approx(ramp_up(epoch), abs=1e-12)


def test_the_ramp_is_nothing_at_first_and_whole_at_last():
    assert ramp_up(0) == ramp_up(-1) == 0
    assert ramp_up(80) == ramp_up(200) == 1


def test_multi_label_loss_equals_equation_10():
    output, gamma = example(), 0.07
    z, y = output.logits.numpy(), LABELS.numpy()
    image = 0.0
    for i in range(4):
        for k in range(5):
            s = logistic(z[i, k])
            image -= y[i, k] * math.log(s) + (1 - y[i, k]) * math.log(1 - s)
    expected = image / 4 - gamma * patch_term(output, y)
    assert float(equation_10(output, LABELS, gamma)) == pytest.approx(expected, abs=1e-9)
    assert float(patch_loss(output, LABELS)) == pytest.approx(-patch_term(output, y), abs=1e-9)
    # The loss of training means over attributes what Eq. 10 sums.
    trained = float(loss_attention_loss(output, LABELS, gamma))
    assert 5 * trained == pytest.approx(expected, abs=1e-9)


def test_single_label_loss_equals_equation_9():
    output, gamma, classes = example(), 0.07, [3, 0, 4, 1]
    assert output.patch_logits is not None
    assert output.patch_weights is not None

    def cross_entropy(logits, k):
        return -math.log(math.exp(logits[k]) / sum(math.exp(v) for v in logits))

    image = patches = 0.0
    for i, k in enumerate(classes):
        image += cross_entropy(output.logits[i].tolist(), k) / 4
        for m in range(6):
            own = cross_entropy(output.patch_logits[i, m].tolist(), k)
            patches += float(output.patch_weights[i, m]) * own / 4
    found = patch_loss_classes(output, torch.tensor(classes))
    assert float(found) == pytest.approx(patches, abs=1e-9)
    whole = equation_9(output, torch.tensor(classes), gamma)
    assert float(whole) == pytest.approx(image + gamma * patches, abs=1e-9)


def test_the_corrected_first_proposition_holds():
    output = example(64, 9, 7, seed=3)
    assert output.patch_logits is not None
    assert output.patch_weights is not None
    q = output.patch_logits.softmax(dim=2)
    for t in range(7):
        ratios = (q / q[:, :, t : t + 1]) ** output.patch_weights.unsqueeze(2)
        others = [k for k in range(7) if k != t]
        rest = ratios.prod(dim=1)[:, others].sum(dim=1)
        direct = (output.logits - output.logits[:, t : t + 1]).exp()[:, others].sum(dim=1)
        torch.testing.assert_close(rest, direct, rtol=1e-9, atol=0)
        loss = torch.nn.functional.cross_entropy(
            output.logits, torch.full((64,), t), reduction="none"
        )
        torch.testing.assert_close(loss, rest.log1p(), rtol=0, atol=1e-9)
        assert (loss >= rest / (1 + rest)).all()


def test_without_gamma_nothing_but_the_label_loss_is_left():
    output = example()
    assert torch.equal(loss_attention_loss(output, LABELS, 0.0), total_loss(output, LABELS))


def test_with_one_positive_each_the_patch_term_is_a_weighted_log_probability():
    output = example()
    assert output.patch_logits is not None
    assert output.patch_weights is not None
    labels = torch.eye(5, dtype=torch.int8)[[2, 0, 4, 1]]
    chosen = output.patch_logits[range(4), :, [2, 0, 4, 1]]
    expected = -(output.patch_weights * torch.nn.functional.logsigmoid(chosen)).sum(dim=1).mean()
    torch.testing.assert_close(patch_loss(output, labels), expected, rtol=0, atol=1e-9)


def test_unknown_labels_are_no_labels():
    output = example()
    labels = LABELS.clone()
    labels[0] = torch.tensor([1, -1, -1, 0, -1])
    expected = -patch_term(output, labels.numpy())
    assert float(patch_loss(output, labels)) == pytest.approx(expected, abs=1e-9)
    assert float(patch_loss(output, torch.full_like(LABELS, -1))) == 0
    assert float(loss_attention_loss(output, torch.full_like(LABELS, -1), 0.1)) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e4])
def test_extreme_patches_have_finite_loss_and_gradients(size, dtype):
    p = torch.full((2, 3, 5), -size, dtype=dtype, requires_grad=True)
    weights = loss_weights(p)
    output = TrainingOutput((weights.unsqueeze(2) * p).sum(dim=1), (), p, weights)
    loss = loss_attention_loss(output, LABELS[:2], 0.1)
    loss.backward()
    assert torch.isfinite(loss)
    assert p.grad is not None
    assert torch.isfinite(p.grad).all()
    if size:
        assert patch_loss(output, LABELS[:2]).item() == pytest.approx(-math.log(1e-6) / 2, rel=1e-5)


def test_the_patch_term_moves_weights_and_logits():
    p = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    patch_loss(TrainingOutput(p[:, 0], (), p.detach(), loss_weights(p)), LABELS[:2]).backward()
    assert p.grad is not None
    assert p.grad[0].abs().max() > 0


@pytest.mark.parametrize(
    "loss", [lambda o: patch_loss(o, LABELS), lambda o: patch_loss_classes(o, LABELS[:, 0].long())]
)
def test_networks_without_patches_are_refused(loss):
    with pytest.raises(ValueError, match="no patches"):
        loss(TrainingOutput(torch.zeros(4, 5)))


def test_margin_loss_equals_its_equation():
    lengths = np.array([[0.95, 0.05, 0.3], [0.2, 0.7, 0.9]])
    labels = np.array([[1, 0, -1], [1, 0, 0]])
    expected = 0.0
    for i in range(2):
        for k in range(3):
            if labels[i, k] == 1:
                expected += max(0, 0.9 - lengths[i, k]) ** 2 / 2
            if labels[i, k] == 0:
                expected += 0.5 * max(0, lengths[i, k] - 0.1) ** 2 / 2
    logits = torch.from_numpy(np.log(lengths / (1 - lengths)))
    found = margin_loss(logits, torch.from_numpy(labels).to(torch.int8))
    assert float(found) == pytest.approx(expected, abs=1e-9)


def test_rectangles_are_nine_cells_wide():
    found = patch_rectangles((2, 3), patch_stride=2, halvings=3)
    assert found.tolist() == [
        [0, 0, 72, 72],
        [0, 16, 72, 88],
        [0, 32, 72, 104],
        [16, 0, 88, 72],
        [16, 16, 88, 88],
        [16, 32, 88, 104],
    ]
    paper = patch_rectangles((6, 6), 4, 0)
    assert paper.shape == (36, 4)
    assert paper.max() == 29
    assert set((paper[:, 2] - paper[:, 0]).tolist()) == {PATCH}


def test_a_patch_is_inside_with_more_than_half_of_its_area():
    rectangles = patch_rectangles((1, 3), 4, 1)  # columns 0-18, 8-26, 16-34
    assert inside_boxes(rectangles, np.array([[0, 0, 18, 18]])).tolist() == [True, True, False]
    assert inside_boxes(rectangles, np.array([[0, 0, 18, 17]])).tolist() == [True, False, False]
    # Two boxes do not add up: the patch lies in neither for the most part.
    assert not inside_boxes(rectangles, np.array([[0, 0, 9, 40], [9, 0, 18, 40]])).any()
    assert not inside_boxes(rectangles, np.zeros((0, 4))).any()


def test_masks_tell_the_same_as_boxes_on_any_grid():
    rectangles = patch_rectangles((6, 6), 4, 1)
    rng = np.random.default_rng(0)
    for _ in range(30):
        low, high = np.sort(rng.integers(0, 17, (2, 2)), axis=0)
        coarse = np.zeros((16, 16), dtype=bool)
        coarse[low[0] : high[0], low[1] : high[1]] = True
        box = np.concatenate((low, high)) * 4
        expected = inside_boxes(rectangles, box[None])
        np.testing.assert_array_equal(inside_mask(rectangles, coarse, (64, 64)), expected)
        fine = coarse.repeat(4, axis=0).repeat(4, axis=1)
        np.testing.assert_array_equal(inside_mask(rectangles, fine), expected)


def test_patches_are_selected_by_their_weight():
    weights = np.array([[0.0, 0.02, 0.48, 0.5], [0.25, 0.25, 0.25, 0.25]])
    assert selected_patches(weights).tolist() == [[False, True, True, True], [True] * 4]
    assert selected_patches(weights, 0.1).tolist() == [[False, False, True, True], [True] * 4]


def test_patches_show_the_largest_or_all_that_are_likely():
    logits = np.array([[[1.0, 2.0, -1.0], [-1.0, -3.0, -2.0]]])
    assert predicted_labels(logits).tolist() == [[[True, True, False], [False] * 3]]
    assert predicted_labels(logits, exclusive=True).tolist() == [
        [[False, True, False], [True, False, False]]
    ]


def test_precision_and_recall_count_the_hits():
    selected = np.array([[1, 1, 1, 0], [1, 0, 0, 0]], dtype=bool)
    predicted = np.zeros((2, 4, 2), dtype=bool)
    predicted[0, [0, 1, 3], 0] = True  # the third patch is selected, but shows nothing
    predicted[1, 0, 1] = True  # not a label of this frame
    labels = np.array([[1, 0], [1, -1]])
    true = np.array([[1, 0, 1, 1], [1, 0, 0, 0]], dtype=bool)
    found = patch_agreement(selected, predicted, labels, true)
    assert (found.hits, found.true) == (2, 4)
    assert (found.precision, found.recall) == (0.5, 0.25)
    assert found.f_score == pytest.approx(1 / 3)
    nothing = patch_agreement(~selected & selected, predicted, labels, true)
    assert math.isnan(nothing.precision)
    assert nothing.recall == 0


def test_the_f_score_is_that_of_the_papers_table():
    assert round(f_score(82.67, 29.98), 2) == 44.00
    assert f_score(0.0, 0.0) == 0


def test_the_box_around_the_selected_patches_is_compared_with_the_true_one():
    rectangles = patch_rectangles((6, 6), 4, 0)
    selected = np.zeros((4, 36), dtype=bool)
    selected[0, [0, 7]] = True  # rows and columns 0 to 13
    selected[1] = True
    selected[2, 35] = True
    assert bounding_box(rectangles, selected[0]).tolist() == [0, 0, 13, 13]
    assert np.isnan(bounding_box(rectangles, selected[3])).all()
    boxes = np.array([[0, 0, 13, 13], [0, 0, 13, 13], [20, 20, 29, 28], [0, 0, 9, 9]])
    found = localisation(rectangles, selected, boxes, np.array([True, True, False, True]))
    assert (found.share, found.share_right_class, found.frames) == (0.5, 0.25, 4)
    assert math.isnan(localisation(rectangles, selected[:0], boxes[:0], selected[:0, 0]).share)


def test_overlap_of_boxes_by_hand():
    box = np.array([0.0, 0.0, 2.0, 4.0])
    assert intersection_over_union(box, box) == 1
    assert intersection_over_union(box, np.array([1.0, 2.0, 3.0, 6.0])) == pytest.approx(2 / 14)
    assert intersection_over_union(box, np.array([2.0, 0.0, 4.0, 4.0])) == 0
    assert intersection_over_union(box, np.full(4, np.nan)) == 0
