"""One frame: what is known of it, its annotation, its original bytes."""

from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from scatterlens.schemas import Annotation, Annotations, FrameChanges, FrameDetail
from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger
from scatterlens_service.comparing.agreement import compare
from scatterlens_service.gateway.caching import answer_unchanged, make_etag, private
from scatterlens_service.gateway.deps import FrameModel, GatewayDep, Reader, Sender, VisibleFrame
from scatterlens_service.gateway.errors import ConflictError, NotFoundError, problem_responses
from scatterlens_service.gateway.metadata import read_changes
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.routes.rendering import raw_removed
from scatterlens_service.gateway.waiting import Wait, wait_for
from scatterlens_service.gateway.wire import to_annotation, to_detail

router = APIRouter(prefix="/frames/{frame_id}", tags=["frames"])


@router.get("", responses=problem_responses(401, 403, 404, 422, 500, 503))
def read_frame(
    gateway: GatewayDep,
    caller: Reader,
    frame: VisibleFrame,
    history: Annotated[bool, Query(description="Tell how its metadata changed, too.")] = False,
) -> FrameDetail:
    """Tell all that is known of a frame."""
    return _detail(gateway, caller, frame, history=history)


@router.patch("", responses=problem_responses(401, 403, 404, 409, 422, 500, 503))
def correct_frame(
    request: Request, gateway: GatewayDep, caller: Sender, frame: VisibleFrame, said: FrameChanges
) -> FrameDetail:
    """Correct what is told of a frame: what is not named stays, null forgets.

    What stood there before is kept: `GET /frames/{id}?history=true`. Within other proposals, for
    which the same bytes were sent, nothing changes; where there are several, `proposal` or
    `beamline` of the address say which one is meant.
    """
    changes = read_changes(said, caller)
    if not request.query_params.keys() & {"proposal", "beamline"}:
        _refuse_several(gateway, caller, frame)
    with ledger.writing(gateway.engine) as session:
        ledger.describe(session, frame, changes, caller)
    return _detail(gateway, caller, _read_again(gateway, frame), history=True)


def _refuse_several(gateway: Gateway, caller: ledger.Principal, frame: ledger.FrameRow) -> None:
    with ledger.reading(gateway.engine) as session:
        places = ledger.places_of(session, frame.frame_id, caller)
    if len(places) > 1:
        known = "; ".join(
            f"proposal {proposal or 'not told'}, beamline {beamline or 'not told'}"
            for proposal, beamline in places
        )
        raise ConflictError(
            "several_places",
            "The frame is known in several places",
            f"They are: {known}.",
            "Name the `proposal`, and the `beamline` where needed, in the address of the request"
            " (`describe --within`); empty where none was told.",
        )


def _detail(
    gateway: Gateway, caller: ledger.Principal, frame: ledger.FrameRow, *, history: bool
) -> FrameDetail:
    with ledger.reading(gateway.engine) as session:
        return to_detail(
            frame,
            ledger.models_of(session, frame.frame_id),
            ledger.places_of(session, frame.frame_id, caller),
            ledger.metadata_history(session, frame) if history else None,
        )


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
    frame: VisibleFrame,
    model: FrameModel,
    wait: Wait = 0.0,
) -> Annotation:
    """Tell what a model says about a frame; waits for it if asked to.

    A frame that failed or was quarantined is an answer too (200), with its reason.
    """
    found = await wait_for(
        gateway.feed,
        frame.frame_id,
        partial(_find, gateway, frame, model),
        lambda found: found.state.is_final,
        wait,
    )
    if not found.state.is_final:
        response.status_code = 202
    response.headers["Cache-Control"] = "no-store"
    # The file's geometry became known with the annotation: `frame` may be older than that.
    return to_annotation(await run_in_threadpool(_read_again, gateway, frame), found)


@router.get(
    "/annotations",
    responses={
        202: {"model": Annotations, "description": "Not all are decided yet"},
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
async def read_annotations(
    response: Response,
    gateway: GatewayDep,
    frame: VisibleFrame,
    wait: Wait = 0.0,
) -> Annotations:
    """Tell what every model says that was asked about a frame, and how far they agree.

    The agreement counts the annotations that are done: it may still change while others are
    pending (202), and a model that failed over the frame has no part in it.
    """
    found = await wait_for(
        gateway.feed,
        frame.frame_id,
        partial(_find_all, gateway, frame),
        lambda found: all(one.state.is_final for one in found),
        wait,
    )
    if not all(one.state.is_final for one in found):
        response.status_code = 202
    response.headers["Cache-Control"] = "no-store"
    return await run_in_threadpool(_compared, gateway, frame, found)


def _compared(
    gateway: Gateway, frame: ledger.FrameRow, found: list[ledger.StoredAnnotation]
) -> Annotations:
    known = _read_again(gateway, frame)
    order = gateway.catalogue.production.vocabulary.ids
    return Annotations(
        frame_id=frame.frame_id,
        annotations=[to_annotation(known, one) for one in found],
        agreement=compare(found, order, gateway.maps.load),
    )


def _find_all(gateway: Gateway, frame: ledger.FrameRow) -> list[ledger.StoredAnnotation]:
    with ledger.reading(gateway.engine) as session:
        found = ledger.all_annotations(session, frame.frame_id)
    production = gateway.catalogue.production.version
    return sorted(found, key=lambda one: one.model.version != production)


def _read_again(gateway: Gateway, frame: ledger.FrameRow) -> ledger.FrameRow:
    version = gateway.catalogue.production.version
    with ledger.reading(gateway.engine) as session:
        return ledger.read_again(session, frame, version) or frame


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
        **problem_responses(401, 403, 404, 410, 422, 500, 503),
    },
)
def read_raw(request: Request, gateway: GatewayDep, frame: VisibleFrame) -> Response:
    """Give back the file as it was sent."""
    etag = make_etag("raw", frame.sha256)
    if unchanged := answer_unchanged(request, etag):
        return unchanged
    path = gateway.blobs.path(frame.sha256)
    if not path.is_file():
        with ledger.reading(gateway.engine) as session:
            if ledger.is_raw_removed(session, frame.frame_id):
                raise raw_removed(frame.frame_id)
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
