"""The watch over the ledger: expired leases go back, forgotten rows are rung again.

It also queues old frames that a new model shall look at, a portion at a time, forgets sessions
that have expired, records which keys are in use, and keeps what workers drew within its bounds.
"""

import logging
import threading
import time

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from scatterlens_service import ledger
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_service.keeping.removing import remove_files
from scatterlens_service.registry.installing import clear_arriving
from scatterlens_service.settings import Settings
from scatterlens_service.tending.attendance import Attendance
from scatterlens_service.tending.bell import Bell
from scatterlens_service.tending.presence import find_departed, forget_departed
from scatterlens_service.tending.training import train_by_policy
from scatterlens_service.tending.troubles import Troubles

_log = logging.getLogger(__name__)

_STEP_SECONDS = 2.0
"""Two clocks that part by so much between two looks: one of them was set."""
_TRIM_SECONDS = 60.0
"""Between two looks at the folders: it looks at each file, a moment for thousands."""


class ClockWatch:
    """Notices that the clock of the ledger was set: it and ours, which never steps, part."""

    def __init__(self) -> None:
        self._ahead: float | None = None

    def has_stepped(self, now: float) -> bool:
        """Whether it was set since the last call, which gave what it told then."""
        before, self._ahead = self._ahead, now - time.monotonic()
        return before is not None and abs(self._ahead - before) > _STEP_SECONDS


def sweep_once(
    engine: Engine, bell: Bell, settings: Settings, watch: ClockWatch | None = None
) -> None:
    """Return expired leases, queue old frames, ring for jobs that wait, train where due.

    Any number of processes may do it at the same time.
    """
    _hold_by_time_that_passed(engine, settings, watch or ClockWatch())
    departed = find_departed(settings.home)
    if departed:
        with ledger.writing(engine) as session:
            lost = ledger.lose_workers(session, departed)
        forget_departed(settings.home, departed)
        _log.warning("%d workers ended without a goodbye, over %d jobs", len(departed), lost)
    with ledger.reading(engine) as session:
        expired = ledger.has_expired(session)
        queues = ledger.queues_to_ring(session, settings.ring_after_seconds)
        looking_again = ledger.has_reannotations(session)
        stale = ledger.has_expired_sessions(session)
    if expired:
        with ledger.writing(engine) as session:
            count = ledger.sweep(session)
            # At once: whoever is idle takes them now.
            queues = ledger.queues_to_ring(session, 0.0)
        _log.warning("%d leases expired", count)
    if looking_again:
        with ledger.writing(engine) as session:
            if ledger.queue_old_frames(session, settings.max_queue):
                queues = {*queues, ledger.BATCH}
    for queue in queues:
        bell.ring(queue)
    if stale:
        with ledger.writing(engine) as session:
            ledger.clear_sessions(session)
    train_by_policy(engine, bell, settings)


def _hold_by_time_that_passed(engine: Engine, settings: Settings, watch: ClockWatch) -> None:
    """Where the clock was set, let leases neither end early nor last until it is there again."""
    with ledger.reading(engine) as session:
        # Both are asked: a gateway that starts later has not seen the step.
        stepped = watch.has_stepped(ledger.read_clock(session))
        stepped |= ledger.has_endless_leases(session, settings.lease_seconds)
    if stepped:
        with ledger.writing(engine) as session:
            ledger.renew_leases(session, settings.lease_seconds)
        _log.warning("the clock of the ledger was set; leases count anew from now")


def sweep_forever(
    engine: Engine,
    bell: Bell,
    blobs: BlobFolder,
    renders: BlobFolder,
    settings: Settings,
    attendance: Attendance,
    stop: threading.Event,
) -> None:
    """Sweep every `settings.sweep_seconds` until `stop`; a database that is away is waited for."""
    trimmed = float("-inf")
    troubles, watch = Troubles(_log), ClockWatch()
    while not stop.wait(settings.sweep_seconds):
        try:
            sweep_once(engine, bell, settings, watch)
            attendance.record(engine)
            remove_files(engine, settings)
            if time.monotonic() - trimmed > _TRIM_SECONDS:
                trimmed = time.monotonic()
                removed = renders.trim(settings.max_render_bytes)
                if removed:
                    _log.info("%d rendered files removed, as nobody used them lately", removed)
                clear_arriving(settings)
                left = blobs.clear_incoming() + renders.clear_incoming()
                if left:
                    _log.info("%d files removed that were never received to their end", left)
        except (SQLAlchemyError, OSError) as error:
            troubles.meet("the sweep", f"the sweep failed, trying again: {error}")
        else:
            troubles.end("the sweep")
