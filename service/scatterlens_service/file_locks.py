"""Locks that the operating system lets go of when their holder ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FILES_LOCK = "files.lock"


@contextmanager
def keeping_files(home: Path) -> Iterator[None]:
    """Let nobody remove a kept file of this home during the block; waits for who is at it."""
    with _open(home / _FILES_LOCK) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def may_remove_files(home: Path) -> Iterator[bool]:
    """Whether kept files of this home may be removed during the block: not while one is copied."""
    with _open(home / _FILES_LOCK) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _open(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
