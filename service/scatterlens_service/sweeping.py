"""The watch over the ledger: expired leases go back, forgotten rows are rung again."""

import logging
import threading

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from scatterlens_service import ledger
from scatterlens_service.bell import Bell
from scatterlens_service.settings import Settings

_log = logging.getLogger(__name__)


def sweep_once(engine: Engine, bell: Bell, settings: Settings) -> None:
    """Return expired leases, then ring for jobs that nobody took; any number of processes may."""
    with ledger.reading(engine) as session:
        expired = ledger.has_expired(session)
        queues = ledger.queues_to_ring(session, settings.ring_after_seconds)
    if expired:
        with ledger.writing(engine) as session:
            count = ledger.sweep(session)
        _log.warning("%d leases expired", count)
    for queue in queues:
        bell.ring(queue)


def sweep_forever(engine: Engine, bell: Bell, settings: Settings, stop: threading.Event) -> None:
    """Sweep every `settings.sweep_seconds` until `stop`; a database that is away is waited for."""
    while not stop.wait(settings.sweep_seconds):
        try:
            sweep_once(engine, bell, settings)
        except SQLAlchemyError as error:
            _log.warning("sweep failed, trying again: %s", error)
