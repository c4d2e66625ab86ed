"""Locks that the operating system lets go of when their holder ends, however it ends."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_FILES_LOCK = "files.lock"
_ABANDONED_SECONDS = 60.0
"""What nobody holds is removed once it is so old."""
_ABANDONED_ELSEWHERE_SECONDS = 900.0
"""The same, where it may be of another host, whose locks need not be seen here."""


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


@cache
def kernel_id() -> str:
    """Name of the running kernel, the same in all of its containers.

    A lock that nobody holds says that its holder has ended only where both are of one kernel: some
    network file systems keep the locks of other hosts to themselves.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")[:16]
    except OSError:
        return ""


def hold(descriptor: int) -> None:
    """Lock an open file until it is closed, or this process ends."""
    # Where a file system has no locks, what is asked in `is_abandoned` is the age alone.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def passing_name() -> str:
    """A name that nobody can guess, for a file or folder that is there for a while only."""
    return f"{kernel_id()}-{secrets.token_hex(16)}"


def is_abandoned(path: Path) -> bool:
    """Whether a file or folder of a `passing_name` was left behind by a process that ended.

    Raises:
        FileNotFoundError: it is gone.
    """
    # Absolute: the clock may have been set back since.
    age_seconds = abs(time.time() - path.stat().st_mtime)
    of_this_kernel = f"{kernel_id()}-" in path.name
    if age_seconds < (_ABANDONED_SECONDS if of_this_kernel else _ABANDONED_ELSEWHERE_SECONDS):
        return False
    return not is_held(path)


def is_held(path: Path) -> bool:
    """Whether a process holds a file; raises `FileNotFoundError` where it is gone."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _open(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
