"""PostgreSQL and Redis of our own: temporary folders, free ports of 127.0.0.1, ended by their pid.

`ProgramMissingError` where a program is not installed (tests skip); any other failure to start is
an error (tests fail).
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_START_SECONDS = 30.0


class ProgramMissingError(FileNotFoundError):
    """A server program is not installed here."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} did not open port {port}:\n{log.read_text()[-3000:]}")


def _find(program: str) -> str:
    folders = [str(p) for p in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which(program, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    if found is None:
        raise ProgramMissingError(f"{program} is not installed")
    return found


@contextmanager
def postgres() -> Iterator[str]:
    """A fresh cluster; yields the address of an empty database."""
    initdb, server = _find("initdb"), _find("postgres")
    folder = Path(tempfile.mkdtemp(prefix="scatterlens-pg-"))
    owner: dict[str, object] = {}
    if os.getuid() == 0:  # it refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    log = folder / "log"
    port = free_port()
    try:
        subprocess.run(
            [initdb, "-D", folder / "data", "-U", "scatterlens", "--auth=trust", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd=folder,
            **owner,
        )
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [server, "-D", folder / "data", "-k", folder, "-h", "127.0.0.1", "-p", str(port)],
                stdout=stream,
                stderr=stream,
                cwd=folder,
                **owner,
            )
        try:
            wait_for_port(port, process, log)
            url = f"postgresql://scatterlens@127.0.0.1:{port}/postgres"
            _wait_for_postgres(url)
            yield url
        finally:
            # Its "immediate" shutdown: what it would write is thrown away with its folder.
            process.send_signal(signal.SIGQUIT)
            process.wait(120)
    finally:
        shutil.rmtree(folder)


def _wait_for_postgres(url: str) -> None:
    """It listens before it answers: "the database system is starting up"."""
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Redis:
    """A redis-server that can be stopped and started again on the same port, empty each time."""

    def __init__(self) -> None:
        self._program = _find("redis-server")
        self._folder = Path(tempfile.mkdtemp(prefix="scatterlens-redis-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        log = self._folder / "log"
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [
                    *(self._program, "--bind", "127.0.0.1", "--port", str(self.port)),
                    *("--save", "", "--appendonly", "no", "--dir", str(self._folder)),
                ],
                stdout=stream,
                stderr=stream,
            )
        wait_for_port(self.port, self.process, log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)
