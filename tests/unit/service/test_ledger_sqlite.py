"""What is SQLite's own: durability, one writer, power cuts of processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from scatterlens_service import ledger
from scatterlens_service.ledger import ModelVersion, NewFrame, Sender
from scatterlens_service.migrations import migrate

MODEL = ModelVersion("aam", "aaaaaaaaaaaa")

# A worker without a network: leases, waits as long as decoding takes, stores an answer.
WORKER = textwrap.dedent(
    """
    import os, signal, sys, time
    from scatterlens_service import ledger

    answer = ledger.NewAnnotation(
        [ledger.Score("ring", 0.5, 0.5, True)], 0.0, 0.0, {}, "none", "0" * 64, (1, 1), {}, None
    )
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    # Every line starts a worker; forking from here spares each of them the imports.
    while sys.stdin.readline():
        if not (pid := os.fork()):
            break
        print(pid, flush=True)
    else:
        sys.exit()
    engine = ledger.open_engine(sys.argv[1])
    while True:
        with ledger.writing(engine) as session:
            ledger.sweep(session)
            jobs = ledger.lease(session, str(os.getpid()), 4, float(sys.argv[2]))
        for job in jobs:
            time.sleep(float(sys.argv[3]))
            with ledger.writing(engine) as session:
                done = ledger.complete(session, job, answer)
            print("done" if done else "fenced", job.frame_id, flush=True)
        time.sleep(0.0 if jobs else 0.02)
    """
)


@pytest.fixture
def url(tmp_path) -> str:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    migrate(url)
    return url


class Workers:
    """Starts workers in milliseconds; kills them by their pids."""

    def __init__(self, url: str, lease_seconds: float, work_seconds: float) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-c", WORKER, url, str(lease_seconds), str(work_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.read() == "ready"
        self.pids: list[int] = []

    def read(self) -> str:
        assert self._parent.stdout is not None
        return self._parent.stdout.readline().strip()

    def start(self) -> int:
        assert self._parent.stdin is not None
        self._parent.stdin.write("go\n")
        self._parent.stdin.flush()
        while not (line := self.read()).isdigit():
            pass
        self.pids.append(int(line))
        return int(line)

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        self.pids.remove(pid)

    def close(self) -> None:
        for pid in list(self.pids):
            self.kill(pid)
        self._parent.communicate()


@pytest.fixture
def workers(url):
    started = []

    def start(lease_seconds: float, work_seconds: float) -> Workers:
        started.append(Workers(url, lease_seconds, work_seconds))
        return started[-1]

    yield start
    for one in started:
        one.close()


def submit(engine, numbers) -> None:
    with ledger.writing(engine) as session:
        frames = [NewFrame(f"{number:064x}", 1, "edf") for number in numbers]
        ledger.submit(session, frames, Sender(), [MODEL])


def count(engine, query: str) -> int:
    with ledger.reading(engine) as session:
        return session.scalar(text(query)) or 0


def test_an_acknowledged_frame_outlives_a_power_cut(url):
    engine = ledger.open_engine(url)
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA synchronous")) == 2  # FULL
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
    engine.dispose()


def test_a_reader_does_not_wait_for_a_writer(url):
    engine = ledger.open_engine(url)
    with ledger.writing(engine) as session:
        ledger.submit(session, [NewFrame("a" * 64, 1, "edf")], Sender(), [MODEL])
        started = time.monotonic()
        assert count(engine, "SELECT count(*) FROM frames") == 0
        assert time.monotonic() - started < 1
    assert count(engine, "SELECT count(*) FROM frames") == 1
    engine.dispose()


def test_a_full_disk_refuses_and_keeps_what_was_there(url):
    engine = ledger.open_engine(url)
    submit(engine, range(5))
    pages = count(engine, "PRAGMA page_count")
    engine.dispose()
    full = ledger.open_engine(url)
    event.listen(
        full, "connect", lambda dbapi, _: dbapi.execute(f"PRAGMA max_page_count = {pages + 2}")
    )
    with pytest.raises(OperationalError, match="full"):
        submit(full, range(5, 2000))
    assert count(full, "SELECT count(*) FROM frames") == 5
    full.dispose()


@pytest.mark.chaos
@pytest.mark.timeout(240)  # some 15 s where nothing else runs
def test_fifty_killed_workers_lose_nothing_and_double_nothing(url, workers):
    engine = ledger.open_engine(url)
    # A lease of half a second: three kills over one job quarantine it, and it says so.
    crew = workers(0.5, 0.01)
    for _ in range(3):
        crew.start()
    for kill in range(50):
        submit(engine, range(8 * kill, 8 * kill + 8))
        time.sleep(0.03 + 0.01 * (kill % 7))
        crew.kill(crew.pids[0])
        crew.start()
    open_jobs = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'leased')"
    began = time.monotonic()
    while count(engine, open_jobs) and time.monotonic() - began < 180:
        time.sleep(0.05)
    assert count(engine, open_jobs) == 0
    done = count(engine, "SELECT count(*) FROM jobs WHERE state = 'done'")
    quarantined = count(engine, "SELECT count(*) FROM jobs WHERE state = 'quarantined'")
    assert done + quarantined == 400
    assert quarantined == count(engine, "SELECT count(*) FROM jobs WHERE lost_leases >= 3")
    assert count(engine, "SELECT count(*) FROM annotations") == done
    assert count(engine, "SELECT count(DISTINCT frame_id) FROM annotations") == done
    assert count(engine, "SELECT count(*) FROM events WHERE kind = 'done'") == done
    assert count(engine, "SELECT count(*) FROM jobs WHERE attempt > 1") >= 10
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
    engine.dispose()


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_the_late_commit_of_a_stopped_worker_is_refused(url, workers):
    engine = ledger.open_engine(url)
    submit(engine, [0])
    slow, quick = workers(1.0, 0.5), workers(30.0, 0.0)
    frozen = slow.start()
    while not count(engine, "SELECT count(*) FROM jobs WHERE state = 'leased'"):
        time.sleep(0.01)
    os.kill(frozen, signal.SIGSTOP)
    quick.start()
    assert quick.read() == f"done {0:064x}"
    os.kill(frozen, signal.SIGCONT)
    assert slow.read() == f"fenced {0:064x}"
    assert count(engine, "SELECT count(*) FROM annotations") == 1
    engine.dispose()
