"""Arrays and pictures of results that a gateway holds, fetched when they are asked for."""

import io
from typing import TYPE_CHECKING

from scatterlens.schemas import Annotation
from scatterlens.transport import ACCEPTED, Transport, unexpected

if TYPE_CHECKING:
    import httpx2
    import numpy as np


class GatewayArrays:
    """Arrays of results that a gateway holds."""

    def __init__(self, transport: Transport):
        self._transport = transport

    def overlay(self, annotation: Annotation, attribute: str) -> "np.ndarray":
        """As `Arrays.overlay`."""
        return _array(self._get(annotation, f"overlays/{attribute}.npy"))

    def attention(self, annotation: Annotation, name: str) -> "np.ndarray":
        """As `Arrays.attention`."""
        return _array(self._get(annotation, f"attention/{name}.npy"))

    def preview(self, annotation: Annotation) -> "np.ndarray":
        """As `Arrays.preview`."""
        return _array(self._get(annotation, "preview.npy"))

    def picture(self, annotation: Annotation, attribute: str) -> bytes:
        """As `Arrays.picture`."""
        return self._get(annotation, f"overlays/{attribute}.png").content

    def spread(self, frame_id: str, attribute: str) -> "np.ndarray":
        """Return the spread of an attribute's maps over models, on detector pixels."""
        path = f"frames/{frame_id}/overlays/{attribute}/spread.npy"
        return _array(self._transport.request("GET", path))

    def gradients(
        self, frame_id: str, method: str, attribute: str, model: str | None, wait: float
    ) -> "np.ndarray | None":
        """Return a gradient map on detector pixels; None while no worker has computed it."""
        path = f"frames/{frame_id}/gradients/{method}/{attribute}.npy"
        answer = self._transport.request("GET", path, params={"model": model, "wait": wait})
        return None if answer.status_code == ACCEPTED else _array(answer)

    def pixels(self, frame_id: str, wait: float) -> "np.ndarray | None":
        """Return the counts of a frame; None while no worker has read them."""
        path = f"frames/{frame_id}/pixels.npy"
        answer = self._transport.request("GET", path, params={"wait": wait})
        return None if answer.status_code == ACCEPTED else _array(answer)

    def _get(self, annotation: Annotation, name: str) -> "httpx2.Response":
        model = f"{annotation.model.name}@{annotation.model.version}"
        path = f"frames/{annotation.frame_id}/{name}"
        return self._transport.request("GET", path, params={"model": model})


def _array(answer: "httpx2.Response") -> "np.ndarray":
    import numpy as np  # here, so that `import scatterlens` stays light

    try:
        return np.load(io.BytesIO(answer.content), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise unexpected(answer, f"array: {error}") from error
