"""A trained network to a bundle: calibrate, measure, write one ONNX graph, check it, seal it."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from scatterlens_models.bundle import Bundle, load_bundle, seal_bundle
from scatterlens_models.datasets.examples import Examples
from scatterlens_models.evaluation.calibration import fit_temperatures, fit_thresholds, sigmoid
from scatterlens_models.gradients import GRADIENT_FILE
from scatterlens_models.nets.gradient_maps import MAPS
from scatterlens_models.nets.layers import Net
from scatterlens_models.preprocess import PreprocessSpec
from scatterlens_models.training.checkpoint import save_weights
from scatterlens_models.training.export_error import ExportError
from scatterlens_models.training.gradient_export import write_gradient_onnx
from scatterlens_models.training.recipe import Recipe
from scatterlens_models.vocabulary import load_vocabulary

TOLERANCE = 1e-4
"""Largest |onnxruntime - torch| allowed, times max(1, largest output)."""
MAP_PERCENTILE = 99.0
WEIGHTS_FILE = "weights.safetensors"
"""What a later run may start from: the graph has its normalisations folded in."""
SHRINKAGE = 0.05
"""Share of the mean variance mixed into the covariance of the features."""


class ServedNet(nn.Module):
    """A network with its temperature inside, giving the outputs of the bundle contract."""

    temperatures: torch.Tensor

    def __init__(self, net: Net, temperatures: np.ndarray) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("temperatures", torch.from_numpy(temperatures).float())

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Probabilities, attribute maps, features and, where there are any, attention maps."""
        explained = self.net.explain(frames)
        outputs = (
            torch.sigmoid(explained.logits / self.temperatures),
            explained.attribute_maps,
            explained.features,
        )
        if explained.attention_maps is None:
            return outputs
        return (*outputs, explained.attention_maps)


@dataclass(frozen=True, eq=False)
class Explained:
    """What a network says of a whole split, before calibration."""

    logits: np.ndarray
    """(N, A)."""
    maps: np.ndarray
    """(N, A, h, w) float32."""
    features: np.ndarray
    """(N, D)."""


def explain_all(net: Net, x: torch.Tensor, batch: int = 32) -> Explained:
    """Run `explain` over a split in evaluation mode."""
    net.eval()
    parts = []
    with torch.inference_mode():
        for i in range(0, len(x), batch):
            found = net.explain(x[i : i + batch].float())
            parts.append((found.logits, found.attribute_maps, found.features))
    logits, maps, features = (torch.cat(p).numpy() for p in zip(*parts, strict=True))
    return Explained(logits, maps, features)


