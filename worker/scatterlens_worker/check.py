"""`python -m scatterlens_worker.check [train]`: exit code 0 if a worker of this host lives.

The health check of a container: it asks the ledger, so a worker that beats but cannot reach its
ledger counts as dead.
"""

import socket
import sys

from scatterlens_service import ledger
from scatterlens_service.settings import Settings


def is_alive(settings: Settings, role: ledger.WorkerRole = "annotate") -> bool:
    """Whether a worker of this host reported within the last five heartbeats."""
    engine = ledger.open_engine(settings.database)
    try:
        with ledger.reading(engine) as session:
            seen = ledger.seen_workers(session, role, 5 * settings.heartbeat_seconds)
    finally:
        engine.dispose()
    host = socket.gethostname()
    return any(one.report.id.split(":")[0] == host for one in seen)


if __name__ == "__main__":
    sys.exit(0 if is_alive(Settings(), "train" if "train" in sys.argv[1:] else "annotate") else 1)
