"""Which services run on this machine, told by locks of the operating system.

A service holds `serve.lock` in its home as long as it lives. Such a lock ends with its holder,
however that ends, so no process id is ever compared. Homes that were served by this user are
remembered in the user's state folder.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scatterlens.folders import default_home, state_folder

try:
    import fcntl
except ImportError:  # Windows has clients, and no service
    fcntl = None

LOCK = "serve.lock"
SYSTEM_HOME = Path("/var/lib/scatterlens")
"""Home of a service that the units of `deploy/systemd` start."""


@dataclass(frozen=True)
class Running:
    """A service that runs, as it describes itself."""

    home: Path
    pid: int | None = None
    host: str | None = None
    url: str | None = None
    """None while it starts."""
    database: str | None = None
    """sqlite | postgresql"""

    def __str__(self) -> str:
        where = f" at {self.url}" if self.url else ""
        return f"{self.home}{where} (process {self.pid} on {self.host})"


def running_in(home: Path) -> Running | None:
    """Return the service of a home; None where none runs, or where this user may not look."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(home / LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        # Nobody else gets in for this moment; who starts a service tries more than once.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return read_holder(descriptor, home)
    finally:
        os.close(descriptor)
    return None


def running_services() -> list[Running]:
    """Return the services that this user can know of, in an order that stays."""
    homes = {default_home(), SYSTEM_HOME, *_remembered()}
    found = [running_in(home) for home in sorted(homes)]
    return [one for one in found if one is not None]


def remember_home(home: Path) -> None:
    """Let this user's commands find a home that lies anywhere; no matter if that fails."""
    name = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    with suppress(OSError):
        folder = state_folder() / "homes"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps({"home": str(home)}), encoding="utf-8")


def read_holder(descriptor: int, home: Path) -> Running:
    """Return what the holder of a lock wrote into it."""
    try:
        said: dict[str, Any] = json.loads(os.pread(descriptor, 4096, 0))
        return Running(home, said["pid"], said["host"], said["url"], said["database"])
    except (OSError, ValueError, KeyError, TypeError):
        return Running(home)  # it is just being written


def _remembered() -> Iterator[Path]:
    with suppress(OSError):
        for file in (state_folder() / "homes").glob("*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                home = Path(json.loads(file.read_text(encoding="utf-8"))["home"])
                if home.is_dir():
                    yield home
                else:
                    file.unlink()
