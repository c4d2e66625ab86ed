"""Asking until there is an answer."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from scatterlens.errors import BadArgument, StillPending

_POLL_S = 5.0
"""Longest single question to the gateway for a verdict; longer waits ask again."""
_BETWEEN_POLLS_S = 0.1

_T = TypeVar("_T")


def poll(
    ask: Callable[[float], _T | None],
    frame_id: str,
    wait: float,
    abandoned: threading.Event | None = None,
) -> _T:
    """Ask, each time for some seconds, until there is an answer, time is up, or nobody waits."""
    if not isinstance(wait, int | float):
        raise BadArgument(f"`wait` is a number of seconds, not {wait!r}")
    abandoned = abandoned or threading.Event()
    ends = time.monotonic() + wait
    while True:
        left = max(ends - time.monotonic(), 0.0)
        found = ask(round(min(left, _POLL_S), 3))
        if found is not None:
            return found
        if time.monotonic() >= ends or abandoned.wait(_BETWEEN_POLLS_S):
            raise StillPending(frame_id, wait)
