"""The figures of one trained network: how well it tells attributes, and where it looks."""

import numpy as np
import torch

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.evaluation.overlay_quality import centre_maps, even_maps, overlay_quality
from scatterlens_models.evaluation.patches import (
    inside_mask,
    patch_agreement,
    patch_rectangles,
    predicted_labels,
    selected_patches,
)
from scatterlens_models.evaluation.pointing import pointing_game
from scatterlens_models.metrics import base_rate, mean_average_precision
from scatterlens_models.nets.layers import Net
from scatterlens_models.nets.loss_attention import ConvPatchNet, PatchNet
from scatterlens_models.nets.loss_attention.attention import XI
from scatterlens_models.nets.loss_attention.grid import patch_count
from scatterlens_models.reproduce.material import Material
from scatterlens_models.training.export import explain_all
from scatterlens_models.training.loop import predict

_BATCH = 32

Figures = dict[str, float | None]
"""By name; None where a figure is not defined."""


def measure(net: Net, material: Material) -> Figures:
    """All figures of a network on the test frames."""
    test = material.test
    labels, logits = test.labels.numpy(), predict(net, test.x)
    found: dict[str, float] = {
        "parameters": sum(p.numel() for p in net.parameters()),
        "mean_ap": mean_average_precision(logits, labels),
        "base_rate": base_rate(labels),
    }
    if material.exclusive:
        found["accuracy"] = float((logits.argmax(axis=1) == labels.argmax(axis=1)).mean())
    if material.evidence is not None:
        found |= _overlays(net, _first(test, len(material.evidence)), material.evidence)
    if material.shown is not None and isinstance(net, PatchNet):
        found |= _patches(net, _first(test, len(material.shown)), material.shown)
    return {name: None if np.isnan(value) else value for name, value in found.items()}


def _first(examples: Examples, count: int) -> Examples:
    return Examples(examples.x[:count], examples.labels[:count])


def _mean(values: np.ndarray) -> float:
    """Over attributes that some frame shows; NaN without any."""
    return float("nan") if np.isnan(values).all() else float(np.nanmean(values))


def _overlays(net: Net, judged: Examples, evidence_NAHW: np.ndarray) -> dict[str, float]:
    """Pointing game and energy inside the evidence, beside maps that know nothing."""
    maps, labels = explain_all(net, judged.x).maps, judged.labels.numpy()
    coverage = judged.x[:, 1].float().numpy()
    game = pointing_game(maps, evidence_NAHW, labels, coverage)
    grid = maps.shape[-1]

    def energy(shown: np.ndarray) -> float:
        return _mean(overlay_quality(shown, evidence_NAHW, labels).energy_inside)

    return {
        "pointing": _mean(game.hits),
        "pointing_random": _mean(game.random),
        "pointing_centre": _mean(game.centre),
        "energy": energy(maps),
        "energy_even": energy(even_maps(coverage, grid)),
        "energy_centre": energy(centre_maps(len(maps), grid)),
    }


def _patches(net: PatchNet, judged: Examples, shown_NHW: np.ndarray) -> dict[str, float]:
    """Patch precision, recall and F (Shi et al., section V), beside the precision of all patches.

    A patch is true where more than half of it lies on what the frame shows. Routing weighs
    capsules, not patches, and has none of these figures.
    """
    weights, logits = [], []
    net.eval()
    with torch.inference_mode():
        for start in range(0, len(judged.x), _BATCH):
            output = net(judged.x[start : start + _BATCH].float())
            if output.patch_logits is None or output.patch_weights is None:
                return {}
            logits.append(output.patch_logits.float())
            weights.append(output.patch_weights.float())
    size, labels = judged.x.shape[-1], judged.labels.numpy()
    side = patch_count(size // 2**net.halvings, net.patch_stride)
    rectangles = patch_rectangles((side, side), net.patch_stride, net.halvings)
    true_NM = np.stack([inside_mask(rectangles, shown, (size, size)) for shown in shown_NHW])
    scored = isinstance(net, ConvPatchNet) and net.pooling in ("attention", "gated")
    found = patch_agreement(
        selected_patches(torch.cat(weights).numpy(), XI if scored else 0.0),
        predicted_labels(torch.cat(logits).numpy()),
        labels,
        true_NM,
    )
    return {
        "patch_precision": found.precision,
        "patch_recall": found.recall,
        "patch_f": found.f_score,
        "patch_base": float(true_NM.mean()),
    }
