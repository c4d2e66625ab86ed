"""Long polls: looking again at something of a frame until it is settled or time is up."""

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Query
from starlette.concurrency import run_in_threadpool

from scatterlens_service.gateway.feed import EventFeed

_LONGEST_WAIT_S = 60.0
_RECHECK_S = 2.0
"""An event can be missed while the database is away: look again now and then."""

Wait = Annotated[
    float,
    Query(ge=0, le=_LONGEST_WAIT_S, allow_inf_nan=False, description="Seconds to wait for it."),
]

T = TypeVar("T")


async def wait_for(
    feed: EventFeed,
    frame_id: str,
    look: Callable[[], T],
    is_settled: Callable[[T], bool],
    wait: float,
    recheck: float = _RECHECK_S,
) -> T:
    """Look at once, then after each event of the frame; returns the last that was found.

    Give a shorter `recheck` for what no event tells of.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + wait
    async with feed.watching(frame_id) as happened:
        while True:
            happened.clear()
            found = await run_in_threadpool(look)
            left = ends - loop.time()
            if is_settled(found) or left <= 0 or feed.closing:
                return found
            try:
                await asyncio.wait_for(happened.wait(), min(left, recheck))
            except TimeoutError:
                continue
