"""What the routes of pictures share: their parameters, and how a stored map becomes an answer."""

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Depends, Query, Request, Response

from scatterlens_models.overlay import overlay
from scatterlens_models.stored import StoredAnnotation
from scatterlens_service import ledger
from scatterlens_service.gateway.caching import answer_unchanged, make_etag, private
from scatterlens_service.gateway.deps import FrameModel, GatewayDep, VisibleFrame
from scatterlens_service.gateway.errors import NotFoundError, NotReadyError, problem_responses
from scatterlens_service.pictures import overlays

Colormap = Literal["gray", "viridis", "magma", "inferno"]
MapColormap = Annotated[Colormap, Query(alias="colormap", description="Colours of the map.")]
Scale = Annotated[overlays.Scale, Query(description="How counts become brightness.")]
Opacity = Annotated[float, Query(ge=0, le=1, allow_inf_nan=False)]
Base = Annotated[
    Literal["frame", "none"], Query(description="What lies below; none = transparent.")
]
Space = Annotated[
    Literal["detector", "cells"],
    Query(description="float32 (H, W) on detector pixels, NaN where masked; or the map's cells."),
]
Size = Annotated[int, Query(ge=16, le=1024, description="Longest side of the picture, in pixels.")]

Responses = dict[int | str, dict[str, Any]]
_SHARED: Responses = {
    304: {"description": "Not modified"},
    **problem_responses(401, 403, 404, 409, 410, 422, 500, 503),
}
PNG: Responses = {200: {"content": {"image/png": {}}, "description": "PNG"}, **_SHARED}
NPY: Responses = {
    200: {"content": {"application/x-npy": {}}, "description": "NumPy array, format .npy"},
    **_SHARED,
}


@dataclass(frozen=True)
class Style:
    """How a map is drawn on a frame."""

    colormap: MapColormap = "inferno"
    opacity: Opacity = 0.7
    scale: Scale = "log"
    base: Base = "frame"
    size: Size = 1024

    @property
    def parts(self) -> tuple[object, ...]:
        """What a picture depends on, for its validator."""
        return astuple(self)


MapStyle = Annotated[Style, Depends()]


@dataclass(frozen=True)
class Drawable:
    """A frame that has been annotated, and how to answer about it."""

    request: Request
    blob: str
    load: Callable[[str], StoredAnnotation]

    def answer(
        self, media_type: str, draw: Callable[[StoredAnnotation], bytes], *parameters: object
    ) -> Response:
        """Draw, unless the caller holds the result already."""
        etag = make_etag(self.blob, self.request.url.path.rpartition("/frames/")[2], *parameters)
        if unchanged := answer_unchanged(self.request, etag):
            return unchanged
        return Response(draw(self.load(self.blob)), media_type=media_type, headers=private(etag))


def find_drawable(
    request: Request, gateway: GatewayDep, frame: VisibleFrame, model: FrameModel
) -> Drawable:
    """Find what a model's worker stored about a frame; `NotReadyError` where there is nothing."""
    with ledger.reading(gateway.engine) as session:
        found = ledger.get_annotation(session, frame.frame_id, model.version)
    if found is None or found.blob is None:
        state = "not asked" if found is None else found.state.value
        reason = None if found is None else found.reason
        raise NotReadyError(
            "not_annotated",
            "There is no picture of this frame",
            f"With {model.name}@{model.version} it is {state}"
            + (f": {reason.title}." if reason else "."),
            "Ask for its `annotation?wait=10` first.",
            frame_id=frame.frame_id,
            state=state,
        )
    return Drawable(request, found.blob, gateway.maps.load)


AnnotatedFrame = Annotated[Drawable, Depends(find_drawable)]


def position_of(kind: str, name: str, known: tuple[str, ...]) -> int:
    """Place of a name among those that a model knows; `NotFoundError` lists them."""
    if name not in known:
        raise NotFoundError(
            f"unknown_{kind.replace(' ', '_')}",
            f"Unknown {kind}",
            f"The model has no {kind} {name[:100]!r}.",
            f"Choose one of {', '.join(known)}." if known else "This model has none.",
            known=list(known),
        )
    return known.index(name)


def draw_frame(stored: StoredAnnotation, scale: overlays.Scale, colormap: str) -> np.ndarray:
    """Picture of the frame alone: uint8 (h, w, 3)."""
    bright = overlays.brightness(stored, scale)
    return overlays.picture(bright, stored.preview_mask, colormap)


def draw_map(stored: StoredAnnotation, cells: np.ndarray, reference: float, style: Style) -> bytes:
    """PNG of a map whose full colour is `reference`."""
    return draw_layer(stored, overlays.evidence(cells, reference, stored), style)


def draw_layer(stored: StoredAnnotation, shown: np.ndarray, style: Style) -> bytes:
    """PNG of values 0..1 on the stored preview."""
    above = overlays.layer(shown, style.colormap, style.opacity)
    if style.base == "frame":
        above = overlays.blend(draw_frame(stored, style.scale, "gray"), above)
    return overlays.encode_png(above, style.size)


def map_array(stored: StoredAnnotation, cells: np.ndarray, space: str) -> bytes:
    """Bytes of a `.npy` with a signed map, on detector pixels or as it is."""
    if space == "cells":
        return overlays.encode_npy(cells.astype(np.float32))
    return overlays.encode_npy(overlay(cells, stored.placement, stored.mask))
