"""Temperature and threshold of attributes that too few validation frames show, from an old bundle.

A network that goes on from a bundle is near it, so what calibrated the one is the best guess for
the other; temperature 1 and threshold 0.5, the alternative, would change tags for no reason.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from scatterlens_models.bundle import Bundle, load_bundle, seal_bundle
from scatterlens_models.training.export_error import ExportError

_NAME = "temperatures"


def lend_calibration(base: Bundle, made: Bundle, attributes: Sequence[str]) -> Bundle:
    """Give a bundle the calibration that another has of some attributes; it is sealed anew.

    Attributes that the other does not know keep theirs.

    Raises:
        ExportError: the graph holds no temperatures.
    """
    known = [a for a in attributes if a in base.vocabulary.ids]
    temperatures = np.array(made.content["temperature"])
    thresholds = made.thresholds.copy()
    for attribute in known:
        here, there = made.vocabulary.index(attribute), base.vocabulary.index(attribute)
        temperatures[here] = base.content["temperature"][there]
        thresholds[here] = base.thresholds[there]
    path = made.path / "model.onnx"
    graph = onnx.load(path)
    found = [one for one in graph.graph.initializer if one.name.endswith(_NAME)]
    if len(found) != 1:
        raise ExportError(f"{path} holds {len(found)} tensors of the name {_NAME}, not one")
    found[0].CopyFrom(numpy_helper.from_array(temperatures.astype(np.float32), found[0].name))
    onnx.save(graph, path)
    content = dict(made.content)
    del content["files"], content["format"]
    content |= {"temperature": temperatures.tolist(), "thresholds": thresholds.tolist()}
    seal_bundle(made.path, content)
    return load_bundle(made.path)
