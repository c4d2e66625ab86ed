"""Where models differ: the spread of their maps of one attribute."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Request, Response

from scatterlens.schemas import State
from scatterlens_models.bundle import Bundle
from scatterlens_models.preprocess import Placement
from scatterlens_models.stored import StoredAnnotation
from scatterlens_service import ledger
from scatterlens_service.comparing import agreement
from scatterlens_service.gateway.deps import GatewayDep, VisibleFrame
from scatterlens_service.gateway.errors import NotReadyError
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.routes.drawing import (
    NPY,
    PNG,
    Drawable,
    MapStyle,
    draw_layer,
    position_of,
)
from scatterlens_service.pictures import overlays

router = APIRouter(prefix="/frames/{frame_id}", tags=["pictures"])

_LARGEST = 0.5
"""Standard deviation of values 0..1 where half of them are 0 and half are 1."""


@dataclass(frozen=True)
class _Layer:
    """The map of one model: where it is stored, and what counts as full evidence."""

    blob: str
    position: int
    scale: float


@dataclass(frozen=True)
class _Several:
    """The maps of one attribute by at least two models."""

    layers: Sequence[_Layer]
    drawable: Drawable

    def spread(
        self, place: Callable[[StoredAnnotation], tuple[Placement, np.ndarray]]
    ) -> np.ndarray:
        """Spread on the pixels that `place` names, with their mask; NaN where masked."""

        def placed() -> Iterator[np.ndarray]:
            for layer in self.layers:
                stored = self.drawable.load(layer.blob)
                cells = stored.attribute_maps[layer.position]
                yield overlays.evidence_on(cells, layer.scale, *place(stored))

        return agreement.spread(placed())

    @property
    def parts(self) -> tuple[object, ...]:
        """What a picture depends on, for its validator."""
        return tuple(layer.blob for layer in self.layers)


def _several(
    request: Request, gateway: GatewayDep, frame: VisibleFrame, attribute: str
) -> _Several:
    bundles = {bundle.version: bundle for bundle in gateway.catalogue.bundles}
    known = dict.fromkeys(one for b in bundles.values() for one in b.vocabulary.ids)
    position_of("attribute", attribute, tuple(known))
    with ledger.reading(gateway.engine) as session:
        found = ledger.all_annotations(session, frame.frame_id)
    # A version that is gone from the catalogue took the scale of its maps with it.
    asked = [
        (one, bundle)
        for one in found
        if (bundle := bundles.get(one.model.version)) and attribute in bundle.vocabulary.ids
    ]
    layers = []
    for one, bundle in asked:
        if one.state is State.DONE and one.blob is not None:
            position = bundle.vocabulary.ids.index(attribute)
            layers.append(_Layer(one.blob, position, float(bundle.map_scale[position])))
    if len(layers) < 2:
        pending = any(not one.state.is_final for one, _ in asked)
        raise NotReadyError(
            "too_few_models",
            "Fewer than two models have said something about this attribute",
            f"{len(layers)} of {len(asked)} models that were asked about the frame and know"
            f" {attribute} have decided.",
            "Ask for its `annotations?wait=10` first."
            if pending
            else _who_else(gateway, attribute, [bundle for _, bundle in asked]),
            frame_id=frame.frame_id,
        )
    return _Several(layers, Drawable(request, layers[0].blob, gateway.maps.load))


def _who_else(gateway: Gateway, attribute: str, asked: Sequence[Bundle]) -> str:
    others = [
        bundle.name
        for bundle in gateway.catalogue.bundles
        if bundle not in asked and attribute in bundle.vocabulary.ids
    ]
    if not others:
        return "No other model here knows it: install another bundle that does."
    return f"Send the file again with `model={others[0]}`; it is stored only once."


@router.get("/overlays/{attribute}/spread.png", response_class=Response, responses=PNG)
def draw_spread(several: Annotated[_Several, Depends(_several)], style: MapStyle) -> Response:
    """Draw where models differ over an attribute, on the frame.

    It is the standard deviation over all models that have decided, of their positive maps each
    divided by its own 99th percentile on validation and cut at 1. Full colour is 0.5, the most
    there can be, so colours compare between frames.
    """

    def draw(stored: StoredAnnotation) -> bytes:
        found = several.spread(lambda one: (overlays.preview_placement(one), one.preview_mask))
        return draw_layer(stored, np.clip(np.nan_to_num(found) / _LARGEST, 0, 1), style)

    return several.drawable.answer("image/png", draw, *several.parts, *style.parts)


@router.get("/overlays/{attribute}/spread.npy", response_class=Response, responses=NPY)
def read_spread(several: Annotated[_Several, Depends(_several)]) -> Response:
    """Give the spread of an attribute's maps, 0 to 0.5: float32 (H, W), NaN where masked."""

    def draw(_stored: StoredAnnotation) -> bytes:
        return overlays.encode_npy(several.spread(lambda one: (one.placement, one.mask)))

    return several.drawable.answer("application/x-npy", draw, *several.parts)
