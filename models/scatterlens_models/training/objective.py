"""Which gradient a step takes: the losses of the papers by the name that a recipe gives.

- `labels`: binary cross-entropy of main and side heads (Guan et al., Eq. 12), with the
  specialised loss where the recipe says so;
- `patches`: with the patch term of Loss-Attention (Shi et al., Eq. 10), which rises over the
  first 40 % of the run as the paper's does over 80 of 200 epochs;
- `margin`: the margin loss of capsules (Sabour et al. 2017, Eq. 4);
- `a_ch`, `a_px`: with the discriminative attention losses on these maps (Wang et al., Eq. 9).

Each may go with the evidence loss (ours), which pulls the attribute maps onto the evidence.
"""

import torch

from scatterlens_models.losses.discriminative import discriminative_loss
from scatterlens_models.losses.evidence import evidence_loss
from scatterlens_models.losses.labels import total_loss
from scatterlens_models.losses.patches import loss_attention_loss, margin_loss, ramp_up
from scatterlens_models.losses.specialised import (
    sampled_specialised_backward,
    specialised_backward,
)
from scatterlens_models.nets.aam import AAMVGG
from scatterlens_models.nets.layers import Net, TrainingOutput
from scatterlens_models.training.recipe import Recipe
from scatterlens_models.vocabulary import load_vocabulary

RAMP_SHARE = 0.4
"""Share of the run in which the patch term rises."""


def backward(
    net: Net,
    recipe: Recipe,
    x_BCHW: torch.Tensor,
    output: TrainingOutput,
    labels_BA: torch.Tensor,
    step: int,
    evidence_BAHW: torch.Tensor | None = None,
) -> torch.Tensor:
    """Fill `.grad` of every parameter; returns the loss.

    Args:
        net: network in training mode.
        recipe: names the objective.
        x_BCHW: the batch.
        output: what `net` said of it.
        labels_BA: int8, 1 present, 0 absent, -1 unknown.
        step: of the run, from 0; decides random draws and the ramp.
        evidence_BAHW: where the labels are true, for recipes with the evidence loss.

    Raises:
        ValueError: the network cannot have this objective.
    """
    if recipe.specialised != "none":
        return _specialised(net, recipe, output, labels_BA, step)
    if recipe.objective == "labels":
        loss = total_loss(output, labels_BA)
    elif recipe.objective == "patches":
        if output.patch_logits is None:
            raise ValueError(f"{recipe.method} has no patches; use the objective `labels`")
        ramp = max(recipe.passes // recipe.batch * RAMP_SHARE, 1.0)
        loss = loss_attention_loss(output, labels_BA, recipe.patch_weight * ramp_up(step, ramp))
    elif recipe.objective == "margin":
        loss = margin_loss(output.logits, labels_BA)
    else:
        sets = load_vocabulary(recipe.vocabulary).confusions
        loss = discriminative_loss(net, output, x_BCHW, labels_BA, sets, kind=recipe.objective)
    if recipe.evidence_weight and evidence_BAHW is not None:
        if output.attribute_maps is None:
            raise ValueError(f"{recipe.method} has no maps to lay on evidence; evidence_weight=0")
        located = evidence_loss(output.attribute_maps, evidence_BAHW, labels_BA)
        loss = loss + recipe.evidence_weight * located
    loss.backward()
    return loss.detach()


def _specialised(
    net: Net, recipe: Recipe, output: TrainingOutput, labels_BA: torch.Tensor, step: int
) -> torch.Tensor:
    if not isinstance(net, AAMVGG):
        raise ValueError(f"{recipe.method} has no branches to specialise; use specialised='none'")
    branches = [p for block in net.branch_parameters() for p in block]
    groups = net.groups
    if recipe.specialised == "sampled":
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
        drawn = int(torch.randint(len(groups), (), generator=generator))
        return sampled_specialised_backward(output, labels_BA, groups, branches, drawn)
    own = {id(p) for p in branches}
    shared = [p for p in net.parameters() if id(p) not in own]
    return specialised_backward(output, labels_BA, groups, shared, branches)
