"""The embedded worker and trainer: processes of their own, started again whenever they end."""

import logging
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence

from scatterlens_service.tending.troubles import Troubles

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
"""Between a start, an end that follows so soon, and the next start: a worker that cannot start at
all does not keep a core busy."""
_FINISH_SECONDS = 30.0
"""A batch that was begun may be finished for so long."""


class Supervisor:
    """Keeps one process running until it is closed; ends it by its own pid and no other way.

    The process holds the reading end of a pipe: when this process dies, however, the pipe closes
    and the other knows that it should end too.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process = self._start()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._process.pid

    def close(self) -> None:
        """Ask the process to end, wait for it, and kill it if it does not."""
        with self._lock:
            self._closing.set()
            process = self._process
        process.terminate()
        try:
            process.wait(_FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        self._thread.join()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            # Ctrl-C in a terminal goes to the whole group; this process ends the other in order.
            start_new_session=True,
        )

    def _watch(self) -> None:
        troubles = Troubles(_log)
        while True:
            started = time.monotonic()
            code = self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            if self._closing.is_set():
                return
            # One that ends again and again is said once, until it stays.
            what = self._command[2]
            troubles.meet(what, f"{what} ended with code {code}, starting another")
            # Its work waits: only one that ends soon after its start has to pause.
            if time.monotonic() - started < _PAUSE_SECONDS:
                self._closing.wait(_PAUSE_SECONDS)
            with self._lock:
                if self._closing.is_set():
                    return
                self._process = self._start()
