"""What was seen in frames that were sent, told as the answers come, beside whatever goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from scatterlens.client import Client
from scatterlens.errors import FrameRejected, NotFound, ScatterlensError
from scatterlens.result import Result

Hear = Callable[[str, Result | FrameRejected], None]
"""Told of each frame under the name it was given: the result, or why there is none."""

_ASK_S = 10.0
_PAUSE_S = 2.0


class Answers:
    """Frames whose answers are waited for, in the order in which they were sent."""

    def __init__(self, client: Client, hear: Hear):
        self._client = client
        self._hear = hear
        self._sent: SimpleQueue[tuple[str, str]] = SimpleQueue()
        self._stop = threading.Event()

    def expect(self, name: str, frame_id: str) -> None:
        """Wait for the answer to a frame."""
        self._sent.put((name, frame_id))

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Tell of answers meanwhile; what has not come by the end is told no more."""
        thread = threading.Thread(target=self._run, name="answers", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                name, frame_id = self._sent.get(timeout=0.2)
            except Empty:
                continue
            found = self._wait_for(frame_id)
            if found is not None and not self._stop.is_set():
                self._hear(name, found)

    def _wait_for(self, frame_id: str) -> Result | FrameRejected | None:
        while not self._stop.is_set():
            try:
                return self._client.result(frame_id, wait=_ASK_S)
            except FrameRejected as error:
                return error
            except NotFound:
                return None  # it was deleted meanwhile
            except ScatterlensError:
                self._stop.wait(_PAUSE_S)  # no worker, or no gateway: the frame is kept
        return None
