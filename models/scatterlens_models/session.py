"""Running a bundle with onnxruntime, and knowing what it really runs on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from scatterlens_models.bundle import Bundle

Device = Literal["cpu", "cuda"]
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
BATCH = {"cpu": 4, "cuda": 32}
"""Largest batch worth forming: on a CPU larger ones only cost memory and cache."""


class DeviceError(RuntimeError):
    """The device that was required is not the one that runs."""


def open_graph(path: Path, device: Device) -> onnxruntime.InferenceSession:
    """Load a graph for a device, in one thread; look at its providers for what really runs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = dict.fromkeys((_PROVIDERS[device], _PROVIDERS["cpu"]))
    offered = [p for p in wanted if p in onnxruntime.get_available_providers()]
    return onnxruntime.InferenceSession(str(path), options, providers=offered)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one frame; fields as in the bundle contract."""

    probabilities: np.ndarray
    """(A,), calibrated."""
    attribute_maps: np.ndarray
    """(A, h, w)."""
    attention_maps: np.ndarray | None
    """(M, h, w), or None where the method has none."""
    features: np.ndarray
    """(D,)."""


class ModelSession:
    """A bundle loaded and warmed.

    onnxruntime falls back to the CPU without an error, so `provider` tells what really runs.

    Raises:
        DeviceError: `require_gpu` and the graph does not run on CUDA.
    """

    def __init__(self, bundle: Bundle, device: Device = "cpu", require_gpu: bool = False) -> None:
        self.bundle = bundle
        self.device: Device = device
        self._session = open_graph(bundle.path / "model.onnx", device)
        self.provider: str = self._session.get_providers()[0]
        if require_gpu and self.provider != _PROVIDERS["cuda"]:
            raise DeviceError(
                f"a GPU is required, but {bundle.name} runs on {self.provider}: install the `gpu`"
                " extra instead of `worker` and check the CUDA 13 and cuDNN 9 libraries"
            )
        self._outputs = [output.name for output in self._session.get_outputs()]
        size = bundle.preprocess.size
        self.predict(np.zeros((1, 2, size, size), np.float32))

    @property
    def batch(self) -> int:
        """Largest batch worth forming on what runs."""
        return BATCH["cuda" if self.provider == _PROVIDERS["cuda"] else "cpu"]

    def predict(self, batch_BCSS: np.ndarray) -> list[Prediction]:
        """Predict a batch of prepared frames; halves it where memory does not suffice."""
        try:
            arrays = self._session.run(self._outputs, {"frames": batch_BCSS})
        except RuntimeException:
            if len(batch_BCSS) == 1:
                raise
            half = len(batch_BCSS) // 2
            return self.predict(batch_BCSS[:half]) + self.predict(batch_BCSS[half:])
        values = {
            name: np.asarray(array) for name, array in zip(self._outputs, arrays, strict=True)
        }
        attention = values.get("attention_maps")
        return [
            Prediction(
                values["probabilities"][i],
                values["attribute_maps"][i],
                None if attention is None else attention[i],
                values["features"][i],
            )
            for i in range(len(batch_BCSS))
        ]
