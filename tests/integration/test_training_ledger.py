"""Training runs in the ledger, on each database: leases, fencing, forgiveness, policy, events."""

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from scatterlens.schemas import Reason, State
from scatterlens_service import ledger
from scatterlens_service.ledger import NewRun, WorkerReport
from scatterlens_service.settings import Settings
from scatterlens_service.tending.bell import NoBell
from scatterlens_service.tending.training import train_by_policy

WHY = Reason(
    type="no_positives",
    title="Nothing shows it",
    detail="ring",
    remedy="Label frames",
)
AAM = ledger.ModelVersion("aam", "0" * 12)
AT = {"stage": "train", "share": 0.5}


def ask(engine, run_id="run-1", **more) -> bool:
    with ledger.writing(engine) as session:
        return ledger.queue_run(session, NewRun(run_id, "ada", {"passes": 8}, **more))


def lease(engine, seconds=60.0, worker="t"):
    with ledger.writing(engine) as session:
        return ledger.lease_run(session, worker, seconds)


def state(engine, run_id="run-1") -> State:
    with ledger.reading(engine) as session:
        row = ledger.get_run(session, run_id)
    assert row is not None
    return row.state


def advance(engine, leased, reached, tell=False) -> bool:
    with ledger.writing(engine) as session:
        return ledger.advance_run(session, leased, AT, reached, [{"step": 1}], tell=tell)


def lose(engine, leased) -> None:
    """The trainer is silent until its lease ends, and the sweep notices."""
    with ledger.writing(engine) as session:
        session.execute(text("UPDATE jobs SET lease_until = 0 WHERE id = :id"), {"id": leased.id})
        assert ledger.sweep(session) == 1


def label(engine, number: int) -> None:
    frame = ledger.NewFrame(f"{number:064x}", 1, "npy")
    with ledger.writing(engine) as session:
        key = ledger.create_key(session, f"ada{number}", role="admin")
        author = ledger.authenticate(session, key)
        ledger.submit(session, [frame], ledger.Sender(), [AAM])
        ledger.put_labels(session, frame.id, "", author, {"ring": ledger.Judgement("present")})


def test_a_run_is_asked_for_once_and_taken_by_one_trainer_and_no_annotating_worker(engine):
    assert ask(engine)
    assert not ask(engine)
    with ledger.writing(engine) as session:
        assert not ledger.has_queued(session)
        assert ledger.lease(session, "w", 10, 60) == []
        assert ledger.queue_status(session).queued == 0
    with ThreadPoolExecutor(4) as pool:
        leases = list(pool.map(lambda _: lease(engine), range(4)))
    (leased,) = [one for one in leases if one is not None]
    assert (leased.run_id, leased.attempt, leased.description) == ("run-1", 1, {"passes": 8})
    with ledger.writing(engine) as session:
        assert ledger.complete_run(session, leased, {"version": "abc"})
        row = ledger.get_run(session, "run-1")
        assert (row.state, row.result) == (State.DONE, {"version": "abc"})
        assert row.finished is not None


def test_a_trainer_that_was_silent_too_long_decides_nothing_any_more(engine):
    ask(engine)
    first = lease(engine)
    lose(engine, first)
    second = lease(engine)
    assert second.attempt == 2
    report = WorkerReport("t", "cpu", "torch", role="train")
    with ledger.writing(engine) as session:
        assert ledger.heartbeat(session, report, [first], 60) == 0
        assert ledger.heartbeat(session, report, [second], 60) == 1
    assert not advance(engine, first, 2.5)
    with ledger.writing(engine) as session:
        assert not ledger.complete_run(session, first, {})
        assert not ledger.refuse_run(session, first, WHY)
        assert ledger.crash_run(session, first, WHY) is None
    assert state(engine) is State.LEASED


def test_a_run_that_comes_further_each_time_is_never_quarantined(engine):
    ask(engine)
    for reached in (0.5, 1.0, 2.1, 2.3, 2.9):
        leased = lease(engine)
        assert advance(engine, leased, reached)
        lose(engine, leased)
        assert state(engine) is State.QUEUED


def test_a_run_that_dies_three_times_at_the_same_place_is_quarantined(engine):
    ask(engine)
    for left in (2, 1, 0):
        leased = lease(engine)
        advance(engine, leased, 2.5)
        lose(engine, leased)
        assert state(engine) is (State.QUEUED if left else State.QUARANTINED)
    with ledger.reading(engine) as session:
        row = ledger.get_run(session, "run-1")
        assert "trainers" in row.reason.title
        last = ledger.events_after(session, 0)[-1]
    assert (last.kind, last.details["state"]) == ("training", "quarantined")


