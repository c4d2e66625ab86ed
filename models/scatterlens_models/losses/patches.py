"""Losses that see patches: Loss-Attention (Eq. 9 and 10), and the margin loss of capsules.

Shi et al. (IEEE TIP 2021). Labels are int8 (B, A): 1 present, 0 absent, -1 unknown.
"""

import math

import torch
from torch.nn import functional

from scatterlens_models.losses.labels import total_loss
from scatterlens_models.nets.layers import TrainingOutput

GAMMA = 0.1
"""Weight of the patch term after the ramp; gamma(epoch) = GAMMA * ramp_up(epoch)."""
RAMP_EPOCHS = 80.0
CLAMP = 1e-6
"""Patch probabilities stay this far from zero and one."""
MARGIN_PRESENT, MARGIN_ABSENT, ABSENT_WEIGHT = 0.9, 0.1, 0.5
"""m+, m- and lambda of Sabour et al. (NIPS 2017), Eq. 4."""


def ramp_up(epoch: float, length: float = RAMP_EPOCHS) -> float:
    """exp(-5 (1 - T)^2) with T = epoch / length; exactly 0 up to epoch 0, 1 from `length` on.

    The paper prints it without the 5, which its code and the ramp of Laine & Aila (2017) have.
    """
    if epoch <= 0:
        return 0.0
    if epoch >= length:
        return 1.0
    return math.exp(-5.0 * (1.0 - epoch / length) ** 2)


def _patches(output: TrainingOutput) -> tuple[torch.Tensor, torch.Tensor]:
    """Patch logits (B, M, A) in single precision at least, and patch weights (B, M)."""
    if output.patch_logits is None or output.patch_weights is None:
        raise ValueError(
            "this network has no patches to learn from; train it by `labels.total_loss` alone"
        )
    p_BMA = output.patch_logits
    return p_BMA.to(torch.promote_types(p_BMA.dtype, torch.float32)), output.patch_weights


def patch_loss_classes(output: TrainingOutput, classes_B: torch.Tensor) -> torch.Tensor:
    """Patch term of Eq. 9, before gamma: weighted cross-entropy of every patch, mean over frames.

    Raises:
        ValueError: the network decides by no patches.
    """
    p_BMA, weights_BM = _patches(output)
    losses_BM = functional.cross_entropy(
        p_BMA.transpose(1, 2),
        classes_B.unsqueeze(1).expand(-1, p_BMA.shape[1]),
        reduction="none",
    )
    return (weights_BM * losses_BM).sum(dim=1).mean()


def patch_loss(output: TrainingOutput, labels_BA: torch.Tensor) -> torch.Tensor:
    """Patch term of Eq. 10, before gamma: every patch shall show one of the frame's attributes.

    Mean over frames; a frame without a known positive label counts with zero.

    Raises:
        ValueError: the network decides by no patches.
    """
    p_BMA, weights_BM = _patches(output)
    positive_BA = labels_BA == 1
    # The logistic grows with its argument, so the largest logit has the largest log-probability.
    lowest = torch.finfo(p_BMA.dtype).min
    best_BM = p_BMA.masked_fill(~positive_BA.unsqueeze(1), lowest).amax(dim=2)
    losses_BM = -torch.sigmoid(best_BM).clamp(CLAMP, 1 - CLAMP).log()
    losses_B = (weights_BM * losses_BM).sum(dim=1)
    return torch.where(positive_BA.any(dim=1), losses_B, 0.0).mean()


def loss_attention_loss(
    output: TrainingOutput, labels_BA: torch.Tensor, gamma: float
) -> torch.Tensor:
    """Label loss plus the patch term: what a patch network is trained by.

    The label loss is a mean over attributes where Eq. 10 has a sum, so gamma is divided by A;
    with all labels known this is Eq. 10 divided by A.

    Args:
        output: of a network with patches.
        labels_BA: 1 present, 0 absent, -1 unknown.
        gamma: weight of the patch term, `GAMMA` * `ramp_up`.
    """
    loss = total_loss(output, labels_BA)
    return loss + gamma / labels_BA.shape[1] * patch_loss(output, labels_BA)


def equation_10(output: TrainingOutput, labels_BA: torch.Tensor, gamma: float) -> torch.Tensor:
    """Eq. 10 as printed, with its sum over attributes; unknown labels are left out of it."""
    known = labels_BA >= 0
    logits = output.logits.to(torch.promote_types(output.logits.dtype, torch.float32))
    losses = functional.binary_cross_entropy_with_logits(
        logits, labels_BA.clamp_min(0).to(logits.dtype), reduction="none"
    )
    return (losses * known).sum(dim=1).mean() + gamma * patch_loss(output, labels_BA)


def equation_9(output: TrainingOutput, classes_B: torch.Tensor, gamma: float) -> torch.Tensor:
    """Eq. 9: cross-entropy of exclusive classes with its patch term."""
    loss = functional.cross_entropy(output.logits, classes_B)
    return loss + gamma * patch_loss_classes(output, classes_B)


def margin_loss(logits_BA: torch.Tensor, labels_BA: torch.Tensor) -> torch.Tensor:
    """Margin loss of Sabour et al. (NIPS 2017), Eq. 4: sum over known labels, mean over frames.

    Args:
        logits_BA: ln(|v| / (1 - |v|)) of each attribute's capsule, as routing gives them.
        labels_BA: 1 present, 0 absent, -1 unknown.
    """
    lengths = torch.sigmoid(logits_BA.to(torch.promote_types(logits_BA.dtype, torch.float32)))
    present = torch.relu(MARGIN_PRESENT - lengths).square()
    absent = ABSENT_WEIGHT * torch.relu(lengths - MARGIN_ABSENT).square()
    return (present * (labels_BA == 1) + absent * (labels_BA == 0)).sum(dim=1).mean()
