"""Running a bundle's second graph: gradient maps of one attribute at an inner layer.

The graph holds its own backward pass, so a worker needs no torch for it.
"""

import numpy as np

from scatterlens_models.bundle import Bundle
from scatterlens_models.session import Device, open_graph

GRADIENT_FILE = "model_gradcam.onnx"
"""The second graph of a bundle that was exported with gradients."""


class NoGradientsError(ValueError):
    """The bundle has no second graph; export it with gradients."""


class GradientSession:
    """The second graph of a bundle, loaded.

    onnxruntime falls back to the CPU without an error, so `provider` tells what really runs.

    Raises:
        NoGradientsError: the bundle was exported without gradients.
    """

    def __init__(self, bundle: Bundle, device: Device = "cpu") -> None:
        if not bundle.gradient_maps:
            raise NoGradientsError(
                f"{bundle.name} {bundle.version} has no gradient maps; export it with gradients"
            )
        self.bundle = bundle
        self.names = bundle.gradient_maps
        self._session = open_graph(bundle.path / GRADIENT_FILE, device)
        self.provider: str = self._session.get_providers()[0]

    def maps(self, batch_BCSS: np.ndarray, attribute: int) -> dict[str, np.ndarray]:
        """Where the score of one attribute comes from, in every frame of a batch.

        Args:
            batch_BCSS: prepared frames, float32.
            attribute: its position in the bundle's vocabulary.

        Returns:
            by name (`gradcam`, `a_ch`, `a_px`): maps >= 0, (B, h, w) float32 on the grid of the
            last block but one; divide by the maximum to draw them.

        Raises:
            ValueError: a position that the vocabulary does not have.
        """
        count = len(self.bundle.vocabulary.ids)
        if not 0 <= attribute < count:
            raise ValueError(f"attributes are counted from 0 to {count - 1}, not {attribute}")
        onehot_BA = np.zeros((len(batch_BCSS), count), np.float32)
        onehot_BA[:, attribute] = 1
        arrays = self._session.run(list(self.names), {"frames": batch_BCSS, "onehot": onehot_BA})
        return {name: np.asarray(array) for name, array in zip(self.names, arrays, strict=True)}
