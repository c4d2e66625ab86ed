"""Gradient maps of one frame: computed by a worker when they are first asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from scatterlens_models.bundle import Bundle
from scatterlens_models.stored import StoredAnnotation
from scatterlens_service import ledger
from scatterlens_service.gateway.deps import FrameModel, GatewayDep, VisibleFrame
from scatterlens_service.gateway.errors import NotFoundError
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.routes.drawing import (
    NPY,
    PNG,
    Drawable,
    MapStyle,
    Space,
    draw_map,
    find_drawable,
    map_array,
    position_of,
)
from scatterlens_service.gateway.routes.rendering import PENDING, find_rendered
from scatterlens_service.gateway.waiting import Wait
from scatterlens_service.keeping.gradients import parameters_of, unpack_maps
from scatterlens_service.registry.bundles import to_model_version

router = APIRouter(prefix="/frames/{frame_id}", tags=["pictures"])


@dataclass(frozen=True)
class _Asked:
    """A gradient map that can be asked for: of a model that has it, on an annotated frame."""

    gateway: Gateway
    frame_id: str
    model: ledger.ModelVersion
    method: str
    attribute: str
    wait: float
    drawable: Drawable

    async def answer(
        self,
        media_type: str,
        draw: Callable[[StoredAnnotation, np.ndarray], bytes],
        *parameters: object,
    ) -> Response:
        """Draw what is there; else have it computed, and say when to ask again."""
        found = await find_rendered(
            self.gateway, self.frame_id, parameters_of(self.attribute), self.wait, self.model
        )
        if isinstance(found, Response):
            return found

        def draw_it(stored: StoredAnnotation) -> bytes:
            return draw(stored, unpack_maps(self.gateway.renders.read(found))[self.method])

        return await run_in_threadpool(
            self.drawable.answer, media_type, draw_it, found, *parameters
        )


def _asked(
    request: Request,
    gateway: GatewayDep,
    frame: VisibleFrame,
    model: FrameModel,
    method: str,
    attribute: str,
    wait: Wait = 0.0,
) -> _Asked:
    # Nothing is queued here: another parameter of the request may still be refused.
    position_of("attribute", attribute, model.vocabulary.ids)
    _check_method(gateway, model, method)
    drawable = find_drawable(request, gateway, frame, model)
    version = to_model_version(model)
    return _Asked(gateway, frame.frame_id, version, method, attribute, wait, drawable)


@router.get(
    "/gradients/{method}/{attribute}.png",
    response_class=Response,
    responses={**PNG, **PENDING},
)
async def draw_gradients(asked: Annotated[_Asked, Depends(_asked)], style: MapStyle) -> Response:
    """Draw the gradient map of an attribute at an inner layer, on the frame.

    The first request has a worker compute it and is answered 202, unless `wait` suffices. Full
    colour is the map's own maximum: colours do not compare between frames.
    """

    def draw(stored: StoredAnnotation, cells: np.ndarray) -> bytes:
        # Gradients are small numbers: a reference below what float16 holds would count as dark.
        largest = float(cells.max())
        return draw_map(stored, cells / largest if largest > 0 else cells, 1.0, style)

    return await asked.answer("image/png", draw, *style.parts)


@router.get(
    "/gradients/{method}/{attribute}.npy",
    response_class=Response,
    responses={**NPY, **PENDING},
)
async def read_gradients(
    asked: Annotated[_Asked, Depends(_asked)], space: Space = "detector"
) -> Response:
    """Give the gradient map of an attribute; 202 as long as a worker has yet to compute it."""

    def draw(stored: StoredAnnotation, cells: np.ndarray) -> bytes:
        return map_array(stored, cells, space)

    return await asked.answer("application/x-npy", draw, space)


def _check_method(gateway: Gateway, model: Bundle, method: str) -> None:
    if not model.gradient_maps:
        able = [
            f"{bundle.name}@{bundle.version}"
            for bundle in gateway.catalogue.bundles
            if bundle.gradient_maps
        ]
        raise NotFoundError(
            "no_gradients",
            "The model has no gradient maps",
            f"The bundle {model.name}@{model.version} holds no graph that computes them.",
            f"Choose `model=` one of {', '.join(able)}."
            if able
            else "No model here has one: install a bundle that was exported with gradients.",
            known=able,
        )
    position_of("gradient map", method, model.gradient_maps)
