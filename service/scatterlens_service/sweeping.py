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
from scatterlens_service.attendance import Attendance
from scatterlens_service.bell import Bell
from scatterlens_service.blobs import BlobFolder
from scatterlens_service.installing import clear_arriving
from scatterlens_service.removing import remove_files
from scatterlens_service.settings import Settings
from scatterlens_service.training import train_by_policy
from scatterlens_service.troubles import Troubles

_log = logging.getLogger(__name__)

_TRIM_SECONDS = 60.0
"""Between two looks at the folders: it looks at each file, a moment for thousands."""


def sweep_once(engine: Engine, bell: Bell, settings: Settings) -> None:
    """Return expired leases, queue old frames, ring for jobs that wait, train where due.

    Any number of processes may do it at the same time.
    """
    with ledger.reading(engine) as session:
        expired = ledger.has_expired(session)
        queues = ledger.queues_to_ring(session, settings.ring_after_seconds)
        looking_again = ledger.has_reannotations(session)
        stale = ledger.has_expired_sessions(session)
    if expired:
        with ledger.writing(engine) as session:
            count = ledger.sweep(session)
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
    troubles = Troubles(_log)
    while not stop.wait(settings.sweep_seconds):
        try:
            sweep_once(engine, bell, settings)
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
