"""Waiting for what shall happen, and watching that something does not: no test sleeps blindly."""

import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def wait_until(condition: Callable[[], _T], seconds: float = 60.0, every: float = 0.02) -> _T:
    """Wait for a condition and return what it gave; fail after `seconds`, however busy it is here.

    The limit only ends a test that would hang: it says nothing about speed.
    """
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, f"it did not happen within {seconds:g} s"
        time.sleep(every)
    return found


def holds(condition: Callable[[], object], seconds: float, every: float = 0.02) -> bool:
    """Whether a condition holds all the time for so long: for what must not happen."""
    ends = time.monotonic() + seconds
    while condition():
        if time.monotonic() >= ends:
            return True
        time.sleep(every)
    return False
