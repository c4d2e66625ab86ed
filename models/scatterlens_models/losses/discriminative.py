"""Losses on attention maps: keep apart what a network looks at for classes that it confuses.

Wang et al., "Sharpen Focus: Learning with Attention Separability and Consistency" (ICCV 2019);
equation numbers are those of its first version, "Reducing Visual Confusion with Discriminative
Attention".

Where the paper is silent:
- theta of Eq. 8 has no value there (it does not change gradients);
- the mask of Eq. 7 is taken from the target's last map divided by its maximum, since omega = 100
  would not tell cells apart on maps of small numbers; it is detached, or a network could make the
  losses small by shrinking it; at the inner layer it is spread bilinearly;
- both maps of a pair are divided by their own detached maximum, since their gradients differ in
  scale; without that, by the larger of both, which leaves Eq. 6 and 8 as they are;
- batch normalisation keeps its running statistics, see `frozen_statistics`;
- with several labels, the target is the sum of a frame's positive logits, the confusing one its
  highest negative, within confusion sets: attributes that go together in nature (a ring and its
  isotropy) may share their place.

Legend: B frames (or pairs), A attributes, H W grid. Labels are int8: 1 present, 0 absent, -1
unknown. Losses differentiate twice, which `torch.compile` does not support.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

from scatterlens_models.losses.labels import total_loss
from scatterlens_models.nets.gradient_maps import MAPS, frozen_statistics
from scatterlens_models.nets.layers import Net, TrainingOutput

OMEGA = 100.0
"""Steepness of the mask, Eq. 7."""
SIGMA = 0.55
"""sigma_0 of Eq. 7, as a share of the map's maximum."""
THETA = 0.8
"""Constant of Eq. 8."""
EPSILON = 1e-6
"""Keeps a dead map from dividing zero by zero; the largest cell of a map here is one."""

ConfusionSets = Sequence[Sequence[int]]
"""Indices of attributes that are mistaken for one another; a set each."""


def soft_mask(last_BHW: torch.Tensor) -> torch.Tensor:
    """Where the target is (Eq. 7): 1 / (1 + exp(-omega (A - sigma_0))), detached.

    Args:
        last_BHW: the target's maps >= 0 of the last layer; each is divided by its maximum.

    Returns:
        (B, H, W) in (0, 1).
    """
    last_BHW = last_BHW.detach()
    return torch.sigmoid(OMEGA * (last_BHW / _peak(last_BHW) - SIGMA))


def soft_iou(
    target_BHW: torch.Tensor, confusing_BHW: torch.Tensor, mask_BHW: torch.Tensor
) -> torch.Tensor:
    """How much two maps overlap within a mask (Eq. 6), (B,) in [0, 1]; 0 where both are dead."""
    shared_B = (torch.minimum(target_BHW, confusing_BHW) * mask_BHW).sum(dim=(1, 2))
    return 2 * shared_B / ((target_BHW + confusing_BHW).sum(dim=(1, 2)) + EPSILON)


def consistency(inner_BHW: torch.Tensor, mask_BHW: torch.Tensor) -> torch.Tensor:
    """theta minus the share of the inner map within the mask (Eq. 8), (B,).

    In [theta - 1, theta]; theta where the map is dead.
    """
    within_B = (inner_BHW * mask_BHW).sum(dim=(1, 2))
    return THETA - within_B / (inner_BHW.sum(dim=(1, 2)) + EPSILON)


class Pairs(NamedTuple):
    """What is held against what in each of B frames."""

    target: torch.Tensor
    """1 for every logit in the target score, (B, A)."""
    confusing: torch.Tensor
    """One-hot: the most confusing attribute, (B, A)."""
    weight: torch.Tensor
    """Share of this pair in the frame's loss, (B,); 0 where the frame has no such pair."""


def _sharing(attributes: int, sets: ConfusionSets | None, device: torch.device) -> torch.Tensor:
    """Whether two different attributes share a set, (A, A); all do without sets."""
    sharing_AA = torch.zeros((attributes, attributes), dtype=torch.bool, device=device)
    for members in sets or [range(attributes)]:
        index = torch.tensor(list(members), device=device)
        sharing_AA[index[:, None], index] = True
    return sharing_AA.fill_diagonal_(False)


