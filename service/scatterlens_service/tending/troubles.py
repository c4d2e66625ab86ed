"""What does not work for a while, told when it begins and when it ends, not each time it is met.

A full disk or a database that is away is met by every request and every loop: thousands of lines
that say the same hide what else happens.
"""

import logging
import threading
import time
from dataclasses import dataclass

QUIET_SECONDS = 60.0
"""A trouble that was not met for so long has ended."""


@dataclass
class _Trouble:
    began: float
    met: float
    times: int = 1


class Troubles:
    """Troubles of one kind of work, by name; any number of threads may meet them."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._open: dict[str, _Trouble] = {}

    def meet(self, name: str, said: str, *, trace: bool = False) -> None:
        """Say what does not work, unless that was said already and has not ended since."""
        now = time.monotonic()
        self.settle()
        with self._lock:
            known = self._open.get(name)
            if known is not None:
                known.times, known.met = known.times + 1, now
                return
            self._open[name] = _Trouble(now, now)
        self._log.error("%s (said once, until it works again)", said, exc_info=trace)

    def end(self, name: str) -> None:
        """Say that it works again, where it did not."""
        with self._lock:
            known = self._open.pop(name, None)
        if known is not None:
            self._tell_end(name, known)

    def settle(self) -> None:
        """End those that nobody met for a while."""
        oldest = time.monotonic() - QUIET_SECONDS
        with self._lock:
            over = {name: one for name, one in self._open.items() if one.met < oldest}
            for name in over:
                del self._open[name]
        for name, known in over.items():
            self._tell_end(name, known)

    def _tell_end(self, name: str, known: _Trouble) -> None:
        lasted = known.met - known.began
        self._log.warning("%s: over; met %d times in %.0f s", name, known.times, lasted)
