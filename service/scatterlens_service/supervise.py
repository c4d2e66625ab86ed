"""Keeping one worker process alive beside the gateway (embedded mode)."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

_log = logging.getLogger(__name__)

_RESTART_SECONDS = 0.5
_GOODBYE_SECONDS = 30.0


class SupervisedWorker:
    """A worker process that is started again whenever it ends, until `stop`.

    It ends by itself when this process does, even by `kill -9`: it watches its standard input.
    """

    def __init__(
        self, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = [sys.executable, "-m", "scatterlens_worker", "--supervised", *arguments]
        self._environment = {**os.environ, **(environment or {})}
        self._stopping = threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Process id of the worker that was started last."""
        return self._process.pid

    def stop(self) -> None:
        """Let the worker finish its batch and end it; kill it where it does not."""
        self._stopping.set()
        self._process.terminate()
        try:
            self._process.wait(_GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._thread.join()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, env=self._environment, stdin=subprocess.PIPE)

    def _watch(self) -> None:
        while True:
            code = self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            if self._stopping.wait(_RESTART_SECONDS):
                return
            _log.warning("worker %d ended with %d; starting another", self.pid, code)
            self._process = self._start()
            if self._stopping.is_set():  # stop() came while it started and saw the old one
                self._process.terminate()
