"""One home, one service: a lock that `serve` holds for its whole life."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from scatterlens.running import LOCK, read_holder, remember_home
from scatterlens_service.keeping.homes import HomeError, kind_of_database
from scatterlens_service.settings import Settings

_TRIES, _PAUSE_SECONDS = 10, 0.1
"""Who looks whether a service runs holds the lock for a moment."""


@dataclass(frozen=True)
class Held:
    """A home that this process serves."""

    settings: Settings
    descriptor: int

    def tell(self, url: str | None) -> None:
        """Write down, for whoever looks, who serves the home and where."""
        said = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "url": url,
            "database": kind_of_database(self.settings),
        }
        data = json.dumps(said).encode()
        os.pwrite(self.descriptor, data, 0)
        os.ftruncate(self.descriptor, len(data))


@contextmanager
def holding_home(settings: Settings, *, alone: bool) -> Iterator[Held]:
    """Serve a home during the block; `alone`, or beside others that are not.

    Raises:
        HomeError: it is served already, or cannot be written into.
    """
    home = settings.home
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HomeError(
            f"{home} cannot be used ({error.strerror}); choose another with --home, or mend its"
            " rights"
        ) from error
    try:
        _lock(settings, descriptor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        held = Held(settings, descriptor)
        held.tell(None)
        remember_home(home)
        yield held
    finally:
        os.close(descriptor)


def _lock(settings: Settings, descriptor: int, how: int) -> None:
    for tries_left in reversed(range(_TRIES)):
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not tries_left:
                holder = read_holder(descriptor, settings.home)
                raise HomeError(
                    f"this home is served already: {holder}; stop that service, or choose another"
                    " home with --home"
                ) from None
            time.sleep(_PAUSE_SECONDS)
