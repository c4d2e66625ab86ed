"""A real bundle in milliseconds: a linear network whose answers depend on the frame."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from scatterlens_models.bundle import Bundle, load_bundle, seal_bundle
from scatterlens_models.gradients import GRADIENT_FILE
from scatterlens_models.preprocess import PreprocessSpec
from scatterlens_models.vocabulary import load_vocabulary

CELLS = 16


def make_bundle(
    folder: Path,
    name: str = "linear",
    size: int = 64,
    seed: int = 0,
    vocabulary_name: str = "aam20",
    gradients: bool = False,
    map_scale: float = 1.0,
    attention: tuple[str, str] | tuple[()] = (),
) -> Bundle:
    """Bundle `<folder>/<name>`; another seed is another version.

    With names for them, both channels of the prepared frame serve as attention maps.
    """
    vocabulary = load_vocabulary(vocabulary_name)
    count = len(vocabulary.attributes)
    random = np.random.default_rng(seed)
    weights = random.normal(0, 8 / CELLS**2, (count, 2, 1, 1)).astype(np.float32)
    bias = random.normal(0, 1, count).astype(np.float32)
    cell = size // CELLS
    graph = helper.make_graph(
        [
            helper.make_node(
                "AveragePool", ["frames"], ["cells"], kernel_shape=[cell] * 2, strides=[cell] * 2
            ),
            helper.make_node("Conv", ["cells", "weights"], ["attribute_maps"]),
            helper.make_node("ReduceSum", ["attribute_maps", "axes"], ["sums"], keepdims=0),
            helper.make_node("Add", ["sums", "bias"], ["logits"]),
            helper.make_node("Sigmoid", ["logits"], ["probabilities"]),
            helper.make_node("ReduceMean", ["cells", "axes"], ["features"], keepdims=0),
        ],
        "linear",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["B", 2, size, size])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["B", count]),
            helper.make_tensor_value_info(
                "attribute_maps", TensorProto.FLOAT, ["B", count, CELLS, CELLS]
            ),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["B", 2]),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
        ],
    )
    if attention:
        graph.node.append(helper.make_node("Identity", ["cells"], ["attention_maps"]))
        shape = ["B", 2, CELLS, CELLS]
        graph.output.append(
            helper.make_tensor_value_info("attention_maps", TensorProto.FLOAT, shape)
        )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = folder / name
    path.mkdir(parents=True)
    onnx.save(model, path / "model.onnx")
    np.savez(
        path / "novelty.npz",
        mean=np.zeros(2, np.float32),
        precision=np.eye(2, dtype=np.float32),
        quantiles=np.linspace(0, 1, 101, dtype=np.float32),
    )
    maps = ("gradcam", "a_ch", "a_px") if gradients else ()
    if gradients:
        onnx.save(_gradient_graph(weights, size, cell, maps), path / GRADIENT_FILE)
    seal_bundle(
        path,
        {
            "name": name,
            "method": "linear",
            **({"gradient_maps": list(maps)} if maps else {}),
            "vocabulary": {
                "name": vocabulary.name,
                "attributes": [asdict(attribute) for attribute in vocabulary.attributes],
            },
            "preprocess": PreprocessSpec(size).to_dict(),
            "temperature": [1.0] * count,
            "thresholds": [0.5] * count,
            "bias": bias.tolist(),
            "additive": True,
            "attention_names": list(attention),
            "map_scale": [map_scale] * count,
            "recipe": {},
            "provenance": {"seed": seed},
            "metrics": {},
        },
    )
    return load_bundle(path)


def _gradient_graph(
    weights: np.ndarray, size: int, cell: int, names: Sequence[str]
) -> onnx.ModelProto:
    """Weighted cells of the chosen attribute, times 1, 2, 3: as a gradient graph, in small.

    The numbers are small, as gradients are.
    """
    count = len(weights)
    nodes = [
        helper.make_node(
            "AveragePool", ["frames"], ["cells"], kernel_shape=[cell] * 2, strides=[cell] * 2
        ),
        helper.make_node("MatMul", ["onehot", "weights"], ["chosen"]),
        helper.make_node("Reshape", ["chosen", "shape"], ["chosen_everywhere"]),
        helper.make_node("Mul", ["cells", "chosen_everywhere"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "channels"], ["signed"], keepdims=0),
        helper.make_node("Relu", ["signed"], ["positive"]),
    ]
    constants = [
        numpy_helper.from_array(weights.reshape(count, 2), "weights"),
        numpy_helper.from_array(np.array([-1, 2, 1, 1], np.int64), "shape"),
        numpy_helper.from_array(np.array([1], np.int64), "channels"),
    ]
    for factor, name in enumerate(names, start=1):
        nodes.append(helper.make_node("Mul", ["positive", f"{name}_factor"], [name]))
        constants.append(
            numpy_helper.from_array(np.array(1e-6 * factor, np.float32), f"{name}_factor")
        )
    graph = helper.make_graph(
        nodes,
        "gradients",
        [
            helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["B", 2, size, size]),
            helper.make_tensor_value_info("onehot", TensorProto.FLOAT, ["B", count]),
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", CELLS, CELLS])
            for name in names
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