def novelty_arrays(features_ND: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, precision of the shrunk covariance, and distances at 1,001 percentiles."""
    mean = features_ND.mean(axis=0)
    offsets = features_ND - mean
    covariance = offsets.T @ offsets / max(len(offsets) - 1, 1)
    spread = max(np.trace(covariance) / len(covariance), 1e-12)
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * spread * np.eye(len(covariance))
    precision = np.linalg.inv(covariance)
    distances = np.sqrt(np.einsum("nd,de,ne->n", offsets, precision, offsets))
    return {
        "mean": mean.astype(np.float32),
        "precision": precision.astype(np.float32),
        "quantiles": np.quantile(distances, np.linspace(0, 1, 1001)).astype(np.float32),
    }


def map_scale(maps_NAhw: np.ndarray, labels_NA: np.ndarray) -> list[float]:
    """99th percentile of every attribute's positive evidence: what full colour stands for."""
    # Only frames that show an attribute set its scale: cells elsewhere are mostly dark.
    positive = np.maximum(maps_NAhw, 0)
    return [
        float(np.percentile(positive[labels_NA[:, a] == 1, a], MAP_PERCENTILE))
        if (labels_NA[:, a] == 1).any()
        else float(positive[:, a].max())
        for a in range(labels_NA.shape[1])
    ]


def forget_origin(path: Path) -> None:
    """Take out of a graph in which source files its nodes arose: paths of the exporting machine."""
    model = onnx.load(path)
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input):
        del part.metadata_props[:]
        part.doc_string = ""
    for part in (*model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    del model.graph.metadata_props[:]
    onnx.save(model, path)


def write_onnx(served: nn.Module, example: torch.Tensor, path: Path, attention: bool) -> None:
    """Export with a dynamic batch and compare onnxruntime with torch on every output.

    Raises:
        ExportError: an output differs by more than the tolerance times max(1, its largest value)
            at batch 1 or 5.
    """
    names = ["probabilities", "attribute_maps", "features"]
    names += ["attention_maps"] if attention else []
    served.eval()
    torch.onnx.export(
        served,
        (example[:2],),
        str(path),
        dynamo=True,
        opset_version=18,
        input_names=["frames"],
        output_names=names,
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
        external_data=False,
        verbose=False,
    )
    forget_origin(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in (1, 5):
        frames = example[:batch]
        with torch.inference_mode():
            expected = served(frames)
        for name, theirs, ours in zip(
            names, session.run(names, {"frames": frames.numpy()}), expected, strict=True
        ):
            difference = float(np.abs(np.asarray(theirs) - ours.numpy()).max())
            if difference > TOLERANCE * max(1.0, float(ours.abs().max())):
                raise ExportError(f"{name} differs by {difference:.2e} at batch {batch}")


def export(
    net: Net,
    recipe: Recipe,
    validation: Examples,
    folder: Path,
    name: str,
    provenance: dict[str, Any],
    gradients: bool = False,
) -> Bundle:
    """Calibrate a trained network on validation frames and write its bundle.

    Args:
        net: trained network.
        recipe: how it was trained.
        validation: frames for temperature, thresholds, map scale and novelty.
        folder: where the bundle comes to lie; replaced as a whole.
        name: name of the line of models.
        provenance: data sets, seeds and versions that the weights come from.
        gradients: also write the graph of gradient maps, see `training.gradient_export`.

    Raises:
        ExportError: a graph that cannot be written, or that differs from the network.
    """
    vocabulary = load_vocabulary(recipe.vocabulary)
    net.cpu().eval()
    seen = explain_all(net, validation.x)
    labels = validation.labels.numpy()
    temperatures = fit_temperatures(seen.logits, labels)
    thresholds = fit_thresholds(sigmoid(seen.logits / temperatures), labels)
    scale = map_scale(seen.maps, labels)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_onnx(
        ServedNet(net, temperatures),
        validation.x[:5].float(),
        partial / "model.onnx",
        bool(net.attention_names),
    )
    gradient_maps: list[str] = []
    if gradients:
        write_gradient_onnx(net, validation.x[:5].float(), partial / GRADIENT_FILE)
        gradient_maps = list(MAPS)
    save_weights(partial / WEIGHTS_FILE, net)
    novelty = novelty_arrays(seen.features.astype(np.float64))
    np.savez(partial / "novelty.npz", allow_pickle=False, **novelty)
    seal_bundle(
        partial,
        {
            "name": name,
            "method": recipe.method,
            "vocabulary": {
                "name": vocabulary.name,
                "attributes": [asdict(attribute) for attribute in vocabulary.attributes],
            },
            "preprocess": PreprocessSpec(recipe.input_size).to_dict(),
            "temperature": temperatures.tolist(),
            "thresholds": thresholds.tolist(),
            "bias": net.bias().detach().tolist(),
            "additive": net.additive,
            "attention_names": list(net.attention_names),
            "map_scale": scale,
            "gradient_maps": gradient_maps,
            "recipe": json.loads(recipe.to_json()),
            "provenance": provenance,
            "metrics": {},
        },
    )
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return load_bundle(folder)


def record_metrics(folder: Path, metrics: dict[str, Any], card: str) -> Bundle:
    """Add what an evaluation found, and the card, to a bundle; its version changes with them."""
    content = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    (folder / "card.md").write_text(card, encoding="utf-8")
    content.pop("files")
    content.pop("format")
    seal_bundle(folder, {**content, "metrics": metrics})
    return load_bundle(folder)
