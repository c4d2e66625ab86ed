"""The process of one training, as the trainer that started it sees it.

It lives as long as the trainer keeps it alive: it ends by itself when its standard input falls
silent, so that a trainer that was killed or hangs leaves nobody behind in the run's folder.
"""

import logging
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from scatterlens_models.training.job_file import LOG_FILE, Line

_log = logging.getLogger(__name__)

_PING_SECONDS = 0.5
_LOG_CHARACTERS = 500


class TrainingJob:
    """A running `scatterlens_models.training.job`; killed at the end of a `with` block."""

    def __init__(self, folder: Path, alive_seconds: float) -> None:
        self._log = folder / LOG_FILE
        command = [sys.executable, "-m", "scatterlens_models.training.job", str(folder)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--alive", str(alive_seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # A signal for the trainer's group is the trainer's to pass on.
                start_new_session=True,
            )
        self._lines: queue.Queue[Line | None] = queue.Queue()
        self._pinged = 0.0
        self._unread = ""
        """What it said that was not understood: a fault of ours, told where it is missed."""
        self._reader = threading.Thread(target=self._read, name="job lines", daemon=True)
        self._reader.start()

    def next_line(self, seconds: float) -> Line | None:
        """What it says next; None if it says nothing for so long, or has ended.

        Ask often: asking is what keeps it alive.
        """
        self._ping()
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return None

    @property
    def has_ended(self) -> bool:
        """Whether it ended and all that it said was read."""
        dead = self._process.poll() is not None
        return dead and not self._reader.is_alive() and self._lines.empty()

    def death(self) -> str:
        """How it ended, and the end of what it wrote, for people."""
        code = self._process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        said = self._log.read_text(encoding="utf-8", errors="replace")[-_LOG_CHARACTERS:]
        return f"It ended with {how}. {self._unread}The end of its log: {said.strip() or 'nothing'}"

    def close(self) -> None:
        """Kill it, where it still runs; it goes on from its last checkpoint when started anew."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _ping(self) -> None:
        if time.monotonic() - self._pinged < _PING_SECONDS or self._process.stdin is None:
            return
        self._pinged = time.monotonic()
        try:
            # Past the buffer: what a dead process did not read must not stand in the way later.
            os.write(self._process.stdin.fileno(), b"\n")
        except BrokenPipeError:  # it has just ended
            pass

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            try:
                self._lines.put(Line.model_validate_json(text))
            except ValidationError as error:
                if text.endswith(b"\n"):  # else it was cut off by its death
                    self._unread = f"It said what cannot be read: {error.errors()[0]['msg']}. "
                    _log.error("a line of a training cannot be read: %s", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
