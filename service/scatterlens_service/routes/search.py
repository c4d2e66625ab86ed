"""Finding frames, and all their results as one stream."""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from scatterlens.schemas import Annotation, FramePage, State
from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger
from scatterlens_service.deps import ChosenModel, GatewayDep, Reader
from scatterlens_service.errors import InvalidError, problem_responses
from scatterlens_service.resources import Gateway
from scatterlens_service.wire import to_annotation, to_summary

router = APIRouter(tags=["search"])

Line = Annotated[str | None, Query(max_length=500, pattern=r"^[^\x00]*$")]
Terms = list[Annotated[str, Field(max_length=100)]]

_STREAM_PAGE = 200
_LARGEST_ID = 2**63 - 1


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
    since: Annotated[
        datetime | None, Query(description="Sent at this time or later; UTC where no zone is told.")
    ] = None,
    state: Annotated[State | None, Query(description="With the production model.")] = None,
) -> ledger.FrameFilter:
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return ledger.FrameFilter(
        tags=[_read_term(model, text) for text in tag],
        without=[_read_term(model, text) for text in without],
        proposal=proposal,
        beamline=beamline,
        scan=scan,
        sample=sample,
        since=since,
        state=state,
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
    return base64.urlsafe_b64encode(f"before:{before}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = re.fullmatch(r"before:(\d{1,19})", text)
    if found is None or int(found[1]) > _LARGEST_ID:
        raise InvalidError(
            "bad_cursor",
            "The cursor is not one of ours",
            "It was not given by an earlier page.",
            "Leave `cursor` out, or give back the `next_cursor` of the page before.",
        )
    return int(found[1])
