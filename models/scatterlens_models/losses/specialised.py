"""The specialised loss: each attention branch learns from the attributes of its own group alone.

Guan et al. (WACV 2020), section 3.3.
"""

from collections.abc import Sequence

import torch

from scatterlens_models.losses.labels import total_loss
from scatterlens_models.nets.layers import TrainingOutput


def specialised_backward(
    output: TrainingOutput,
    labels_BA: torch.Tensor,
    groups: Sequence[Sequence[int]],
    shared: Sequence[torch.Tensor],
    branches: Sequence[torch.Tensor],
) -> torch.Tensor:
    """Fill `.grad` so that branch i learns from the attributes of group i alone; exact form.

    Every parameter in `branches` has one row for each group. All others get the gradient of the
    full loss, which is put together from the p group losses by their numbers of known labels, so
    p backward passes do. Nothing is detached: gradients flow through the maps to earlier layers.

    Returns:
        the full loss.
    """
    known = (labels_BA >= 0).sum(dim=0)
    counts = [int(known[list(group)].sum()) for group in groups]
    total = torch.zeros(())
    for parameter in (*shared, *branches):
        parameter.grad = torch.zeros_like(parameter)
    for i, (group, count) in enumerate(zip(groups, counts, strict=True)):
        weight = count / max(sum(counts), 1)
        loss = total_loss(output, labels_BA, group)
        total = total + weight * loss.detach()
        gradients = torch.autograd.grad(
            loss, (*shared, *branches), retain_graph=i + 1 < len(groups), allow_unused=True
        )
        for parameter, gradient in zip(shared, gradients[: len(shared)], strict=True):
            if gradient is not None and parameter.grad is not None:
                parameter.grad += weight * gradient
        for parameter, gradient in zip(branches, gradients[len(shared) :], strict=True):
            if gradient is not None and parameter.grad is not None:
                parameter.grad[i] = gradient[i]
    return total


def sampled_specialised_backward(
    output: TrainingOutput,
    labels_BA: torch.Tensor,
    groups: Sequence[Sequence[int]],
    branches: Sequence[torch.Tensor],
    drawn: int,
) -> torch.Tensor:
    """The specialised loss at the price of one more backward pass: only one group's branch learns.

    Branch `drawn` gets the gradient of its own group's loss, the other branches none (zero), every
    other parameter the gradient of the full loss. Draw a group at random for every step.

    Returns:
        the full loss.
    """
    group_loss = total_loss(output, labels_BA, groups[drawn])
    gradients = torch.autograd.grad(group_loss, branches, retain_graph=True)
    loss = total_loss(output, labels_BA)
    loss.backward()
    for parameter, gradient in zip(branches, gradients, strict=True):
        own = torch.zeros_like(parameter)
        own[drawn] = gradient[drawn]
        parameter.grad = own
    return loss.detach()
