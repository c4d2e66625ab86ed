"""The embedded worker comes back and ends with its parent."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from scatterlens_service.tending.supervise import Supervisor
from support.waiting import holds, wait_until

WAITS = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_worker_is_replaced():
    supervisor = Supervisor(WAITS, os.environ)
    first = supervisor.pid
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: supervisor.pid != first)
    second = supervisor.pid
    assert is_alive(second)
    supervisor.close()
    assert not is_alive(second)


def test_closing_does_not_start_another():
    supervisor = Supervisor([sys.executable, "-c", ""], os.environ)  # ends at once
    wait_until(lambda: not is_alive(supervisor.pid))
    supervisor.close()
    pid = supervisor.pid
    assert holds(lambda: supervisor.pid == pid, 0.8)
    assert not is_alive(pid)


def test_the_worker_ends_when_its_parent_is_killed():
    parent = textwrap.dedent(
        f"""
        import os, time
        from scatterlens_service.tending.supervise import Supervisor
        print(Supervisor({WAITS!r}, os.environ).pid, flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        assert is_alive(worker)
        process.kill()
    wait_until(lambda: not is_alive(worker))


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_worker_is_asked_before_it_is_killed(tmp_path, monkeypatch, stubborn):
    monkeypatch.setattr("scatterlens_service.tending.supervise._FINISH_SECONDS", 1.0)
    marker = tmp_path / "asked"
    code = textwrap.dedent(
        f"""
        import pathlib, signal, sys, time
        def stop(*_):
            pathlib.Path({str(marker)!r}).touch()
            {"pass" if stubborn else "sys.exit()"}
        signal.signal(signal.SIGTERM, stop)
        pathlib.Path({str(tmp_path / "ready")!r}).touch()
        while True: time.sleep(0.05)
        """
    )
    supervisor = Supervisor([sys.executable, "-c", code], os.environ)
    wait_until((tmp_path / "ready").exists)
    pid = supervisor.pid
    supervisor.close()
    assert marker.exists()
    assert not is_alive(pid)
