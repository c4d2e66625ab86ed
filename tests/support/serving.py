"""`scatterlens serve` as a process of its own, ended by its pid."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from scatterlens.connection import read_connection

_READY_SECONDS = 90.0


@dataclass(frozen=True)
class Served:
    """A service that answers."""

    process: subprocess.Popen[bytes]
    url: str
    key: str
    home: Path
    log: Path

    def http(self) -> httpx2.Client:
        """Client of the REST API with the key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=60)


@contextmanager
def serving(home: Path, *options: str, **environment: str) -> Iterator[Served]:
    """A service on a free port that is ready, with the key that it keeps for its user."""
    home.mkdir(parents=True, exist_ok=True)
    log = home.with_name(f"{home.name}.log")
    command = [sys.executable, "-m", "scatterlens", "serve", "--port", "0", "--home", str(home)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, *options], stdout=stream, stderr=stream, env={**os.environ, **environment}
        )
    try:
        end = time.monotonic() + _READY_SECONDS
        while "Scatterlens is ready" not in (said := log.read_text()):
            assert process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.05)
        connection = read_connection(home)
        assert connection is not None
        assert connection.key is not None
        yield Served(process, connection.url, connection.key, home, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