def _participating(labels_BA: torch.Tensor, sharing_AA: torch.Tensor) -> torch.Tensor:
    """Positives that share a set with a known negative of the same frame, (B, A)."""
    negatives = (labels_BA == 0).float()
    return (labels_BA == 1) & (negatives @ sharing_AA.float() > 0)


def confusing_pairs(
    logits_BA: torch.Tensor,
    labels_BA: torch.Tensor,
    confusion_sets: ConfusionSets | None,
    per_positive: bool = False,
) -> Iterator[Pairs]:
    """What each frame is most likely to be mistaken for.

    A positive takes part if it shares a set with a known negative. The confusing attribute is the
    highest-scoring known negative that shares a set with a positive of the frame.

    Args:
        logits_BA: scores.
        labels_BA: int8 labels.
        confusion_sets: sets of attributes; None or empty: all attributes are one set.
        per_positive: one pair for each positive, where otherwise all of a frame form one target.

    Yields:
        one pair of each frame at a time.
    """
    sharing_AA = _sharing(labels_BA.shape[1], confusion_sets, labels_BA.device)
    takes_part_BA = _participating(labels_BA, sharing_AA)
    count_B = takes_part_BA.sum(dim=1)
    if not per_positive:
        targets = [takes_part_BA]
    else:
        # The first positive of every frame, then the second: no more passes than a frame needs.
        rank_BA = takes_part_BA.cumsum(dim=1)
        most = int(count_B.max()) if len(count_B) else 0
        targets = [takes_part_BA & (rank_BA == rank) for rank in range(1, most + 1)]
    for target_BA in targets:
        candidates_BA = (labels_BA == 0) & (target_BA.float() @ sharing_AA.float() > 0)
        highest_B = logits_BA.detach().masked_fill(~candidates_BA, -torch.inf).argmax(dim=1)
        present_B = candidates_BA.any(dim=1)
        weight_B = present_B.to(logits_BA.dtype)
        yield Pairs(
            target_BA.to(logits_BA.dtype),
            functional.one_hot(highest_B, labels_BA.shape[1]).to(logits_BA.dtype),
            weight_B / count_B.clamp_min(1) if per_positive else weight_B,
        )


def attention_losses(
    net: Net,
    x_BCHW: torch.Tensor,
    labels_BA: torch.Tensor,
    confusion_sets: ConfusionSets | None,
    kind: str = "a_ch",
    per_positive: bool = False,
    normalise: bool = True,
) -> torch.Tensor:
    """sIoU of the inner and of the last layer and their consistency (Eq. 6-9, without L_cls).

    A pass of its own, in evaluation mode and at least single precision; the gradients that the
    maps are made of stay in the graph. Frames without a pair are left out.

    Args:
        net: network; the mode of each module and all buffers stay as they are.
        x_BCHW: prepared frames.
        labels_BA: int8 labels.
        confusion_sets: sets of attributes, such as `Vocabulary.confusions`; None or empty: every
            known positive against the highest-scoring known negative.
        kind: a name in `nets.gradient_maps.MAPS`.
        per_positive: one pair for each positive of a frame, whose losses are averaged.
        normalise: divide every map by its own maximum (detached), not by that of its pair.

    Returns:
        mean over the frames that have a pair; zero, with a graph, where none has.

    Raises:
        ValueError: an unknown kind of map.
    """
    if kind not in MAPS:
        raise ValueError(f"no map {kind!r}; there are {', '.join(MAPS)}")
    sharing_AA = _sharing(labels_BA.shape[1], confusion_sets, labels_BA.device)
    chosen_B = _participating(labels_BA, sharing_AA).any(dim=1)
    if not chosen_B.any():
        learning = (p.sum() for p in net.parameters() if p.requires_grad)
        return 0 * sum(learning, start=x_BCHW.new_zeros(()))
    x_BCHW, labels_BA = x_BCHW[chosen_B], labels_BA[chosen_B]
    x_BCHW = x_BCHW.to(torch.promote_types(x_BCHW.dtype, torch.float32))
    with frozen_statistics(net), torch.autocast(x_BCHW.device.type, enabled=False):
        f_BKHW = net.inner(x_BCHW)
        if not f_BKHW.requires_grad:  # where all below is frozen
            f_BKHW.requires_grad_()
        h_BKHW = net.last(f_BKHW)
        logits_BA = net.score(h_BKHW)
        total = logits_BA.new_zeros(())
        for pairs in confusing_pairs(logits_BA, labels_BA, confusion_sets, per_positive):
            features = f_BKHW, h_BKHW
            target = _layer_maps(logits_BA, pairs.target, features, kind)
            confusing = _layer_maps(logits_BA, pairs.confusing, features, kind)
            losses_B = _pair_losses(target, confusing, normalise)
            total = total + (pairs.weight * losses_B).sum()
    return total / len(x_BCHW)


