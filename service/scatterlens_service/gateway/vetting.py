"""Looking into files before they are taken: in children of its own, one at a time for each key.

A file that takes seconds to look at, such as one that unpacks to a thousandfold, so delays the
files of its sender and of nobody else.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from scatterlens_models.decoding import DecodeChild, DecodeLimits, Probe
from scatterlens_service.gateway.errors import BusyError

_CHILDREN = 4
"""Keys whose files are looked at side by side; a child is started when it is first needed."""
_MOST_WAITING = 16
"""Files of one key that wait at once: each holds a thread that others need."""
_PATIENCE_SECONDS = 5.0
"""Ten thousand usual files are looked at in the time that one of them may wait so long."""


class Vetting:
    """Owns the children; any number of threads may ask."""

    def __init__(self, limits: DecodeLimits | None = None, children: int = _CHILDREN) -> None:
        self._limits = limits
        self._stack = ExitStack()
        self._changed = threading.Condition()
        self._unstarted = children - 1
        # Each file is waited for by its key alone, and each key by one file at a time: so whoever
        # comes first among keys is next, however many files another key sends.
        self._idle = [self._stack.enter_context(DecodeChild(limits))]
        self._waiting: defaultdict[str, int] = defaultdict(int)
        self._turns: dict[str, threading.Lock] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def probe(self, key_id: str, path: Path) -> Probe:
        """Format, stored shape and number of images of a file that came by this key.

        Raises:
            BusyError: files of the same key take too long.
            FrameRejected, DecodeCrashed: as `DecodeChild.probe` does.
        """
        with self._turn_of(key_id), self._child() as child:
            return child.probe(path)

    @contextmanager
    def _turn_of(self, key_id: str) -> Iterator[None]:
        with self._changed:
            if self._waiting[key_id] >= _MOST_WAITING:
                raise _busy()
            self._waiting[key_id] += 1
            turn = self._turns.setdefault(key_id, threading.Lock())
        try:
            if not turn.acquire(timeout=_PATIENCE_SECONDS):
                raise _busy()
            try:
                yield
            finally:
                turn.release()
        finally:
            with self._changed:
                self._waiting[key_id] -= 1
                if not self._waiting[key_id]:
                    del self._waiting[key_id], self._turns[key_id]

    @contextmanager
    def _child(self) -> Iterator[DecodeChild]:
        with self._changed:
            if not self._idle and self._unstarted:
                self._unstarted -= 1
                self._idle.append(self._stack.enter_context(DecodeChild(self._limits)))
            # As long as it takes: a look has its own limit, and who waits here is not to blame.
            self._changed.wait_for(lambda: self._idle)
            child = self._idle.pop()
        try:
            yield child
        finally:
            with self._changed:
                self._idle.append(child)
                self._changed.notify()


def _busy() -> BusyError:
    return BusyError(
        "vetting_busy",
        "Files that were sent before are still looked at",
        "They take long, as files do that unpack to very much.",
        "Send it again a little later, and fewer of such files at once.",
        headers={"Retry-After": "5"},
    )
