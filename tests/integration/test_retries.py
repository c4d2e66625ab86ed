"""Jobs that are tried again, and what is told of queues, on each database."""

import threading

from sqlalchemy import func, select, text

from scatterlens.schemas import AttributeResult, State
from scatterlens_service import ledger
from scatterlens_service.ledger import (
    ModelVersion,
    NewAnnotation,
    NewFrame,
    NewRun,
    Sender,
)
from scatterlens_service.ledger.tables import Annotation, Event
from support.reasons import CRASH, UNREADABLE

AAM = ModelVersion("aam", "aaaaaaaaaaaa")
ANSWER = NewAnnotation(
    [AttributeResult(id="ring", probability=0.9, threshold=0.5, tag=True)],
    0.5,
    0,
    {},
    "CPU",
    "b" * 64,
    (9, 9),
    {},
    None,
)


def submit(engine, *numbers: int) -> None:
    frames = [NewFrame(f"{number:064x}", 1000, "edf", f"{number}.edf") for number in numbers]
    with ledger.writing(engine) as session:
        ledger.submit(session, frames, Sender(), [AAM])


def lease(engine) -> list[ledger.LeasedJob]:
    with ledger.writing(engine) as session:
        return ledger.lease(session, "w", 100, 60.0)


def retry(engine, *ids: int) -> list[ledger.JobRow]:
    with ledger.writing(engine) as session:
        return ledger.retry_jobs(session, ids)


def listed(engine, state: ledger.Troubled) -> list[ledger.JobRow]:
    with ledger.reading(engine) as session:
        return ledger.list_jobs(session, state)[0]


def backlog(engine, queue: str) -> ledger.Backlog:
    with ledger.reading(engine) as session:
        return next(one for one in ledger.backlogs(session) if one.queue == queue)


def test_whoever_held_a_job_before_its_retry_has_no_say(engine):
    submit(engine, 1)
    (late,) = lease(engine)
    with ledger.writing(engine) as session:
        assert ledger.fail(session, late, UNREADABLE)
    (job,) = listed(engine, State.FAILED)
    assert (job.filename, job.reason, job.attempts) == ("1.edf", UNREADABLE, 1)
    (queued,) = retry(engine, job.id)
    assert (queued.state, queued.reason, queued.finished) == (State.QUEUED, None, None)
    with ledger.writing(engine) as session:
        assert not ledger.complete(session, late, ANSWER)
    (job,) = lease(engine)
    with ledger.writing(engine) as session:
        assert not ledger.complete(session, late, ANSWER)
        assert not ledger.fail(session, late, UNREADABLE)
        assert ledger.complete(session, job, ANSWER)
    assert retry(engine, job.id) == []
    with ledger.reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Annotation)) == 1
        kinds = session.scalars(select(Event.kind).order_by(Event.id)).all()
    assert kinds == ["submitted", "failed", "retried", "done"]


def test_crashes_are_forgiven(engine):
    submit(engine, 1)
    for state in (State.QUEUED, State.QUARANTINED):
        (job,) = lease(engine)
        with ledger.writing(engine) as session:
            assert ledger.crashed(session, job, CRASH) == state
    (dead,) = listed(engine, State.QUARANTINED)
    assert dead.crashes == 2
    assert retry(engine, dead.id)[0].crashes == 0
    (job,) = lease(engine)
    with ledger.writing(engine) as session:
        assert ledger.crashed(session, job, CRASH) == State.QUEUED


def test_two_who_try_the_same_jobs_again_do_it_once(engine):
    submit(engine, *range(20))
    with ledger.writing(engine) as session:
        for job in ledger.lease(session, "w", 100, 60.0):
            ledger.fail(session, job, UNREADABLE)
    ids = [job.id for job in listed(engine, State.FAILED)]
    done: list[list[int]] = []
    start = threading.Barrier(4)

    def try_again(order: list[int]) -> None:
        start.wait(10)
        done.append([row.id for row in retry(engine, *order)])

    orders = (ids, ids[::-1], ids[5:] + ids[:5], ids[::2] + ids[1::2])
    threads = [threading.Thread(target=try_again, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(job_id for ids_of_one in done for job_id in ids_of_one) == sorted(ids)
    assert len(done) == 4


def test_a_training_is_no_job_on_a_frame(engine):
    with ledger.writing(engine) as session:
        ledger.queue_run(session, NewRun("run-1", "ada", {}))
    with ledger.writing(engine) as session:
        run = ledger.lease_run(session, "t", 60.0)
        assert run is not None
        assert [row.id for row in ledger.open_runs(session)] == ["run-1"]
    with ledger.writing(engine) as session:
        ledger.refuse_run(session, run, UNREADABLE)
    assert listed(engine, State.FAILED) == []
    assert retry(engine, run.id) == []
    with ledger.reading(engine) as session:
        assert ledger.get_job(session, run.id) is None
        assert ledger.open_runs(session) == []
        assert ledger.count_troubled(session) == {}
    assert backlog(engine, ledger.TRAIN).last_minute.failed == 1


def test_what_ended_is_counted_by_when_it_did_and_up_to_a_bound(engine, monkeypatch):
    submit(engine, *range(6))
    done, hour, old, failed, *_ = lease(engine)
    for job in (done, hour, old):
        with ledger.writing(engine) as session:
            ledger.complete(session, job, ANSWER)
    with ledger.writing(engine) as session:
        ledger.fail(session, failed, UNREADABLE)
        for job, seconds in ((hour, 120), (old, 4000)):
            session.execute(
                text("UPDATE jobs SET finished = finished - :ago WHERE id = :id"),
                {"ago": seconds, "id": job.id},
            )
    submit(engine, 7)
    told = backlog(engine, ledger.LIVE)
    assert (told.queued, told.leased) == (1, 2)
    assert told.oldest_queued_seconds is not None
    assert told.oldest_queued_seconds < 30
    assert (told.last_minute.done, told.last_minute.failed) == (1, 1)
    assert (told.last_hour.done, told.last_hour.failed, told.last_hour.quarantined) == (2, 1, 0)
    assert backlog(engine, ledger.BATCH).oldest_queued_seconds is None
    assert not told.last_hour.more
    monkeypatch.setattr("scatterlens_service.ledger.backlog.COUNTED_ENDS", 1)
    bounded = backlog(engine, ledger.LIVE)
    assert (bounded.last_hour.done, bounded.last_hour.more) == (1, True)
    assert (bounded.last_minute.done, bounded.last_minute.more) == (1, False)
