"""Deleting frames, for those who run the service."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from scatterlens.schemas import LINE, Tombstone, TombstonePage
from scatterlens_service import ledger
from scatterlens_service.gateway.cursors import read_cursor, write_cursor
from scatterlens_service.gateway.deps import Admin, GatewayDep
from scatterlens_service.gateway.errors import NotFoundError, problem_responses
from scatterlens_service.gateway.wire_operations import to_tombstone
from scatterlens_service.keeping.removing import remove_files

router = APIRouter(tags=["operations"])


@router.delete("/frames/{frame_id}", responses=problem_responses(401, 403, 404, 409, 422, 500, 503))
def delete_frame(
    gateway: GatewayDep,
    caller: Admin,
    frame_id: Annotated[str, Path(max_length=75)],
    reason: Annotated[
        str, Query(min_length=1, max_length=1000, pattern=LINE, description="Why; it is kept.")
    ],
    delete_labels: Annotated[
        bool, Query(description="Labels of people shall go with it; else such a frame stays.")
    ] = False,
) -> Tombstone:
    """Delete a frame for ever: its file, arrays, answers, labels and jobs; who and why is kept.

    A file that other frames of a stack share stays as long as one of them does. The same file, sent
    again, is taken as new.
    """
    with ledger.writing(gateway.engine) as session:
        stone = ledger.delete_frame(session, frame_id, caller, reason, with_labels=delete_labels)
    if stone is None:
        raise NotFoundError(
            "unknown_frame",
            "Unknown frame",
            "There is no frame of this id.",
            "Compare the id with GET /api/v1/frames; inside a stack it ends in `.<index>`.",
        )
    remove_files(gateway.engine, gateway.settings)
    return to_tombstone(stone)


@router.get("/deletions", responses=problem_responses(401, 403, 422, 500, 503))
def list_deletions(
    gateway: GatewayDep,
    _caller: Admin,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> TombstonePage:
    """List frames that were deleted, newest first: who did it, when and why."""
    before = None if cursor is None else int(read_cursor(cursor, r"\d{1,18}")[0])
    with ledger.reading(gateway.engine) as session:
        found = ledger.list_tombstones(session, before, limit + 1)
    more = len(found) > limit
    return TombstonePage(
        items=[to_tombstone(one) for one in found[:limit]],
        next_cursor=write_cursor(f"{found[limit - 1].id}") if more else None,
    )
