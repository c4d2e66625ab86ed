"""Heads on the graph of a bundle: the body of the network stays, plain operations follow it.

Shape letters: B frames, K new heads, N support vectors, D features, h x w cells, A attributes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from scatterlens_models.training.heads import LogisticHead, NewHead, Standard, SvmHead


class BaseGraphError(ValueError):
    """A graph that no head can follow; the message says which bundles can be adapted."""


def last_map(model: onnx.ModelProto) -> str:
    """Name of the tensor (B, D, h, w) whose mean over the cells is `features`.

    Raises:
        BaseGraphError: the features arise in another way.
    """
    graph = model.graph
    (maker,) = (node for node in graph.node if "features" in node.output)
    constants = {entry.name: entry for entry in graph.initializer}
    axes = constants.get(maker.input[1]) if len(maker.input) > 1 else None
    if (
        maker.op_type != "ReduceMean"
        or axes is None
        or {int(axis) % 4 for axis in numpy_helper.to_array(axes)} != {2, 3}
    ):
        raise BaseGraphError(
            f"the features of this bundle come from {maker.op_type}, not from the mean over a last"
            " feature map, so that new heads would have no attribute maps: adapt a bundle of a"
            " pooled network, such as slim-aam"
        )
    return maker.input[0]


@dataclass
class _Writer:
    """Nodes and constants under names that the base graph does not have."""

    prefix: str
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, array: np.ndarray) -> str:
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, operation: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{self.prefix}value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name


def with_heads(
    base: onnx.ModelProto,
    heads: Mapping[int, NewHead],
    standard: Standard,
    prefix: str,
) -> onnx.ModelProto:
    """A copy of a graph whose attributes in `heads` have new ones, the others keep theirs.

    Decision values are computed in double precision: support vectors with a large C cancel one
    another, and in single precision the remainder would be noise. Maps are the gradient of the
    decision value by the pooled features, times the last feature map, divided by its cells.

    Args:
        base: graph of a bundle.
        heads: by the index of the attribute.
        standard: what the features are standardised by.
        prefix: of every new name; none in the base graph may begin with it.

    Raises:
        BaseGraphError: the base graph has no last feature map.
    """
    model = onnx.ModelProto()
    model.CopyFrom(base)
    cells_BDhw = last_map(model)
    outputs = {output.name: output for output in model.graph.output}
    attributes, *grid = (
        d.dim_value for d in outputs["attribute_maps"].type.tensor_type.shape.dim[1:]
    )
    for name in ("probabilities", "attribute_maps"):
        _rename(model.graph, name, f"{prefix}base_{name}")
    write = _Writer(prefix)
    double = write.node("Cast", "features", to=TensorProto.DOUBLE)
    centred = write.node("Sub", double, write.constant(standard.mean))
    z_BD = write.node("Div", centred, write.constant(standard.spread))
    ordered = [heads[a] for a in head_order(heads)]
    svms = [head for head in ordered if isinstance(head, SvmHead)]
    linear = [head for head in ordered if isinstance(head, LogisticHead)]
    decisions, maps = [], []
    if svms:
        decided, gradient_BKD = _svm_nodes(write, z_BD, svms, standard.spread)
        decisions.append(decided)
        maps.append(write.node("Einsum", gradient_BKD, cells_BDhw, equation="bkd,bdhw->bkhw"))
    if linear:
        weights_KD = np.concatenate([head.model.coef_ for head in linear])
        product_BK = write.node("MatMul", z_BD, write.constant(weights_KD.T))
        intercepts = np.concatenate([head.model.intercept_ for head in linear])
        decisions.append(write.node("Add", product_BK, write.constant(intercepts)))
        gradient_KD = write.constant((weights_KD / standard.spread).astype(np.float32))
        maps.append(write.node("Einsum", gradient_KD, cells_BDhw, equation="kd,bdhw->bkhw"))
    values = write.node("Concat", *decisions, axis=1, output=decision_output(prefix))
    slopes = [head.slope for head in svms] + [1.0] * len(linear)
    offsets = [head.offset for head in svms] + [0.0] * len(linear)
    steep = write.node("Mul", values, write.constant(np.array(slopes)))
    logits = write.node("Add", steep, write.constant(np.array(offsets)))
    probabilities = write.node("Sigmoid", write.node("Cast", logits, to=TensorProto.FLOAT))
    summed = write.node("Concat", *maps, axis=1)
    shares = write.node("Div", summed, write.constant(np.array(np.prod(grid), np.float32)))
    order = np.arange(attributes)
    for place, attribute in enumerate(head_order(heads)):
        order[attribute] = attributes + place
    chosen = write.constant(order)
    for name, made in (("probabilities", probabilities), ("attribute_maps", shares)):
        both = write.node("Concat", f"{prefix}base_{name}", made, axis=1)
        write.node("Gather", both, chosen, axis=1, output=name)
    model.graph.node.extend(write.nodes)
    model.graph.initializer.extend(write.constants)
    model.graph.output.append(
        helper.make_tensor_value_info(values, TensorProto.DOUBLE, ["batch", len(heads)])
    )
    onnx.checker.check_model(model)
    return model


def decision_output(prefix: str) -> str:
    """Name of the output (B, K) of decision values, there while a graph is checked."""
    return f"{prefix}decisions"


def head_order(heads: Mapping[int, NewHead]) -> list[int]:
    """Attributes in the order of the columns of the decision values: machines first."""
    return sorted(heads, key=lambda a: isinstance(heads[a], LogisticHead))


def without_decisions(model: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    """A copy of a checked graph with the outputs of the bundle contract alone."""
    served = onnx.ModelProto()
    served.CopyFrom(model)
    name = decision_output(prefix)
    (extra,) = (output for output in served.graph.output if output.name == name)
    served.graph.output.remove(extra)
    return served


def _svm_nodes(
    write: _Writer, z_BD: str, heads: list[SvmHead], spread_D: np.ndarray
) -> tuple[str, str]:
    """Decision values (B, K) in double, and their gradients by the features (B, K, D) in single.

    All machines share one list of support vectors; a vector that a machine has not weighs zero.
    """
    support_ND, place = np.unique(
        np.concatenate([head.svc.support_vectors_ for head in heads]), axis=0, return_inverse=True
    )
    weights_KN = np.zeros((len(heads), len(support_ND)))
    rows = np.repeat(np.arange(len(heads)), [len(head.svc.support_vectors_) for head in heads])
    weights_KN[rows, place.ravel()] = np.concatenate([head.svc.dual_coef_[0] for head in heads])
    gammas_K11 = np.array([head.gamma for head in heads])[:, None]
    last, middle = write.constant(np.array([-1])), write.constant(np.array([1]))
    own = write.node("ReduceSum", write.node("Mul", z_BD, z_BD), last, keepdims=1)
    theirs = write.constant((support_ND**2).sum(axis=1))
    twice = write.node("MatMul", z_BD, write.constant(-2 * support_ND.T))
    squared_BN = write.node("Add", write.node("Add", own, theirs), twice)
    squared_B1N = write.node("Unsqueeze", squared_BN, middle)
    exponent_BKN = write.node("Mul", squared_B1N, write.constant(-gammas_K11))
    kernel_BKN = write.node("Exp", exponent_BKN)
    weighted_BKN = write.node("Mul", kernel_BKN, write.constant(weights_KN))
    sums_BK = write.node("ReduceSum", weighted_BKN, last, keepdims=0)
    intercepts = np.concatenate([head.svc.intercept_ for head in heads])
    decisions_BK = write.node("Add", sums_BK, write.constant(intercepts))
    # d/dz of sum_n a_n exp(-gamma |z - s_n|^2) = 2 gamma (sum_n a_n k_n s_n - z sum_n a_n k_n).
    toward = write.node("MatMul", weighted_BKN, write.constant(support_ND))
    sums_BK1 = write.node("Unsqueeze", sums_BK, last)
    away = write.node("Mul", write.node("Unsqueeze", z_BD, middle), sums_BK1)
    factor_KD = write.constant(2 * gammas_K11 / spread_D)
    gradient = write.node("Mul", write.node("Sub", toward, away), factor_KD)
    return decisions_BK, write.node("Cast", gradient, to=TensorProto.FLOAT)


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Give a tensor another name inside a graph; the declared output keeps its own."""
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
    for entry in graph.value_info:
        if entry.name == old:
            entry.name = new
