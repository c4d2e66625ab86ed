"""Evidence loss: an attribute map shall lie where the simulator put what makes the label true.

Ours: none of the four papers had masks of the evidence, the simulator knows them. Like the game
that measures it (`evaluation.pointing`), it speaks of positive labels alone, and of where evidence
lies rather than how much of it there is: the label loss decides that.
"""

import torch
from torch.nn import functional


def evidence_loss(
    maps_BAhw: torch.Tensor, evidence_BAHW: torch.Tensor, labels_BA: torch.Tensor
) -> torch.Tensor:
    """Mean divergence (Kullback-Leibler, nat) of a map from the evidence, over positive labels.

    A map is read as a distribution: the softmax over cells of what the logit would be if the whole
    frame were like the cell. Labels without evidence (real frames) count for nothing; without any
    that counts the loss is zero.

    Args:
        maps_BAhw: attribute maps whose cells sum to the logit.
        evidence_BAHW: evidence weights, not negative, on a grid that h x w divides.
        labels_BA: 1 present, 0 absent, -1 unknown.
    """
    side = maps_BAhw.shape[-1]
    evidence = evidence_BAHW.float()
    evidence = functional.avg_pool2d(evidence, evidence.shape[-1] // side).flatten(2)
    total = evidence.sum(dim=2)
    counted = (labels_BA == 1) & (total > 0)
    wanted = evidence / total.clamp_min(1e-12)[..., None]
    found = functional.log_softmax(maps_BAhw.float().flatten(2) * side * side, dim=2)
    divergence = (torch.xlogy(wanted, wanted) - wanted * found).sum(dim=2)
    return (divergence * counted).sum() / counted.sum().clamp_min(1)
