"""Bundles of half the size: weights are stored in half precision, and computed with in single.

onnxruntime widens them once, when it loads the graph, so that answers cost what they did.
"""

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

from scatterlens_models.bundle import Bundle, load_bundle, seal_bundle
from scatterlens_models.evaluation.predictions import predict_part
from scatterlens_models.metrics import mean_average_precision
from scatterlens_models.session import ModelSession

LARGEST_LOSS = 0.002
"""Of mAP, that half precision may cost."""
_WORTH = 256
"""Fewest numbers that are worth a node of their own."""


class ShrinkError(ValueError):
    """The smaller bundle answers worse than it may; ship the one there is."""


def halve_graph(model: onnx.ModelProto) -> None:
    """Store the large weights of a graph as float16, each followed by a cast back to float32."""
    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < _WORTH:
            continue
        name = weight.name
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            continue
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def shrink_bundle(bundle: Bundle, folder: Path, shards: Path) -> tuple[Bundle, float, float]:
    """Write the smaller bundle; returns it with mAP before and after on one part of a benchmark.

    Args:
        bundle: the one there is.
        folder: where the smaller one comes to lie; must not exist.
        shards: a part that says whether it is as good, such as bench-v1/validation.

    Raises:
        ShrinkError: mAP falls by more than `LARGEST_LOSS`; nothing is written.
        FileExistsError: `folder` exists.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; name a new folder")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(bundle.path, partial)
    graph = onnx.load(partial / "model.onnx")
    halve_graph(graph)
    onnx.save(graph, partial / "model.onnx")
    weights = partial / "weights.safetensors"
    if weights.exists():
        kept = load_file(weights)
        save_file({k: v.astype(np.float16) if v.ndim > 1 else v for k, v in kept.items()}, weights)
        weights.chmod(0o644)
    content = {k: v for k, v in bundle.content.items() if k not in ("files", "format")}
    seal_bundle(partial, {**content, "metrics": {}})
    before, after = (_mean_ap(b, shards) for b in (bundle, load_bundle(partial)))
    if before - after > LARGEST_LOSS:
        shutil.rmtree(partial)
        raise ShrinkError(
            f"in half precision mAP falls from {before:.4f} to {after:.4f}, more than"
            f" {LARGEST_LOSS}: ship the bundle as it is"
        )
    partial.rename(folder)
    return load_bundle(folder), before, after


def _mean_ap(bundle: Bundle, shards: Path) -> float:
    found = predict_part(ModelSession(bundle), shards)
    return mean_average_precision(found.probabilities, found.labels)
