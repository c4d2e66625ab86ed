"""Losses of main and side heads, with unknown labels left out.

Guan et al. (WACV 2020), Eq. 9 and 12. Labels are int8 (B, A): 1 present, 0 absent, -1 unknown.
"""

from collections.abc import Sequence

import torch
from torch.nn import functional

from scatterlens_models.nets.layers import TrainingOutput

SIDE_WEIGHT = 0.2
"""w of Eq. 12."""


def label_loss(
    logits_BA: torch.Tensor, labels_BA: torch.Tensor, attributes: Sequence[int] | None = None
) -> torch.Tensor:
    """Mean binary cross-entropy over the known labels of some attributes (Eq. 9).

    The mean runs over all known labels of the batch; without any the loss is zero.
    """
    if attributes is not None:
        logits_BA, labels_BA = logits_BA[:, list(attributes)], labels_BA[:, list(attributes)]
    known = labels_BA >= 0
    logits_BA = logits_BA.to(torch.promote_types(logits_BA.dtype, torch.float32))
    losses = functional.binary_cross_entropy_with_logits(
        logits_BA, labels_BA.clamp_min(0).to(logits_BA.dtype), reduction="none"
    )
    return (losses * known).sum() / known.sum().clamp_min(1)


def total_loss(
    output: TrainingOutput, labels_BA: torch.Tensor, attributes: Sequence[int] | None = None
) -> torch.Tensor:
    """Main loss plus the weighted side losses (Eq. 12) over some attributes."""
    loss = label_loss(output.logits, labels_BA, attributes)
    for side_BA in output.side_logits:
        loss = loss + SIDE_WEIGHT * label_loss(side_BA, labels_BA, attributes)
    return loss


def class_loss(output: TrainingOutput, classes_B: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of exclusive classes, main head plus the weighted side heads (Table 3)."""
    loss = functional.cross_entropy(output.logits, classes_B)
    for side_BA in output.side_logits:
        loss = loss + SIDE_WEIGHT * functional.cross_entropy(side_BA, classes_B)
    return loss
