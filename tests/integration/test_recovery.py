"""What workers leave that are killed, and what a clock does that is set: on each database."""

import os
import subprocess
import sys

import pytest
from sqlalchemy import text

from scatterlens.schemas import AttributeResult, State
from scatterlens_service import ledger
from scatterlens_service.ledger import ModelVersion, NewAnnotation, NewFrame, WorkerReport
from scatterlens_service.settings import Settings
from scatterlens_service.tending.bell import open_bell
from scatterlens_service.tending.presence import find_departed, forget_departed
from scatterlens_service.tending.sweeping import ClockWatch, sweep_once

AAM = ModelVersion("aam", "aaaaaaaaaaaa")
HOUR = 3600.0
PRESENT = """
import sys, pathlib
from scatterlens_service.tending.presence import being_present
with being_present(pathlib.Path(sys.argv[1]), sys.argv[2]):
    print("present", flush=True)
    sys.stdin.read()
"""


def frame(number: int) -> NewFrame:
    return NewFrame(f"{number:064x}", 1000, "edf", f"{number}.edf", None)


def answer() -> NewAnnotation:
    scores = [AttributeResult(id="ring", probability=0.9, threshold=0.5, tag=True)]
    return NewAnnotation(scores, 0.25, 0.125, {}, "CPU", "b" * 64, (10, 20), {}, None)


def submit(engine, *numbers: int) -> None:
    with ledger.writing(engine) as session:
        ledger.submit(session, [frame(number) for number in numbers], ledger.Sender(), [AAM])


def lease(engine, worker: str = "w", limit: int = 8, seconds: float = 10.0):
    with ledger.writing(engine) as session:
        return ledger.lease(session, worker, limit, seconds)


def states(engine, *numbers: int) -> list[State]:
    with ledger.reading(engine) as session:
        found = [ledger.get_annotation(session, frame(n).id, AAM.version) for n in numbers]
    return [one.state for one in found if one is not None]


@pytest.fixture
def sweep(engine, tmp_path):
    bell, watch = open_bell(None), ClockWatch()
    settings = Settings(home=tmp_path, lease_seconds=10)

    def sweep() -> None:
        sweep_once(engine, bell, settings, watch)

    yield sweep
    bell.close()


def set_clock(engine, by_seconds: float) -> None:
    """All that was written seems so much older: as if the clock had been set forward."""
    with engine.begin() as connection:
        for column in ("lease_until", "queued"):
            connection.execute(
                text(f"UPDATE jobs SET {column} = {column} - :by"), {"by": by_seconds}
            )
        connection.execute(text("UPDATE workers SET seen = seen - :by"), {"by": by_seconds})


def start_worker(home, worker_id: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", PRESENT, str(home), worker_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"present\n"
    return process


def test_the_frames_of_a_killed_worker_go_back_at_once_and_those_of_another_stay(
    engine, sweep, tmp_path
):
    submit(engine, 1, 2)
    names = ["host:1:aa", "host:2:bb"]
    killed, alive = (start_worker(tmp_path, name) for name in names)
    for name in names:
        assert len(lease(engine, name, limit=1, seconds=10)) == 1
        with ledger.writing(engine) as session:
            ledger.heartbeat(session, WorkerReport(name, "cpu", "CPU"), [], 10)
    killed.kill()
    killed.communicate()
    sweep()
    assert states(engine, 1, 2) == [State.QUEUED, State.LEASED]
    with ledger.reading(engine) as session:
        assert [seen.report.id for seen in ledger.seen_workers(session)] == [names[1]]
    assert find_departed(tmp_path) == []
    alive.communicate()  # it ends by itself, and says goodbye
    assert os.listdir(tmp_path / "workers") == []


def test_a_worker_is_departed_until_it_is_forgotten(tmp_path):
    worker = start_worker(tmp_path, "a host:1:aa")
    assert find_departed(tmp_path) == []
    worker.kill()
    worker.communicate()
    assert find_departed(tmp_path) == ["a host:1:aa"]
    forget_departed(tmp_path, ["a host:1:aa"])
    assert find_departed(tmp_path) == os.listdir(tmp_path / "workers") == []


def test_a_frame_that_ends_its_workers_takes_no_neighbour_with_it(engine):
    """Each worker that gets it is killed, with all that it holds at this moment."""
    numbers = range(1, 9)
    submit(engine, *numbers)
    deadly = frame(3).id
    for _ in range(30):
        jobs = lease(engine, limit=4)
        with ledger.writing(engine) as session:
            if deadly in [job.frame_id for job in jobs]:
                ledger.lose_workers(session, ["w"])
                ledger.sweep(session)
                continue
            for job in jobs:
                assert ledger.complete(session, job, answer())
    expected = [State.QUARANTINED if n == 3 else State.DONE for n in numbers]
    assert states(engine, *numbers) == expected


def test_a_clock_that_is_set_back_makes_no_lease_last_for_an_hour(engine, sweep):
    """Also where no gateway was there to see it."""
    submit(engine, 1)
    lease(engine)
    set_clock(engine, -HOUR)
    sweep()
    with ledger.reading(engine) as session:
        assert not ledger.has_endless_leases(session, 10)
    # Whoever holds it lives, and may be nearly done.
    assert states(engine, 1) == [State.LEASED]
    set_clock(engine, 11)
    sweep()
    assert states(engine, 1) == [State.QUEUED]


def test_a_clock_that_is_set_forward_takes_nothing_from_a_living_worker(engine, tmp_path):
    submit(engine, 1)
    (job,) = lease(engine)
    watch, bell = ClockWatch(), open_bell(None)
    with ledger.reading(engine) as session:
        watch.has_stepped(ledger.read_clock(session) - HOUR)
    set_clock(engine, HOUR)
    sweep_once(engine, bell, Settings(home=tmp_path, lease_seconds=10), watch)
    bell.close()
    with ledger.writing(engine) as session:
        assert ledger.complete(session, job, answer())


def test_workers_and_jobs_of_a_future_that_was_taken_back_are_not_waited_for(engine):
    submit(engine, 1)
    with ledger.writing(engine) as session:
        ledger.heartbeat(session, WorkerReport("dead", "cpu", "CPU"), [], 10)
        assert ledger.queues_to_ring(session, 60) == []
    set_clock(engine, -HOUR)
    with ledger.reading(engine) as session:
        assert ledger.seen_workers(session) == ()
        assert ledger.queues_to_ring(session, 60) == [ledger.LIVE]
