"""What happens, as it happens: server-sent events that can be taken up again."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from scatterlens_service import ledger
from scatterlens_service.gateway.deps import GatewayDep, Reader
from scatterlens_service.gateway.errors import problem_responses
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.wire import to_event

router = APIRouter(tags=["events"])

_HEARTBEAT_S = 10.0
EventId = Annotated[int, Query(ge=0, le=2**63 - 1)]


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events; the data of each is an Event as JSON",
            "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/Event"}}},
        },
        **problem_responses(401, 403, 422, 500, 503),
    },
)
async def follow_events(
    gateway: GatewayDep,
    caller: Reader,
    after: EventId | None = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**63 - 1)] = None,
) -> StreamingResponse:
    """Tell of changes of frames, labels and models, from now on or from after a given event.

    Without `after` and `Last-Event-ID` only what happens from now on is told.
    """
    start = last_event_id if last_event_id is not None else after
    if start is None:
        start = gateway.feed.newest
    return StreamingResponse(
        _stream(gateway, caller, start),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _stream(gateway: Gateway, caller: ledger.Principal, after: int) -> AsyncIterator[str]:
    yield ": connected\n\n"  # so that proxies and clients see the headers at once
    while not gateway.feed.closing:
        newest = gateway.feed.newest
        rows = await run_in_threadpool(_read, gateway, caller, after)
        if rows is None:
            return  # whoever asks again is told why
        for row in rows:
            yield f"id: {row.id}\nevent: {row.kind}\ndata: {to_event(row).model_dump_json()}\n\n"
        if rows:
            after = rows[-1].id
            continue
        # What lies between was not for this caller to see.
        after = max(after, newest)
        if not await gateway.feed.wait_beyond(after, _HEARTBEAT_S) and not gateway.feed.closing:
            yield ": still here\n\n"


def _read(gateway: Gateway, caller: ledger.Principal, after: int) -> list[ledger.EventRow] | None:
    """What is new for a caller; None where their key or session ended meanwhile."""
    with ledger.reading(gateway.engine) as session:
        if not ledger.is_still_valid(session, caller):
            return None
        return ledger.events_after(session, after, sees=caller)
