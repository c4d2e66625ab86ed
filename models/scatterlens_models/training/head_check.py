"""Whether a graph with new heads says what scikit-learn says, and keeps what it should."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime

from scatterlens_models.training.export import TOLERANCE
from scatterlens_models.training.export_error import ExportError
from scatterlens_models.training.head_graph import decision_output, head_order, last_map
from scatterlens_models.training.heads import NewHead, Standard

_BATCH = 32


def check_heads(
    grown: onnx.ModelProto,
    prefix: str,
    base: onnx.ModelProto,
    heads: Mapping[int, NewHead],
    standard: Standard,
    frames_NCSS: np.ndarray,
) -> None:
    """Compare a graph with scikit-learn, and what it keeps with the base graph.

    Args:
        grown: the graph with its output of decision values.
        prefix: of the names that are new in it.
        base: the graph that it was made from.
        heads: by the index of the attribute.
        standard: what the features are standardised by.
        frames_NCSS: five frames that no head was fitted to.

    Raises:
        ExportError: an output differs beyond the tolerance.
    """
    with_map = onnx.ModelProto()
    with_map.CopyFrom(base)
    with_map.graph.output.append(onnx.ValueInfoProto(name=last_map(base)))
    before, after = _session(with_map), _session(grown)
    kept = [output.name for output in base.graph.output]
    columns = {a: column for column, a in enumerate(head_order(heads))}
    for batch in (1, 5):
        feeds = {"frames": frames_NCSS[:batch]}
        *expected, cells_BDhw = map(np.asarray, before.run([*kept, last_map(base)], feeds))
        found = dict(zip(kept, map(np.asarray, after.run(kept, feeds)), strict=True))
        (decisions_BK,) = map(np.asarray, after.run([decision_output(prefix)], feeds))
        wanted = dict(zip(kept, (array.copy() for array in expected), strict=True))
        z_BD = standard.apply(wanted["features"])
        for a, head in heads.items():
            wanted["probabilities"][:, a] = head.probability(z_BD)
            pull_BD = head.gradient(z_BD) / standard.spread
            cells = cells_BDhw.shape[2] * cells_BDhw.shape[3]
            wanted["attribute_maps"][:, a] = np.einsum("bd,bdhw->bhw", pull_BD, cells_BDhw) / cells
            decisions_B = decisions_BK[:, columns[a]]
            _compare(f"decision value {a}", decisions_B, head.decide(z_BD), batch)
        for name in kept:
            _compare(name, found[name], wanted[name], batch)


def _compare(name: str, found: np.ndarray, wanted: np.ndarray, batch: int) -> None:
    difference = float(np.abs(found - wanted).max())
    if not difference <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
        raise ExportError(f"{name} differs by {difference:.2e} at batch {batch}")


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run_maps(model: onnx.ModelProto, frames_NCSS: np.ndarray) -> np.ndarray:
    """Attribute maps (N, A, h, w) of many frames."""
    session = _session(model)
    return np.concatenate(
        [
            np.asarray(session.run(["attribute_maps"], {"frames": frames_NCSS[i : i + _BATCH]})[0])
            for i in range(0, len(frames_NCSS), _BATCH)
        ]
    )
