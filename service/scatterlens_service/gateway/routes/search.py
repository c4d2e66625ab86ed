"""Finding frames, and counting what is found."""

from typing import Annotated

from fastapi import APIRouter, Query

from scatterlens.schemas import FrameCount, FramePage
from scatterlens_service import ledger
from scatterlens_service.gateway.asking import Beginning, Filter, read_place, write_place
from scatterlens_service.gateway.deps import ChosenModel, GatewayDep, Reader
from scatterlens_service.gateway.errors import problem_responses
from scatterlens_service.gateway.wire import to_summary

router = APIRouter(tags=["search"])


@router.get("/frames", responses=problem_responses(401, 403, 404, 422, 500, 503))
def list_frames(
    gateway: GatewayDep,
    caller: Reader,
    model: ChosenModel,
    wanted: Filter,
    start: Beginning,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> FramePage:
    """List frames; tags are those of the chosen model.

    A page may be short, or even empty, though more frames follow: go on while there is a cursor.
    Beside a frame that is not in the list there is nothing.
    """
    with ledger.reading(gateway.engine) as session:
        rows = ledger.list_frames(
            session,
            wanted,
            production=model.version,
            sees=caller,
            order=start.order,
            after=None if cursor is None else read_place(start.order, cursor),
            beyond=start.beyond,
            limit=limit,
        )
    following = None if rows.following is None else write_place(start.order, rows.following)
    return FramePage(items=[to_summary(row) for row in rows.items], next_cursor=following)


@router.get("/frames.count", responses=problem_responses(401, 403, 404, 422, 500, 503))
def count_frames(
    gateway: GatewayDep, caller: Reader, model: ChosenModel, wanted: Filter
) -> FrameCount:
    """Count the frames that a filter finds, as far as that goes in half a second."""
    with ledger.reading(gateway.engine) as session:
        count, exact = ledger.count_frames(session, wanted, production=model.version, sees=caller)
    return FrameCount(count=count, exact=exact)
