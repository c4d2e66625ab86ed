"""Sends every new complete file of a folder, once, whatever happens in between.

The directory and the journal are the truth: what lies there and is not in the journal is sent.
File system events only say where to look at once; a scan now and then finds what they missed
(queue overflow, network file systems), so losing one costs time, never a file.
"""

import fnmatch
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from scatterlens.errors import Busy, CannotRead, FrameRejected, TransportError
from scatterlens.journal import Journal, Stamp
from scatterlens.schemas import SubmittedFrame

_SCAN_S = 30.0
_POLLING_SCAN_S = 2.0
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0
_PARTIAL = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
"""Endings under which programs write what they rename when it is complete."""

Send = Callable[[Path], list[SubmittedFrame]]
Tell = Callable[[Path, list[SubmittedFrame] | Exception], None]
"""Told of each file: what the gateway made of it, or the error that stands in its way."""


@dataclass(frozen=True)
class Rules:
    """Which files count, and when one is complete."""

    pattern: str = "*"
    """Shell pattern for the file's name."""
    recursive: bool = False
    settle_s: float = 1.0
    """A file whose size and time stood still for so long is complete."""
    polling: bool = False
    """Scan often and use no events: for network file systems, which send none."""


class FolderWatch:
    """One folder under watch; `run` until told to stop."""

    def __init__(self, folder: Path, rules: Rules, journal: Journal, send: Send, tell: Tell):
        self._folder = folder.resolve(strict=True)
        self._rules = rules
        self._journal = journal
        self._send = send
        self._tell = tell
        self._seen: dict[Path, tuple[Stamp, float]] = {}
        """Files not yet dealt with: their stamp, and since when it stands still."""
        self._unreadable: set[Stamp] = set()
        self._touched: SimpleQueue[Path] = SimpleQueue()
        self._wake = threading.Event()
        self._pause = 0.0
        self._paused_until = 0.0

    def run(self, stop: threading.Event | None = None) -> None:
        """Watch until `stop` is set.

        A gateway that is away or busy is tried again for ever; a key that it does not take ends
        the watch with that error, and the next one goes on from here.
        """
        stop = stop or threading.Event()
        scan_s = _POLLING_SCAN_S if self._rules.polling else _SCAN_S
        next_scan = 0.0
        with self._observed():
            while not stop.is_set():
                if time.monotonic() >= next_scan:
                    self._look_at(self._scan())
                    next_scan = time.monotonic() + scan_s
                self._look_at(_drain(self._touched))
                for path in self._complete():
                    if stop.is_set() or not self._deal_with(path):
                        break
                tick = self._rules.settle_s / 4 if self._seen else 1.0
                self._wake.wait(min(tick, 1.0))
                self._wake.clear()

    @contextmanager
    def _observed(self) -> Iterator[None]:
        if self._rules.polling:
            yield
            return
        observer = Observer()
        handler = _Touches(self._touched, self._wake)
        observer.schedule(handler, str(self._folder), recursive=self._rules.recursive)
        observer.start()
        try:
            yield
        finally:
            observer.stop()
            observer.join()

    def _scan(self) -> Iterator[Path]:
        for folder, subfolders, names in os.walk(self._folder):
            if not self._rules.recursive:
                subfolders.clear()
            yield from (Path(folder, name) for name in names)

    def _look_at(self, paths: Iterator[Path]) -> None:
        """Take up files that are in question and not dealt with yet."""
        for path in paths:
            if path not in self._seen and self._is_wanted(path):
                stamp = self._stamp(path)
                if stamp and stamp not in self._journal:
                    self._seen[path] = stamp, time.monotonic()

    def _is_wanted(self, path: Path) -> bool:
        name = path.name
        if name.startswith(".") or name.lower().endswith(_PARTIAL):
            return False
        return fnmatch.fnmatch(name, self._rules.pattern)

    def _complete(self) -> list[Path]:
        """Return the files that stood still for long enough, the oldest first."""
        now = time.monotonic()
        ready = []
        for path, (before, since) in list(self._seen.items()):
            stamp = self._stamp(path)
            if stamp is None:
                del self._seen[path]  # gone, or empty again: it comes back with an event or scan
            elif stamp != before:
                self._seen[path] = stamp, now
            elif now - since >= self._rules.settle_s and now >= self._paused_until:
                ready.append((stamp.mtime_ns, path))
        return [path for _, path in sorted(ready)]

    def _deal_with(self, path: Path) -> bool:
        """Send one file and remember it; False where nothing can be sent just now."""
        stamp = self._seen[path][0]
        try:
            outcome = self._send(path)
        except FrameRejected as error:
            outcome = error
        except (TransportError, Busy) as error:
            self._wait(path, error)
            return False
        except CannotRead as error:
            self._set_aside(path, stamp, error)
            return True
        self._pause = 0.0
        if self._stamp(path) not in (stamp, None):
            return True  # it grew while it was sent: what was sent is not the whole file
        del self._seen[path]
        self._journal.add(stamp)
        self._tell(path, outcome)
        return True

    def _wait(self, path: Path, error: Exception) -> None:
        if not self._pause:
            self._tell(path, error)
        asked = error.retry_after if isinstance(error, Busy) else None
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_S) or _FIRST_PAUSE_S
        self._paused_until = time.monotonic() + (self._pause if asked is None else asked)

    def _set_aside(self, path: Path, stamp: Stamp, error: OSError) -> None:
        """Leave a file that may not be read (yet) for later; say so once."""
        if stamp not in self._unreadable:
            self._unreadable.add(stamp)
            self._tell(path, error)
        self._seen[path] = stamp, time.monotonic() + _FIRST_PAUSE_S

    def _stamp(self, path: Path) -> Stamp | None:
        """Return a regular file's stamp; None where there is none, or nothing in it yet."""
        try:
            status = path.stat()
        except OSError:
            return None
        if not path.is_file() or status.st_size == 0:
            return None
        name = path.relative_to(self._folder).as_posix()
        return Stamp(name, status.st_size, status.st_mtime_ns)


class _Touches(FileSystemEventHandler):
    """Notes which files were touched, and wakes the watch."""

    def __init__(self, touched: "SimpleQueue[Path]", wake: threading.Event):
        self._touched = touched
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.is_directory or event.event_type not in ("created", "modified", "moved", "closed"):
            return
        path = event.dest_path if event.event_type == "moved" else event.src_path
        self._touched.put(Path(os.fsdecode(path)))
        self._wake.set()


def _drain(queue: "SimpleQueue[Path]") -> Iterator[Path]:
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return
