"""Gradient maps of one frame: computed by a worker when they are first asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from scatterlens.schemas import Rendering, State
from scatterlens_models.bundle import Bundle
from scatterlens_models.stored import StoredAnnotation
from scatterlens_service import ledger
from scatterlens_service.bundles import to_model_version
from scatterlens_service.deps import FrameModel, GatewayDep, VisibleFrame
from scatterlens_service.errors import NotFoundError, NotReadyError, problem_responses
from scatterlens_service.gradients import parameters_of, unpack_maps
from scatterlens_service.resources import Gateway
from scatterlens_service.routes.drawing import (
    NPY,
    PNG,
    Drawable,
    MapStyle,
    Responses,
    Space,
    draw_map,
    find_drawable,
    map_array,
    position_of,
)
from scatterlens_service.waiting import Wait, wait_for
from scatterlens_service.wire import to_model_ref

router = APIRouter(prefix="/frames/{frame_id}", tags=["pictures"])

_RECHECK_S = 0.2
"""Render jobs make no events: they change nothing of the frame."""
_RETRY_AFTER_S = 1
_PENDING: Responses = {
    202: {"model": Rendering, "description": "A worker has yet to compute it"},
    **problem_responses(507),
}


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
        render = await wait_for(
            self.gateway.feed,
            self.frame_id,
            self._find_or_queue,
            lambda one: one.state.is_final,
            self.wait,
            _RECHECK_S,
        )
        if not render.state.is_final:
            pending = Rendering(
                frame_id=self.frame_id, state=render.state, model=to_model_ref(self.model)
            )
            headers = {"Retry-After": f"{_RETRY_AFTER_S}", "Cache-Control": "no-store"}
            return JSONResponse(pending.model_dump(mode="json"), 202, headers=headers)
        blob = render.blob
        if blob is None:
            raise _failed(self.frame_id, render)

        def draw_it(stored: StoredAnnotation) -> bytes:
            return draw(stored, unpack_maps(self.gateway.blobs.read(blob))[self.method])

        return await run_in_threadpool(self.drawable.answer, media_type, draw_it, blob, *parameters)

    def _find_or_queue(self) -> ledger.StoredRender:
        gateway, asked = self.gateway, parameters_of(self.attribute)
        with ledger.reading(gateway.engine) as session:
            found = ledger.get_render(session, self.frame_id, self.model.version, asked)
        if found is not None:
            return found
        gateway.admission.check()
        with ledger.writing(gateway.engine) as session:
            ledger.queue_render(session, self.frame_id, self.model, asked)
        gateway.bell.ring(ledger.RENDER)
        return ledger.StoredRender(State.QUEUED, None, None)


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
    responses={**PNG, **_PENDING},
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
    responses={**NPY, **_PENDING},
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


def _failed(frame_id: str, render: ledger.StoredRender) -> NotReadyError:
    state = render.state.value
    if render.reason is None:
        return NotReadyError(
            state,
            f"The picture was {state}",
            "No reason was written down.",
            "Ask the operator of the service, naming the frame.",
            frame_id=frame_id,
            state=state,
        )
    said = render.reason
    return NotReadyError(
        said.type, said.title, said.detail, said.remedy, frame_id=frame_id, state=state
    )
