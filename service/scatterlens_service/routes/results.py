"""One frame: what is known of it, its annotation, its original bytes."""

import asyncio
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from scatterlens.schemas import Annotation, FrameDetail
from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger
from scatterlens_service.caching import answer_unchanged, make_etag, private
from scatterlens_service.deps import ChosenModel, GatewayDep, Reader, VisibleFrame
from scatterlens_service.errors import NotFoundError, problem_responses
from scatterlens_service.resources import Gateway
from scatterlens_service.wire import to_annotation, to_detail

router = APIRouter(prefix="/frames/{frame_id}", tags=["frames"])

_LONGEST_WAIT_S = 60.0
_RECHECK_S = 2.0
"""An event can be missed while the database is away: look again now and then."""


@router.get("", responses=problem_responses(401, 403, 404, 422, 500, 503))
def read_frame(gateway: GatewayDep, frame: VisibleFrame) -> FrameDetail:
    """Tell all that is known of a frame."""
    with ledger.reading(gateway.engine) as session:
        return to_detail(frame, ledger.models_of(session, frame.frame_id))


@router.get(
    "/annotation",
    responses={
        202: {"model": Annotation, "description": "Not decided yet"},
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
async def read_annotation(
    response: Response,
    gateway: GatewayDep,
    caller: Reader,
    frame: VisibleFrame,
    model: ChosenModel,
    wait: Annotated[
        float,
        Query(ge=0, le=_LONGEST_WAIT_S, allow_inf_nan=False, description="Seconds to wait for it."),
    ] = 0.0,
) -> Annotation:
    """Tell what a model says about a frame; waits for it if asked to.

    A frame that failed or was quarantined is an answer too (200), with its reason.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + wait
    async with gateway.feed.watching(frame.frame_id) as happened:
        while True:
            happened.clear()
            found = await run_in_threadpool(_find, gateway, frame, model)
            left = ends - loop.time()
            if found.state.is_final or left <= 0 or gateway.feed.closing:
                break
            try:
                await asyncio.wait_for(happened.wait(), min(left, _RECHECK_S))
            except TimeoutError:
                continue
    if not found.state.is_final:
        response.status_code = 202
    response.headers["Cache-Control"] = "no-store"
    # The file's geometry became known with the annotation: `frame` may be older than that.
    return to_annotation(await run_in_threadpool(_read_again, gateway, caller, frame), found)


def _read_again(
    gateway: Gateway, caller: ledger.Principal, frame: ledger.FrameRow
) -> ledger.FrameRow:
    version = gateway.catalogue.production.version
    with ledger.reading(gateway.engine) as session:
        return ledger.get_frame(session, frame.frame_id, production=version, sees=caller) or frame


def _find(gateway: Gateway, frame: ledger.FrameRow, model: Bundle) -> ledger.StoredAnnotation:
    with ledger.reading(gateway.engine) as session:
        found = ledger.get_annotation(session, frame.frame_id, model.version)
    if found is None:
        raise NotFoundError(
            "not_asked",
            "This model was not asked about this frame",
            f"There is no job for {model.name}@{model.version} and this frame.",
            f"Send the file again with `model={model.name}`; it is stored only once.",
            frame_id=frame.frame_id,
        )
    return found


@router.get(
    "/raw",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The file as it was sent; of a stack, the whole file",
            "content": {"application/octet-stream": {}},
        },
        304: {"description": "Not modified"},
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
def read_raw(request: Request, gateway: GatewayDep, frame: VisibleFrame) -> Response:
    """Give back the file as it was sent."""
    etag = make_etag("raw", frame.sha256)
    if unchanged := answer_unchanged(request, etag):
        return unchanged
    path = gateway.blobs.path(frame.sha256)
    if not path.is_file():
        raise NotFoundError(
            "file_missing",
            "The file is gone",
            "The ledger knows the frame, but its file is no longer kept.",
            "Send the file again.",
            frame_id=frame.frame_id,
        )
    name = quote(frame.filename or frame.sha256)
    return FileResponse(
        path,
        media_type="application/octet-stream",
        headers={
            **private(etag),
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        },
    )
