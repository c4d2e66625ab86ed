"""Pictures and arrays of one frame: its preview, overlays of attributes, attention maps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response

from scatterlens_models.overlay import overlay
from scatterlens_models.preprocess import expand
from scatterlens_models.stored import StoredAnnotation
from scatterlens_service import ledger, overlays
from scatterlens_service.caching import answer_unchanged, make_etag, private
from scatterlens_service.deps import ChosenModel, GatewayDep, VisibleFrame
from scatterlens_service.errors import NotFoundError, NotReadyError, problem_responses

router = APIRouter(prefix="/frames/{frame_id}", tags=["pictures"])

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

_ERRORS = problem_responses(401, 403, 404, 409, 422, 500, 503)
_NOT_MODIFIED = {304: {"description": "Not modified"}}
_PNG = {200: {"content": {"image/png": {}}, "description": "PNG"}, **_NOT_MODIFIED, **_ERRORS}
_NPY = {
    200: {"content": {"application/x-npy": {}}, "description": "NumPy array, format .npy"},
    **_NOT_MODIFIED,
    **_ERRORS,
}


@dataclass(frozen=True)
class _Annotated:
    """A frame that has been annotated, and how to answer about it."""

    request: Request
    frame: ledger.FrameRow
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


def _annotated(
    request: Request, gateway: GatewayDep, frame: VisibleFrame, model: ChosenModel
) -> _Annotated:
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
    return _Annotated(request, frame, found.blob, gateway.maps.load)


AnnotatedFrame = Annotated[_Annotated, Depends(_annotated)]


@router.get("/preview.png", response_class=Response, responses=_PNG)
def draw_preview(
    annotated: AnnotatedFrame,
    scale: Scale = "log",
    colormap: Colormap = "gray",
    size: Size = 1024,
) -> Response:
    """Draw the frame; masked pixels are neutral."""

    def draw(stored: StoredAnnotation) -> bytes:
        return overlays.encode_png(_frame_picture(stored, scale, colormap), size)

    return annotated.answer("image/png", draw, scale, colormap, size)


@router.get("/preview.npy", response_class=Response, responses=_NPY)
def read_preview(annotated: AnnotatedFrame) -> Response:
    """Give the mean counts of the preview's pixels: float32 (h, w), NaN where masked."""

    def draw(stored: StoredAnnotation) -> bytes:
        counts = expand(stored.preview.astype(np.float32))
        return overlays.encode_npy(np.where(stored.preview_mask, np.float32(np.nan), counts))

    return annotated.answer("application/x-npy", draw)


@router.get("/overlays/{attribute}.png", response_class=Response, responses=_PNG)
def draw_overlay(
    annotated: AnnotatedFrame,
    model: ChosenModel,
    attribute: str,
    colormap: MapColormap = "inferno",
    opacity: Opacity = 0.7,
    scale: Scale = "log",
    base: Base = "frame",
    size: Size = 1024,
) -> Response:
    """Draw where a model saw an attribute, on the frame.

    Full colour is the 99th percentile of that attribute's maps on validation frames, so colours
    compare between frames, and an absent attribute stays dark.
    """
    position = _position("attribute", attribute, model.vocabulary.ids)

    def draw(stored: StoredAnnotation) -> bytes:
        cells = stored.attribute_maps[position]
        reference = float(model.map_scale[position])
        return _draw_map(stored, cells, reference, colormap, opacity, scale, base, size)

    return annotated.answer("image/png", draw, colormap, opacity, scale, base, size)


@router.get("/overlays/{attribute}.npy", response_class=Response, responses=_NPY)
def read_overlay(
    annotated: AnnotatedFrame, model: ChosenModel, attribute: str, space: Space = "detector"
) -> Response:
    """Give the signed map of an attribute."""
    position = _position("attribute", attribute, model.vocabulary.ids)

    def draw(stored: StoredAnnotation) -> bytes:
        return _map_array(stored, stored.attribute_maps[position], space)

    return annotated.answer("application/x-npy", draw, space)


@router.get("/attention/{name}.png", response_class=Response, responses=_PNG)
def draw_attention(
    annotated: AnnotatedFrame,
    model: ChosenModel,
    name: str,
    colormap: MapColormap = "inferno",
    opacity: Opacity = 0.7,
    scale: Scale = "log",
    base: Base = "frame",
    size: Size = 1024,
) -> Response:
    """Draw what the network attends to for any attribute; full colour is the map's maximum."""
    position = _position("attention map", name, model.attention_names)

    def draw(stored: StoredAnnotation) -> bytes:
        cells = _attention_maps(stored)[position]
        reference = float(cells.max())
        return _draw_map(stored, cells, reference, colormap, opacity, scale, base, size)

    return annotated.answer("image/png", draw, colormap, opacity, scale, base, size)


@router.get("/attention/{name}.npy", response_class=Response, responses=_NPY)
def read_attention(
    annotated: AnnotatedFrame, model: ChosenModel, name: str, space: Space = "detector"
) -> Response:
    """Give an attention map."""
    position = _position("attention map", name, model.attention_names)

    def draw(stored: StoredAnnotation) -> bytes:
        return _map_array(stored, _attention_maps(stored)[position], space)

    return annotated.answer("application/x-npy", draw, space)


def _position(kind: str, name: str, known: tuple[str, ...]) -> int:
    if name not in known:
        raise NotFoundError(
            f"unknown_{kind.replace(' ', '_')}",
            f"Unknown {kind}",
            f"The model has no {kind} {name[:100]!r}.",
            f"Choose one of {', '.join(known)}." if known else "This model has none.",
            known=list(known),
        )
    return known.index(name)


def _attention_maps(stored: StoredAnnotation) -> np.ndarray:
    if stored.attention_maps is None:
        raise NotReadyError(
            "no_attention",
            "No attention maps were stored",
            "The bundle names attention maps, its result for this frame holds none.",
            "Annotate the frame with another model.",
        )
    return stored.attention_maps


def _frame_picture(stored: StoredAnnotation, scale: overlays.Scale, colormap: str) -> np.ndarray:
    bright = overlays.brightness(stored, scale)
    return overlays.picture(bright, stored.preview_mask, colormap)


def _draw_map(
    stored: StoredAnnotation,
    cells: np.ndarray,
    reference: float,
    colormap: str,
    opacity: float,
    scale: overlays.Scale,
    base: str,
    size: int,
) -> bytes:
    above = overlays.layer(overlays.evidence(cells, reference, stored), colormap, opacity)
    if base == "none":
        return overlays.encode_png(above, size)
    return overlays.encode_png(overlays.blend(_frame_picture(stored, scale, "gray"), above), size)


def _map_array(stored: StoredAnnotation, cells: np.ndarray, space: str) -> bytes:
    if space == "cells":
        return overlays.encode_npy(cells.astype(np.float32))
    return overlays.encode_npy(overlay(cells, stored.placement, stored.mask))
