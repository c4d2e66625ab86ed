"""What is SQLite's own: durability, one writer, power cuts of processes."""

import os
import signal
import time

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from scatterlens_service import ledger
from scatterlens_service.ledger import ModelVersion, NewFrame, Sender
from scatterlens_service.migrations import migrate
from support.ledger_worker import LedgerWorker

MODEL = ModelVersion("aam", "aaaaaaaaaaaa")


@pytest.fixture
def url(tmp_path) -> str:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    migrate(url)
    return url


@pytest.fixture
def start_worker(url):
    started = []

    def start(lease_seconds: float, work_seconds: float) -> LedgerWorker:
        started.append(LedgerWorker(url, lease_seconds, work_seconds))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


def submit(engine, numbers) -> None:
    with ledger.writing(engine) as session:
        frames = [NewFrame(f"{number:064x}", 1, "edf") for number in numbers]
        ledger.submit(session, frames, Sender(), [MODEL])


def count(engine, query: str) -> int:
    with ledger.reading(engine) as session:
        return session.scalar(text(query)) or 0


def await_lease(engine, crew: list[LedgerWorker]) -> LedgerWorker:
    """Wait until one of the crew holds a job."""
    began = time.monotonic()
    while time.monotonic() - began < 30:
        with ledger.reading(engine) as session:
            held = session.scalars(text("SELECT worker_id FROM jobs WHERE state = 'leased'")).all()
        for worker in crew:
            if str(worker.pid) in held:
                return worker
        time.sleep(0.005)
    raise AssertionError("no worker took a job within 30 s")


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


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.chaos)])
def test_killed_workers_lose_nothing_and_double_nothing(url, start_worker, kills):
    engine = ledger.open_engine(url)
    # A lease of half a second: three kills over one job quarantine it, and it says so.
    crew = [start_worker(0.5, 0.04) for _ in range(3)]
    for kill in range(kills):
        submit(engine, range(8 * kill, 8 * kill + 8))
        busy = await_lease(engine, crew)
        busy.kill()
        crew.remove(busy)
        crew.append(start_worker(0.5, 0.04))
    open_jobs = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'leased')"
    began = time.monotonic()
    while count(engine, open_jobs) and time.monotonic() - began < 180:
        time.sleep(0.05)
    assert count(engine, open_jobs) == 0
    done = count(engine, "SELECT count(*) FROM jobs WHERE state = 'done'")
    quarantined = count(engine, "SELECT count(*) FROM jobs WHERE state = 'quarantined'")
    assert done + quarantined == 8 * kills
    assert quarantined == count(engine, "SELECT count(*) FROM jobs WHERE lost_leases >= 3")
    assert count(engine, "SELECT count(*) FROM annotations") == done
    assert count(engine, "SELECT count(DISTINCT frame_id) FROM annotations") == done
    assert count(engine, "SELECT count(*) FROM events WHERE kind = 'done'") == done
    assert count(engine, "SELECT count(*) FROM jobs WHERE attempt > 1") >= kills // 2
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
    engine.dispose()


def test_the_late_commit_of_a_stopped_worker_is_refused(url, start_worker):
    engine = ledger.open_engine(url)
    submit(engine, [0])
    slow = start_worker(1.0, 0.5)
    await_lease(engine, [slow])
    os.kill(slow.pid, signal.SIGSTOP)
    quick = start_worker(30.0, 0.0)
    assert quick.hear(30) == f"done {0:064x}"
    os.kill(slow.pid, signal.SIGCONT)
    assert slow.hear(30) == f"fenced {0:064x}"
    assert count(engine, "SELECT count(*) FROM annotations") == 1
    engine.dispose()


def steps_of(url, ask, word: str) -> list[str]:
    """How SQLite goes about the one statement with this word in it, of those that `ask` sends."""
    engine = ledger.open_engine(url)
    asked = []

    def listen(_connection, _cursor, statement, parameters, *_):
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", listen)
    with ledger.reading(engine) as session:
        ask(session)
    ((statement, parameters),) = [one for one in asked if word in one[0]]
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [row[3] for row in plan]
    engine.dispose()
    return steps


@pytest.mark.parametrize("attribute", [None, "ring"])
@pytest.mark.parametrize("doubt", ["uncertain", "disagreement", "novel"])
def test_a_review_queue_is_read_in_its_order_and_not_sorted(url, doubt, attribute):
    caller = ledger.Principal("k", "k", "ada", "annotator", frozenset())

    def ask(session):
        ledger.list_review(session, doubt, caller, model_version=MODEL.version, attribute=attribute)

    steps = steps_of(url, ask, "figure")
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps
    assert not [step for step in steps if step.startswith("SCAN") and "USING INDEX" not in step]


def test_what_ended_is_counted_along_an_index_that_holds_all_it_needs(url):
    steps = [step for step in steps_of(url, ledger.backlogs, "finished") if "jobs" in step]
    assert steps
    wanted = "SEARCH jobs USING COVERING INDEX ix_jobs_ended (queue=? AND state=? AND finished>?)"
    assert set(steps) == {wanted}
