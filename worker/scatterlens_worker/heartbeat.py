"""The sign of life of a worker: while it works, its leases last."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from scatterlens_service import ledger
from scatterlens_service.tending.troubles import Troubles

_log = logging.getLogger(__name__)

LONGEST_BATCH_SECONDS = 180.0
"""A batch that takes longer hangs: its leases are no longer prolonged."""


class Heartbeat:
    """Reports the worker and prolongs what it holds, from a thread of the working process.

    A stopped or killed process prolongs nothing, so others take over its work.
    """

    def __init__(
        self,
        engine: Engine,
        report: Callable[[], ledger.WorkerReport],
        every_seconds: float,
        lease_seconds: float,
        longest_seconds: float | None = None,
    ) -> None:
        self._engine = engine
        self._report = report
        self._every_seconds = every_seconds
        self._lease_seconds = lease_seconds
        self._longest_seconds = longest_seconds
        self._held: Sequence[ledger.Lease] = ()
        self.lost = threading.Event()
        """Set: what is held is no longer ours, as somebody cancelled it or took it over."""
        self._held_since = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_forever, name="heartbeat", daemon=True)
        self._thread.start()

    @contextmanager
    def holding(self, jobs: Sequence[ledger.Lease]) -> Iterator[None]:
        """Prolong the leases of these jobs during the block, beside those of a block around it."""
        if not self._held:
            self.lost.clear()
        around, since, begun = self._held, self._held_since, time.monotonic()
        self._held_since = begun
        self._held = (*around, *jobs)
        try:
            yield
        finally:
            # The block around it has as much time left as it had before.
            self._held_since = since + time.monotonic() - begun
            self._held = around

    def close(self) -> None:
        """Stop beating and take the worker off the list."""
        self._stop.set()
        self._thread.join()
        try:
            with ledger.writing(self._engine) as session:
                ledger.forget_worker(session, self._report().id)
        except SQLAlchemyError as error:
            _log.warning("could not say goodbye: %s", error)

    def _beat_forever(self) -> None:
        troubles = Troubles(_log)
        while True:
            held = self._held
            longest = self._longest_seconds or LONGEST_BATCH_SECONDS
            if held and time.monotonic() - self._held_since > longest:
                troubles.meet("a batch", f"a batch of {len(held)} hangs; giving up its leases")
                held = ()
            else:
                troubles.end("a batch")
            try:
                with ledger.writing(self._engine) as session:
                    kept = ledger.heartbeat(session, self._report(), held, self._lease_seconds)
                if kept < len(held) and held is self._held:
                    self.lost.set()
            except SQLAlchemyError as error:
                troubles.meet("the heartbeat", f"no sign of life is written down: {error}")
            else:
                troubles.end("the heartbeat")
            if self._stop.wait(self._every_seconds):
                return
