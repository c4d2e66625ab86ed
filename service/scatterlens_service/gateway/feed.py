"""One look at the ledger's events for all who wait in this process."""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from scatterlens_service import ledger
from scatterlens_service.tending.troubles import Troubles

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_END_SECONDS = 10.0
"""A database that is away is not waited for any longer."""


class EventFeed:
    """Wakes requests when something happens, so that none of them polls the database."""

    def __init__(
        self, engine: Engine, stopping: threading.Event, on_models: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._stopping = stopping
        self._on_models = on_models
        """Called off the event loop where the models changed, before anybody is woken."""
        self._troubles = Troubles(_log)
        self._ending = asyncio.Event()
        self._changed = asyncio.Event()
        self._waiters: dict[str, set[asyncio.Event]] = defaultdict(set)
        self.newest = 0
        """Id of the newest event that was seen."""
        self.closing = False
        """The service stops: whoever waits should answer now."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read events in the background."""
        self.newest = await run_in_threadpool(self._last)
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            # A look that is under way is ended, not left behind with its connection.
            self._ending.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(task, _END_SECONDS)

    async def wait_beyond(self, event_id: int, timeout: float) -> bool:
        """Wait for any event newer than `event_id`; False if none came within `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.newest <= event_id and not self.closing:
                    await self._changed.wait()
        return self.newest > event_id

    @asynccontextmanager
    async def watching(self, frame_id: str) -> AsyncIterator[asyncio.Event]:
        """Collect events of one frame from now on: the flag is set when there was one."""
        flag = asyncio.Event()
        self._waiters[frame_id].add(flag)
        try:
            yield flag
        finally:
            self._waiters[frame_id].discard(flag)
            if not self._waiters[frame_id]:
                del self._waiters[frame_id]

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _POLL_SECONDS)
                return
            if self._stopping.is_set():
                self.closing = True
                self._wake(list(self._waiters))
                return
            try:
                rows = await run_in_threadpool(self._read)
                if any(row.kind == "model" for row in rows):
                    await run_in_threadpool(self._on_models)
            except SQLAlchemyError as error:
                self._troubles.meet("events", f"events cannot be read, trying again: {error}")
                continue
            self._troubles.end("events")
            if not rows:
                continue
            self.newest = rows[-1].id
            self._wake(row.frame_id for row in rows if row.frame_id is not None)

    def _wake(self, frame_ids: Iterable[str]) -> None:
        for frame_id in frame_ids:
            for flag in self._waiters.get(frame_id, ()):
                flag.set()
        self._changed.set()
        self._changed = asyncio.Event()

    def _last(self) -> int:
        with ledger.reading(self._engine) as session:
            return ledger.last_event_id(session)

    def _read(self) -> list[ledger.EventRow]:
        with ledger.reading(self._engine) as session:
            return ledger.events_after(session, self.newest)
