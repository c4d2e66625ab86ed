"""Finding frames, and all their results as one stream."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from scatterlens.schemas import Annotation, FramePage, State
from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger
from scatterlens_service.cursors import read_cursor, write_cursor
from scatterlens_service.deps import ChosenModel, GatewayDep, Reader, Since
from scatterlens_service.errors import InvalidError, problem_responses
from scatterlens_service.resources import Gateway
from scatterlens_service.wire import to_annotation, to_summary

router = APIRouter(tags=["search"])

Line = Annotated[str | None, Query(max_length=500, pattern=r"^[^\x00]*$")]
Terms = list[Annotated[str, Field(max_length=100)]]

_STREAM_PAGE = 200


def _filter(
    model: ChosenModel,
    tag: Annotated[
        Terms,
        Query(
            default_factory=list,
            max_length=50,
            description="`ring`, `ring>0.8`, `ring<0.2`; all must hold.",
        ),
    ],
    without: Annotated[
        Terms,
        Query(
            default_factory=list, alias="not", max_length=50, description="None of these may hold."
        ),
    ],
    proposal: Line = None,
    beamline: Line = None,
    scan: Line = None,
    sample: Annotated[Line, Query(description="Part of the sample's name.")] = None,
    since: Since = None,
    state: Annotated[State | None, Query(description="With the production model.")] = None,
    labelled: Annotated[
        bool | None, Query(description="Somebody labels it now, or nobody does.")
    ] = None,
) -> ledger.FrameFilter:
    return ledger.FrameFilter(
        tags=[_read_term(model, text) for text in tag],
        without=[_read_term(model, text) for text in without],
        proposal=proposal,
        beamline=beamline,
        scan=scan,
        sample=sample,
        since=since,
        state=state,
        labelled=labelled,
    )


def _read_term(model: Bundle, text: str) -> ledger.TagTerm:
    term = ledger.TagTerm.parse(text)
    if term.attribute not in model.vocabulary.ids:
        raise InvalidError(
            "unknown_attribute",
            "Unknown attribute",
            f"The model has no attribute {term.attribute!r}.",
            f"Choose one of {', '.join(model.vocabulary.ids)}.",
            known=list(model.vocabulary.ids),
        )
    return term


Filter = Annotated[ledger.FrameFilter, Depends(_filter)]


@router.get("/frames", responses=problem_responses(401, 403, 404, 422, 500, 503))
def list_frames(
    gateway: GatewayDep,
    caller: Reader,
    model: ChosenModel,
    wanted: Filter,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> FramePage:
    """List frames, newest first; tags are those of the chosen model."""
    with ledger.reading(gateway.engine) as session:
        rows = ledger.list_frames(
            session,
            wanted,
            production=model.version,
            sees=caller,
            before=None if cursor is None else _read_cursor(cursor),
            limit=limit,
        )
    following = None if rows.next_before is None else _write_cursor(rows.next_before)
    return FramePage(items=[to_summary(row) for row in rows.items], next_cursor=following)


@router.get(
    "/annotations.ndjson",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One Annotation as JSON on each line, newest frame first",
            "content": {
                "application/x-ndjson": {"schema": {"$ref": "#/components/schemas/Annotation"}}
            },
        },
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
def stream_annotations(
    gateway: GatewayDep, caller: Reader, model: ChosenModel, wanted: Filter
) -> StreamingResponse:
    """Stream the annotations of all frames that the filter finds; undecided ones are left out."""
    lines = (
        annotation.model_dump_json() + "\n"
        for annotation in _annotations(gateway, caller, model, wanted)
    )
    return StreamingResponse(
        lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"}
    )


def _annotations(
    gateway: Gateway, caller: ledger.Principal, model: Bundle, wanted: ledger.FrameFilter
) -> Iterator[Annotation]:
    before = None
    while True:
        # Each page has its own short transaction: a slow reader holds no connection.
        with ledger.reading(gateway.engine) as session:
            rows = ledger.list_frames(
                session,
                wanted,
                production=model.version,
                sees=caller,
                before=before,
                limit=_STREAM_PAGE,
            )
            ids = [row.frame_id for row in rows.items]
            found = ledger.annotations_of(session, ids, model.version)
        for row in rows.items:
            stored = found.get(row.frame_id)
            if stored is not None and stored.state.is_final:
                yield to_annotation(row, stored)
        before = rows.next_before
        if before is None:
            return


def _write_cursor(before: int) -> str:
    return write_cursor(f"before:{before}")


def _read_cursor(cursor: str) -> int:
    # Fewer digits than the largest id of a database has, which is more than it will ever count.
    return int(read_cursor(cursor, r"before:(\d{1,18})")[1])
