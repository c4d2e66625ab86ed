"""`python -m scatterlens_worker.check`: exit code 0 if a worker of this host lives.

The health check of a container: it asks the ledger, so a worker that beats but cannot reach its
ledger counts as dead.
"""

import socket
import sys

from scatterlens_service import ledger
from scatterlens_service.settings import Settings


def is_alive(settings: Settings) -> bool:
    """Whether a worker of this host reported within the last five heartbeats."""
    engine = ledger.open_engine(settings.database)
    try:
        with ledger.reading(engine) as session:
            seconds = 5 * settings.heartbeat_seconds
            status = ledger.queue_status(session, seen_within_seconds=seconds)
    finally:
        engine.dispose()
    host = socket.gethostname()
    return any(seen.report.id.split(":")[0] == host for seen in status.workers)


if __name__ == "__main__":
    sys.exit(0 if is_alive(Settings()) else 1)
