"""Pictures and arrays of one frame: its preview, overlays of attributes, attention maps."""

import numpy as np
from fastapi import APIRouter, Response

from scatterlens_models.preprocess import expand
from scatterlens_models.stored import StoredAnnotation
from scatterlens_service.gateway.deps import FrameModel
from scatterlens_service.gateway.errors import NotReadyError
from scatterlens_service.gateway.routes.drawing import (
    NPY,
    PNG,
    AnnotatedFrame,
    Colormap,
    MapStyle,
    Scale,
    Size,
    Space,
    draw_frame,
    draw_map,
    map_array,
    position_of,
)
from scatterlens_service.pictures import overlays

router = APIRouter(prefix="/frames/{frame_id}", tags=["pictures"])


@router.get("/preview.png", response_class=Response, responses=PNG)
def draw_preview(
    annotated: AnnotatedFrame,
    scale: Scale = "log",
    colormap: Colormap = "gray",
    size: Size = 1024,
) -> Response:
    """Draw the frame; masked pixels are neutral."""

    def draw(stored: StoredAnnotation) -> bytes:
        small = overlays.reduced(stored, size)
        return overlays.encode_png(draw_frame(small, scale, colormap), size)

    return annotated.answer("image/png", draw, scale, colormap, size)


@router.get("/preview.npy", response_class=Response, responses=NPY)
def read_preview(annotated: AnnotatedFrame) -> Response:
    """Give the mean counts of the preview's pixels: float32 (h, w), NaN where masked."""

    def draw(stored: StoredAnnotation) -> bytes:
        counts = expand(stored.preview.astype(np.float32))
        return overlays.encode_npy(np.where(stored.preview_mask, np.float32(np.nan), counts))

    return annotated.answer("application/x-npy", draw)


@router.get("/overlays/{attribute}.png", response_class=Response, responses=PNG)
def draw_overlay(
    annotated: AnnotatedFrame, model: FrameModel, attribute: str, style: MapStyle
) -> Response:
    """Draw where a model saw an attribute, on the frame.

    Full colour is the 99th percentile of that attribute's maps on validation frames, so colours
    compare between frames, and an absent attribute stays dark.
    """
    position = position_of("attribute", attribute, model.vocabulary.ids)

    def draw(stored: StoredAnnotation) -> bytes:
        cells = stored.attribute_maps[position]
        return draw_map(stored, cells, float(model.map_scale[position]), style)

    return annotated.answer("image/png", draw, *style.parts)


@router.get("/overlays/{attribute}.npy", response_class=Response, responses=NPY)
def read_overlay(
    annotated: AnnotatedFrame, model: FrameModel, attribute: str, space: Space = "detector"
) -> Response:
    """Give the signed map of an attribute."""
    position = position_of("attribute", attribute, model.vocabulary.ids)

    def draw(stored: StoredAnnotation) -> bytes:
        return map_array(stored, stored.attribute_maps[position], space)

    return annotated.answer("application/x-npy", draw, space)


@router.get("/attention/{name}.png", response_class=Response, responses=PNG)
def draw_attention(
    annotated: AnnotatedFrame, model: FrameModel, name: str, style: MapStyle
) -> Response:
    """Draw what the network attends to for any attribute, from the map's minimum to its maximum.

    A map may stand at 0.5 where the network attends to nothing, so only its contrast is shown.
    """
    position = position_of("attention map", name, model.attention_names)

    def draw(stored: StoredAnnotation) -> bytes:
        cells = _attention_maps(stored)[position]
        cells = cells - cells.min()
        return draw_map(stored, cells, float(cells.max()), style)

    return annotated.answer("image/png", draw, *style.parts)


@router.get("/attention/{name}.npy", response_class=Response, responses=NPY)
def read_attention(
    annotated: AnnotatedFrame, model: FrameModel, name: str, space: Space = "detector"
) -> Response:
    """Give an attention map."""
    position = position_of("attention map", name, model.attention_names)

    def draw(stored: StoredAnnotation) -> bytes:
        return map_array(stored, _attention_maps(stored)[position], space)

    return annotated.answer("application/x-npy", draw, space)


def _attention_maps(stored: StoredAnnotation) -> np.ndarray:
    if stored.attention_maps is None:
        raise NotReadyError(
            "no_attention",
            "No attention maps were stored",
            "The bundle names attention maps, its result for this frame holds none.",
            "Annotate the frame with another model.",
        )
    return stored.attention_maps