def discriminative_loss(
    net: Net,
    output: TrainingOutput,
    x_BCHW: torch.Tensor,
    labels_BA: torch.Tensor,
    confusion_sets: ConfusionSets | None,
    kind: str = "a_ch",
    per_positive: bool = False,
    normalise: bool = True,
) -> torch.Tensor:
    """The whole of Eq. 9, all weights 1: the loss of the labels plus `attention_losses`.

    Args:
        net: network.
        output: what the network said of the frames, in training mode.
        x_BCHW: the same prepared frames.
        labels_BA: int8 labels.
        confusion_sets: as for `attention_losses`, and so are the others.
        kind: name of the maps.
        per_positive: one pair for each positive.
        normalise: divide every map by its own maximum.
    """
    return total_loss(output, labels_BA) + attention_losses(
        net, x_BCHW, labels_BA, confusion_sets, kind, per_positive, normalise
    )


class _LayerMaps(NamedTuple):
    """Maps of one score, (B, H, W) each."""

    inner: torch.Tensor
    last: torch.Tensor


def _layer_maps(
    logits_BA: torch.Tensor,
    weights_BA: torch.Tensor,
    features: tuple[torch.Tensor, torch.Tensor],
    kind: str,
) -> _LayerMaps:
    """Maps of one score at both layers, with the graph of their own gradients."""
    gradients = torch.autograd.grad((logits_BA * weights_BA).sum(), features, create_graph=True)
    return _LayerMaps(*(MAPS[kind](f, g) for f, g in zip(features, gradients, strict=True)))


def _pair_losses(target: _LayerMaps, confusing: _LayerMaps, normalise: bool) -> torch.Tensor:
    """sIoU_inner + sIoU_last + L_ac of each pair, (B,)."""
    mask_BHW = soft_mask(target.last)
    inner_mask_BHW = functional.interpolate(
        mask_BHW[:, None], size=target.inner.shape[-2:], mode="bilinear", align_corners=False
    )[:, 0]
    inner_target_BHW, inner_confusing_BHW = _scaled(target.inner, confusing.inner, normalise)
    last_target_BHW, last_confusing_BHW = _scaled(target.last, confusing.last, normalise)
    return (
        soft_iou(inner_target_BHW, inner_confusing_BHW, inner_mask_BHW)
        + soft_iou(last_target_BHW, last_confusing_BHW, mask_BHW)
        + consistency(inner_target_BHW, inner_mask_BHW)
    )


def _scaled(
    target_BHW: torch.Tensor, confusing_BHW: torch.Tensor, own: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both maps divided by their own maximum, or by that of both.

    Eq. 6 and 8 do not change with a common factor, so the latter only gives `EPSILON` a scale.
    """
    peaks = _peak(target_BHW), _peak(confusing_BHW)
    if not own:
        peaks = (torch.maximum(*peaks),) * 2
    return target_BHW / peaks[0], confusing_BHW / peaks[1]


def _peak(maps_BHW: torch.Tensor) -> torch.Tensor:
    """Detached maximum of each map, (B, 1, 1); the smallest number where a map is dead."""
    highest = maps_BHW.detach().amax(dim=(1, 2), keepdim=True)
    return highest.clamp_min(torch.finfo(maps_BHW.dtype).tiny)
