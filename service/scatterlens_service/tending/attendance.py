"""Which keys and sessions are in use: noted in memory, so that a request that reads only reads."""

import threading
import time
from dataclasses import dataclass, field

from sqlalchemy import Engine

from scatterlens_service import ledger

_RECORD_SECONDS = 60.0


@dataclass
class _Seen:
    keys: set[str] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)


class Attendance:
    """Collects callers of all requests; the sweep records them, once a minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = _Seen()
        self._recorded = float("-inf")

    def note(self, caller: ledger.Principal) -> None:
        """Remember that this caller was here."""
        with self._lock:
            self._seen.keys.add(caller.key_id)
            if caller.session is not None:
                self._seen.sessions.add(caller.session)

    def record(self, engine: Engine) -> None:
        """Write down who was here, where the last time was long enough ago."""
        if time.monotonic() - self._recorded < _RECORD_SECONDS:
            return
        with self._lock:
            seen, self._seen = self._seen, _Seen()
        if seen.keys:
            self._recorded = time.monotonic()
            with ledger.writing(engine) as session:
                ledger.record_use(session, seen.keys, seen.sessions)