def test_a_process_that_dies_twice_at_the_same_place_is_quarantined_with_its_reason(engine):
    ask(engine)
    for expected in (State.QUEUED, State.QUARANTINED):
        leased = lease(engine)
        advance(engine, leased, 2.5)
        with ledger.writing(engine) as session:
            assert ledger.crash_run(session, leased, WHY) is expected
    with ledger.reading(engine) as session:
        assert ledger.get_run(session, "run-1").reason == WHY


def test_a_cancelled_run_is_lost_to_its_trainer_and_stays_cancelled(engine):
    ask(engine)
    leased = lease(engine)
    with ledger.writing(engine) as session:
        assert ledger.cancel_run(session, "run-1")
        assert not ledger.cancel_run(session, "run-1")
        report = WorkerReport("t", "cpu", "torch", role="train")
        assert ledger.heartbeat(session, report, [leased], 60) == 0
        assert not ledger.complete_run(session, leased, {})
    assert state(engine) is State.CANCELLED
    assert lease(engine) is None


def test_trainers_are_told_from_workers(engine):
    with ledger.writing(engine) as session:
        ledger.heartbeat(session, WorkerReport("w", "cpu", "CPU"), [], 60)
        ledger.heartbeat(session, WorkerReport("t", "cpu", "torch", role="train"), [], 60)
        assert [w.report.id for w in ledger.queue_status(session).workers] == ["w"]
        assert [w.report.id for w in ledger.seen_workers(session, "train")] == ["t"]


def test_what_happens_to_a_run_is_told_to_keys_that_see_everything(engine):
    ask(engine)
    leased = lease(engine)
    advance(engine, leased, 2.5, tell=True)
    advance(engine, leased, 2.6)
    with ledger.writing(engine) as session:
        ledger.refuse_run(session, leased, WHY)
        events = ledger.events_after(session, 0)
        bound = ledger.authenticate(
            session, ledger.create_key(session, "b", role="trainer", proposal="p")
        )
        assert ledger.events_after(session, 0, sees=bound) == []
        assert ledger.run_metrics(session, "run-1") == [{"step": 1}]
    assert {event.kind for event in events} == {"training"}
    assert [event.details["state"] for event in events] == ["queued", "leased", "failed"]
    assert events[1].details["progress"] == AT
    assert {event.frame_id for event in events} == {None}


def test_a_forgotten_run_is_rung_on_its_own_queue(engine):
    ask(engine)
    with ledger.reading(engine) as session:
        assert ledger.queues_to_ring(session, -1.0) == [ledger.TRAIN]


def test_the_policy_starts_one_run_however_many_sweepers_ask(engine, tmp_path):
    settings = Settings(home=tmp_path, train_after_corrections=2)
    assert not train_by_policy(engine, NoBell(), settings)
    label(engine, 1)
    assert not train_by_policy(engine, NoBell(), settings)
    label(engine, 2)
    together = threading.Barrier(4)

    def sweep(_: int) -> bool:
        together.wait()
        return train_by_policy(engine, NoBell(), settings)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(sweep, range(4))) == [False, False, False, True]
    with ledger.reading(engine) as session:
        (run,) = ledger.list_runs(session)
    assert (run.trigger, run.by) == ("policy", "policy")
    label(engine, 3)
    label(engine, 4)
    assert not train_by_policy(engine, NoBell(), settings)  # one is open
    leased = lease(engine)
    with ledger.writing(engine) as session:
        ledger.refuse_run(session, leased, WHY)
    assert train_by_policy(engine, NoBell(), settings)
    leased = lease(engine)
    with ledger.writing(engine) as session:
        ledger.refuse_run(session, leased, WHY)
    assert not train_by_policy(engine, NoBell(), settings)  # nothing new since that failed


def test_the_policy_by_time_wants_something_new(engine, tmp_path):
    settings = Settings(home=tmp_path, train_every_hours=1.0)
    assert not train_by_policy(engine, NoBell(), settings)
    label(engine, 1)
    assert train_by_policy(engine, NoBell(), settings)
    with ledger.writing(engine) as session:
        (run,) = ledger.list_runs(session)
        ledger.cancel_run(session, run.id)
    label(engine, 2)
    assert not train_by_policy(engine, NoBell(), settings)
    with ledger.writing(engine) as session:
        session.execute(text("UPDATE runs SET time = time - 3601"))
    assert train_by_policy(engine, NoBell(), settings)
