"""Facts about the ledger that hold on SQLite and on PostgreSQL alike."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import func, inspect, select, text

from scatterlens.schemas import AttributeResult, State
from scatterlens_service import ledger, migrations
from scatterlens_service.ledger import (
    FrameFilter,
    Known,
    ModelVersion,
    NewAnnotation,
    NewFrame,
    Sender,
    WorkerReport,
    search,
)
from scatterlens_service.ledger.tables import Annotation, Job, Submission, Table, Worker
from scatterlens_service.migrations import migrate_engine
from support.reasons import CRASH, UNREADABLE
from support.waiting import holds, wait_until

AAM = ModelVersion("aam", "aaaaaaaaaaaa")
VGG = ModelVersion("vgg", "bbbbbbbbbbbb")


def frame(number: int, index: int | None = None) -> NewFrame:
    return NewFrame(f"{number:064x}", 1000, "edf", f"{number}.edf", index)


def answer(**probabilities: float) -> NewAnnotation:
    return NewAnnotation(
        scores=[
            AttributeResult(id=name, probability=p, threshold=0.5, tag=p >= 0.5)
            for name, p in probabilities.items()
        ],
        novelty=0.25,
        mask_fraction=0.125,
        timings_ms={"decode": 3.0},
        provider="CPUExecutionProvider",
        blob="b" * 64,
        shape=(10, 20),
        header={"exposure": 1.5},
        geometry=None,
    )


def submit(engine, *frames: NewFrame, sender: Sender = Sender(), models=(AAM,), queue=ledger.LIVE):
    with ledger.writing(engine) as session:
        return ledger.submit(session, frames, sender, models, queue=queue)


def lease(engine, limit=100, seconds=60.0, worker="w", **options):
    with ledger.writing(engine) as session:
        return ledger.lease(session, worker, limit, seconds, **options)


def annotate(engine, number: int, sender: Sender = Sender(), **probabilities: float) -> str:
    submit(engine, frame(number), sender=sender)
    (job,) = lease(engine)
    with ledger.writing(engine) as session:
        assert ledger.complete(session, job, answer(**probabilities))
    return job.frame_id


def state_of(engine, frame_id: str, model=AAM) -> ledger.StoredAnnotation:
    with ledger.reading(engine) as session:
        found = ledger.get_annotation(session, frame_id, model.version)
    assert found is not None
    return found


def expire(engine) -> None:
    with ledger.writing(engine) as session:
        session.execute(text("UPDATE jobs SET lease_until = 0 WHERE state = 'leased'"))
        ledger.sweep(session)


def about(text: str) -> ledger.Condition:
    """A question to annotations that hold ring, then halo, if both."""
    return ledger.parse_query(text, [Known("ring", "Ring", 0.5), Known("halo", "Halo", 0.5)])


def found(engine, sees=None, limit=50, order=ledger.NEWEST, beyond=None, **wanted) -> list[str]:
    with ledger.reading(engine) as session:
        rows = ledger.list_frames(
            session,
            FrameFilter(**wanted),
            production=AAM.version,
            sees=sees,
            order=order,
            beyond=beyond,
            limit=limit,
        )
    return [row.frame_id for row in rows.items]


def has_expired(engine) -> bool:
    with ledger.reading(engine) as session:
        return ledger.has_expired(session)


# --- tables


def test_the_migrations_make_the_tables_that_the_code_describes(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_migrating_again_and_at_once_changes_nothing(engine):
    submit(engine, frame(1))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: migrate_engine(engine), range(4)))
    assert found(engine) == [frame(1).id]


def test_the_migrations_can_be_undone_and_done_again(engine):
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.execution_options(scatterlens_writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) == {"alembic_version"}
    migrate_engine(engine)
    assert set(inspect(engine).get_table_names()) == {*Table.metadata.tables, "alembic_version"}


# --- taking in


def test_a_submitted_frame_is_queued_once_for_each_model(engine):
    (one,) = submit(engine, frame(1), models=(AAM, VGG))
    assert (one.frame_id, one.state, one.duplicate) == (frame(1).id, State.QUEUED, False)
    assert {job.model for job in lease(engine)} == {AAM, VGG}


def test_the_same_frame_again_is_known_and_makes_no_second_job(engine):
    submit(engine, frame(1))
    (again,) = submit(engine, frame(1))
    assert again.duplicate
    assert len(lease(engine)) == 1
    with ledger.reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Submission)) == 1


def test_the_same_frame_twice_in_one_submission_is_one_frame(engine):
    first, second = submit(engine, frame(1), frame(1))
    assert (first.duplicate, second.duplicate) == (False, True)
    assert len(lease(engine)) == 1


def test_a_duplicate_of_an_answered_frame_says_done(engine):
    annotate(engine, 1, ring=0.9)
    (again,) = submit(engine, frame(1), sender=Sender(scan="another"))
    assert again.state is State.DONE
    assert lease(engine) == []


def test_frames_of_a_stack_are_frames_of_their_own(engine):
    submit(engine, frame(1, 0), frame(1, 1))
    jobs = lease(engine)
    assert [job.frame_id for job in jobs] == [f"{1:064x}.0", f"{1:064x}.1"]
    assert [job.index for job in jobs] == [0, 1]


def test_a_hundred_simultaneous_duplicates_make_one_job(engine):
    barrier = threading.Barrier(100)

    def send(number: int):
        barrier.wait()
        return submit(engine, frame(1), frame(2), sender=Sender(scan=str(number)))

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(send, range(100)))
    assert sum(not one.duplicate for both in answers for one in both) == 2
    with ledger.reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 2
        assert session.scalar(select(func.count()).select_from(Submission)) == 2
        (scan,) = ledger.list_scans(session).items
    assert scan.frames == 2


def test_a_thousand_frames_fit_into_one_submission(engine):
    answers = submit(engine, *(frame(1, index) for index in range(1000)), models=(AAM, VGG))
    assert len(answers) == 1000
    with ledger.reading(engine) as session:
        assert ledger.queue_status(session).queued == 2000


def test_a_submission_that_fails_leaves_nothing(engine):
    def send_and_fail():
        with ledger.writing(engine) as session:
            ledger.submit(session, [frame(1)], Sender(), [AAM])
            raise RuntimeError("the disk broke")

    with pytest.raises(RuntimeError, match="the disk broke"):
        send_and_fail()
    assert found(engine) == []
    assert lease(engine) == []


def test_an_idempotency_key_stands_for_one_body(engine):
    with ledger.writing(engine) as session:
        assert ledger.remember_request(session, "me", "token", "a" * 64)
        assert not ledger.remember_request(session, "me", "token", "a" * 64)
        assert ledger.remember_request(session, "you", "token", "b" * 64)
        with pytest.raises(ledger.IdempotencyConflictError, match="choose a new one"):
            ledger.remember_request(session, "me", "token", "b" * 64)


# --- leasing


def test_the_oldest_jobs_are_leased_first_and_live_ones_before_batches(engine):
    submit(engine, frame(1), queue=ledger.BATCH)
    submit(engine, frame(3))
    submit(engine, frame(2))
    assert [job.frame_id for job in lease(engine)] == [frame(n).id for n in (3, 2, 1)]


def test_a_leased_job_is_leased_to_nobody_else(engine):
    submit(engine, frame(1), frame(2), frame(3))
    first, second = lease(engine, 2), lease(engine, 2)
    assert len(first) == 2
    assert len(second) == 1
    assert not {job.id for job in first} & {job.id for job in second}


def test_sixteen_workers_at_once_share_the_jobs_without_overlap(engine):
    submit(engine, *(frame(n) for n in range(200)))

    def take(worker: int) -> list[int]:
        taken = []
        while jobs := lease(engine, 3, worker=f"w{worker}"):
            taken += [job.id for job in jobs]
        return taken

    with ThreadPoolExecutor(16) as pool:
        taken = [job for jobs in pool.map(take, range(16)) for job in jobs]
    assert len(taken) == len(set(taken)) == 200


def test_a_worker_takes_only_the_models_it_holds(engine):
    submit(engine, frame(1), models=(AAM, VGG))
    (job,) = lease(engine, versions=[VGG.version])
    assert job.model == VGG
    with ledger.reading(engine) as session:
        assert not ledger.has_queued(session, versions=[VGG.version])
        assert ledger.has_queued(session)


def test_an_expired_lease_returns_to_the_queue_by_the_databases_clock(engine, monkeypatch):
    submit(engine, frame(1))
    lease(engine, seconds=0.3)
    # A host whose own clock is an hour ahead changes nothing.
    monkeypatch.setattr(time, "time", lambda: 1e10)
    with ledger.writing(engine) as session:
        assert ledger.sweep(session) == 0
    assert lease(engine) == []
    wait_until(lambda: has_expired(engine))
    with ledger.writing(engine) as session:
        assert ledger.sweep(session) == 1
    (again,) = lease(engine)
    assert again.attempt == 2


def test_a_heartbeat_prolongs_the_lease_of_a_busy_worker(engine):
    submit(engine, frame(1))
    jobs = lease(engine, seconds=0.3)
    with ledger.writing(engine) as session:
        held = ledger.heartbeat(session, WorkerReport("w", "cpu", "CPU"), jobs, 60)
    assert holds(lambda: not has_expired(engine), 0.4)
    with ledger.writing(engine) as session:
        assert (held, ledger.sweep(session)) == (1, 0)


def test_a_late_worker_is_fenced_off(engine):
    submit(engine, frame(1))
    (late,) = lease(engine)
    expire(engine)
    (current,) = lease(engine, worker="other")
    with ledger.writing(engine) as session:
        assert not ledger.complete(session, late, answer(ring=0.1))
        assert not ledger.fail(session, late, UNREADABLE)
        assert ledger.crashed(session, late, CRASH) is None
        assert ledger.release(session, [late]) == 0
        assert ledger.heartbeat(session, WorkerReport("w", "cpu", "CPU"), [late], 60) == 0
    with ledger.writing(engine) as session:
        assert ledger.complete(session, current, answer(ring=0.9))
    assert state_of(engine, frame(1).id).scores[0].probability == 0.9


def test_released_jobs_are_taken_again_at_once_and_without_prejudice(engine):
    submit(engine, frame(1))
    for attempt in range(1, 6):
        (job,) = lease(engine)
        assert job.attempt == attempt
        with ledger.writing(engine) as session:
            assert ledger.release(session, [job]) == 1


# --- verdicts


def test_a_complete_job_has_one_annotation_with_its_scores(engine):
    frame_id = annotate(engine, 1, ring=0.9, halo=0.1)
    stored = state_of(engine, frame_id)
    assert stored.state is State.DONE
    assert [(s.id, s.probability, s.tag) for s in stored.scores] == [
        ("ring", 0.9, True),
        ("halo", 0.1, False),
    ]
    assert (stored.novelty, stored.mask_fraction, stored.blob) == (0.25, 0.125, "b" * 64)
    with ledger.reading(engine) as session:
        row = ledger.get_frame(session, frame_id, production=AAM.version)
        assert ledger.models_of(session, frame_id) == [AAM]
    assert row is not None
    assert (row.shape, row.header, row.tags, row.novelty) == (
        (10, 20),
        {"exposure": 1.5},
        ("ring",),
        0.25,
    )


def test_completing_twice_stores_once(engine):
    submit(engine, frame(1))
    (job,) = lease(engine)
    with ledger.writing(engine) as session:
        assert ledger.complete(session, job, answer(ring=0.9))
    with ledger.writing(engine) as session:
        assert not ledger.complete(session, job, answer(ring=0.9))
        assert session.scalar(select(func.count()).select_from(Annotation)) == 1


def test_a_typed_verdict_is_final_at_once_and_keeps_its_remedy(engine):
    submit(engine, frame(1))
    (job,) = lease(engine)
    with ledger.writing(engine) as session:
        assert ledger.fail(session, job, UNREADABLE)
    assert state_of(engine, frame(1).id).state is State.FAILED
    assert state_of(engine, frame(1).id).reason == UNREADABLE
    assert lease(engine) == []


def test_the_second_crash_quarantines_and_the_first_does_not(engine):
    submit(engine, frame(1))
    (job,) = lease(engine)
    with ledger.writing(engine) as session:
        assert ledger.crashed(session, job, CRASH) is State.QUEUED
    assert state_of(engine, frame(1).id).reason is None
    (job,) = lease(engine)
    assert job.crashes == 1
    with ledger.writing(engine) as session:
        assert ledger.crashed(session, job, CRASH) is State.QUARANTINED
    assert state_of(engine, frame(1).id).reason == CRASH


def test_the_third_lost_lease_quarantines_with_a_reason_and_an_event(engine):
    submit(engine, frame(1))
    for _ in range(2):
        lease(engine)
        expire(engine)
        assert state_of(engine, frame(1).id).state is State.QUEUED
    lease(engine)
    expire(engine)
    stored = state_of(engine, frame(1).id)
    assert stored.state is State.QUARANTINED
    assert stored.reason is not None
    assert stored.reason.type == "no_verdict"
    with ledger.reading(engine) as session:
        kinds = [event.kind for event in ledger.events_after(session, 0)]
    assert kinds == ["submitted", "quarantined"]


def test_an_abandoned_job_counts_as_a_lost_lease_without_waiting(engine):
    submit(engine, frame(1))
    for _ in range(3):
        (job,) = lease(engine)
        with ledger.writing(engine) as session:
            ledger.abandon(session, job)
            assert ledger.sweep(session) == 1
    assert state_of(engine, frame(1).id).state is State.QUARANTINED


# --- pictures that need the pixels

RING = {"gradients": "ring"}


def ask_for_picture(engine, frame_id: str, model=AAM, parameters=RING) -> None:
    with ledger.writing(engine) as session:
        ledger.queue_render(session, frame_id, model, parameters)


def render_of(engine, frame_id: str, parameters=RING, model=AAM) -> ledger.StoredRender | None:
    with ledger.reading(engine) as session:
        return ledger.get_render(session, frame_id, model, parameters)


def kinds(engine) -> list[str]:
    with ledger.reading(engine) as session:
        return [event.kind for event in ledger.events_after(session, 0)]


def test_what_needs_no_model_is_drawn_by_a_worker_of_any(engine):
    frame_id = annotate(engine, 1, ring=0.9)
    pixels = {"pixels": "counts"}
    ask_for_picture(engine, frame_id, model=None, parameters=pixels)
    ask_for_picture(engine, frame_id, model=None, parameters=pixels)
    ask_for_picture(engine, frame_id, model=AAM)
    with ledger.reading(engine) as session:
        assert ledger.has_queued(session, versions=["another"])
    with ledger.writing(engine) as session:
        (job,) = ledger.lease(session, "w", 9, 10.0, versions=["another"])
        assert (job.kind, job.parameters) == ("render", pixels)
        assert ledger.complete_render(session, job, "e" * 64)
    done = ledger.StoredRender(State.DONE, "e" * 64, None)
    assert render_of(engine, frame_id, pixels, model=None) == done
    assert render_of(engine, frame_id, pixels) is None


def test_a_picture_is_queued_once_for_its_parameters_and_says_where_it_lies(engine):
    frame_id = annotate(engine, 1, ring=0.9)
    assert render_of(engine, frame_id) is None
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask_for_picture(engine, frame_id), range(16)))
    ask_for_picture(engine, frame_id, parameters={"gradients": "halo"})
    ring, halo = lease(engine)
    assert (ring.kind, ring.frame_id, ring.model, ring.parameters) == (
        "render",
        frame_id,
        AAM,
        RING,
    )
    assert halo.parameters == {"gradients": "halo"}
    told = kinds(engine)
    with ledger.writing(engine) as session:
        assert ledger.complete_render(session, ring, "c" * 64)
        assert not ledger.complete_render(session, ring, "d" * 64)
        assert ledger.fail(session, halo, UNREADABLE)
    assert render_of(engine, frame_id) == ledger.StoredRender(State.DONE, "c" * 64, None)
    failed = render_of(engine, frame_id, {"gradients": "halo"})
    assert failed == ledger.StoredRender(State.FAILED, None, UNREADABLE)
    # Nothing of it is an event of the frame, or changes where the frame stands.
    assert kinds(engine) == told
    assert state_of(engine, frame_id).state is State.DONE
    ask_for_picture(engine, frame_id)
    assert lease(engine) == []


def test_pictures_come_after_live_frames_and_before_batches(engine):
    frame_id = annotate(engine, 1, ring=0.9)
    submit(engine, frame(2), queue=ledger.BATCH)
    ask_for_picture(engine, frame_id)
    submit(engine, frame(3))
    with ledger.reading(engine) as session:
        assert ledger.queues_to_ring(session, 0) == [ledger.LIVE, ledger.RENDER, ledger.BATCH]
        assert ledger.queue_status(session).queued == 3
    assert [job.frame_id for job in lease(engine)] == [frame(3).id, frame_id, frame(2).id]


def test_a_picture_is_fenced_and_quarantined_as_an_annotation_is(engine):
    frame_id = annotate(engine, 1, ring=0.9)
    told = kinds(engine)
    ask_for_picture(engine, frame_id)
    (late,) = lease(engine)
    expire(engine)
    lease(engine, worker="other")
    with ledger.writing(engine) as session:
        assert not ledger.complete_render(session, late, "c" * 64)
    expire(engine)
    lease(engine)
    expire(engine)
    found = render_of(engine, frame_id)
    assert found is not None
    assert found.state is State.QUARANTINED
    assert found.reason is not None
    assert found.reason.type == "no_verdict"
    assert kinds(engine) == told

    ask_for_picture(engine, frame_id, parameters={"gradients": "halo"})
    for expected in (State.QUEUED, State.QUARANTINED):
        (job,) = lease(engine)
        with ledger.writing(engine) as session:
            assert ledger.crashed(session, job, CRASH) is expected
    assert kinds(engine) == told


def test_all_that_models_say_about_a_frame_is_found_first_asked_first(engine):
    submit(engine, frame(1), models=(VGG, AAM))
    (job,) = lease(engine, versions=[AAM.version])
    with ledger.writing(engine) as session:
        assert ledger.complete(session, job, answer(ring=0.9))
    ask_for_picture(engine, frame(1).id)
    submit(engine, frame(2))
    with ledger.reading(engine) as session:
        said = ledger.all_annotations(session, frame(1).id)
        assert ledger.all_annotations(session, "0" * 64) == []
    assert [(one.model, one.state) for one in said] == [(VGG, State.QUEUED), (AAM, State.DONE)]
    assert [score.id for score in said[1].scores] == ["ring"]


# --- watching over


def test_several_sweeps_at_once_count_a_lost_lease_once(engine):
    submit(engine, *(frame(n) for n in range(20)))
    lease(engine)
    with ledger.writing(engine) as session:
        session.execute(text("UPDATE jobs SET lease_until = 0"))

    def sweep(_: int) -> int:
        with ledger.writing(engine) as session:
            return ledger.sweep(session)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(sweep, range(8))) == 20
    with ledger.reading(engine) as session:
        assert set(session.scalars(select(Job.lost_leases))) == {1}


def test_a_worker_that_was_killed_is_forgotten_in_the_end(engine):
    with ledger.writing(engine) as session:
        ledger.heartbeat(session, WorkerReport("killed", "cpu", "CPU"), [], 60)
        session.execute(text("UPDATE workers SET seen = seen - 4000"))
        ledger.heartbeat(session, WorkerReport("w", "cpu", "CPU"), [], 60)
        assert list(session.scalars(select(Worker.id))) == ["w"]


def test_old_queued_jobs_name_their_queue_for_the_bell(engine):
    submit(engine, frame(1))
    submit(engine, frame(2), queue=ledger.BATCH)
    with ledger.reading(engine) as session:
        assert ledger.queues_to_ring(session, 60) == []
        assert ledger.queues_to_ring(session, 0) == [ledger.LIVE, ledger.BATCH]


def test_the_status_counts_jobs_and_names_workers_until_they_leave(engine):
    submit(engine, frame(1), frame(2))
    jobs = lease(engine, 1)
    report = WorkerReport("w", "cuda", "CPUExecutionProvider", (AAM.version,))
    with ledger.writing(engine) as session:
        ledger.heartbeat(session, report, jobs, 60)
        ledger.heartbeat(session, report, jobs, 60)
    with ledger.reading(engine) as session:
        status = ledger.queue_status(session)
    assert (status.queued, status.leased) == (1, 1)
    assert status.oldest_queued_seconds is not None
    assert 0 <= status.oldest_queued_seconds < 30
    assert [worker.report for worker in status.workers] == [report]
    assert status.workers[0].seen_seconds_ago < 10
    with ledger.writing(engine) as session:
        ledger.forget_worker(session, "w")
        assert ledger.queue_status(session).workers == ()


# --- events


def test_events_come_in_order_and_can_be_resumed(engine):
    annotate(engine, 1, ring=0.9)
    annotate(engine, 2, ring=0.1)
    with ledger.reading(engine) as session:
        events = ledger.events_after(session, 0)
        assert [event.kind for event in events] == ["submitted", "done"] * 2
        assert events[1].tags == ("ring",)
        assert events[1].model == AAM
        assert ledger.events_after(session, events[1].id) == events[2:]
        assert ledger.last_event_id(session) == events[-1].id
        assert ledger.events_after(session, 0, limit=1) == events[:1]


def test_a_reader_never_passes_an_event_that_commits_later(engine):
    """8 writers at once; a reader that follows sees every event exactly once."""
    stop = threading.Event()
    seen: list[int] = []

    def follow():
        # A thread that never pauses can keep the interpreter's lock from the writers for minutes.
        while not stop.wait(0.001):
            with ledger.reading(engine) as session:
                seen.extend(
                    event.id for event in ledger.events_after(session, seen[-1] if seen else 0)
                )

    reader = threading.Thread(target=follow)
    reader.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: submit(engine, frame(number)), range(64)))
        wait_until(lambda: len(seen) >= 64)
    finally:  # a reader that is left behind keeps the whole run alive
        stop.set()
        reader.join()
    with ledger.reading(engine) as session:
        assert seen == [event.id for event in ledger.events_after(session, 0)]
    assert len(seen) == 64


# --- finding


def test_frames_are_listed_newest_first_in_pages_without_gaps(engine):
    for number in range(7):
        submit(engine, frame(number))
    pages, after = [], None
    while True:
        with ledger.reading(engine) as session:
            page = ledger.list_frames(
                session, FrameFilter(), production=AAM.version, after=after, limit=3
            )
        pages.append([row.frame_id for row in page.items])
        if page.following is None:
            break
        after = page.following
        submit(engine, frame(100 + len(pages)))  # newer ones do not disturb the pages
    assert [len(page) for page in pages] == [3, 3, 1]
    assert list(chain(*pages)) == [frame(n).id for n in reversed(range(7))]


@pytest.mark.parametrize("by", ["newest", "oldest", "frame_number", "novelty", "probability"])
@pytest.mark.parametrize("narrow", [{}, {"query": about("ring >= 0.1")}, {"labelled": False}])
def test_a_list_is_walked_both_ways_from_any_frame_of_it(engine, by, narrow, monkeypatch):
    monkeypatch.setattr(search, "_FIRST_PORTION", 3)  # many portions, few frames
    # Equal figures, and such as a finding does not keep to the last digit.
    for number, ring in enumerate((0.9, 0.3, 0.3, 0.1 + 1e-9, 0.7, 0.3, 0.1 + 2e-9)):
        annotate(engine, number, Sender(scan="7", frame_number=number // 2), ring=ring)
    submit(engine, frame(2), sender=Sender(scan="7", frame_number=9))
    submit(engine, frame(50), sender=Sender(scan="8"))
    narrow = {**narrow, "scan": "7"}
    order = ledger.Order(by, "ring" if by == "probability" else None)
    whole = found(engine, order=order, **narrow)
    assert len(whole) == 7
    back = replace(order, backwards=True)
    assert found(engine, order=back, **narrow) == whole[::-1]
    for place, frame_id in enumerate(whole):
        assert found(engine, order=order, beyond=frame_id, **narrow) == whole[place + 1 :]
        assert found(engine, order=back, beyond=frame_id, **narrow) == whole[:place][::-1]
    assert found(engine, order=order, beyond=frame(50).id, **narrow) == []


def test_tags_and_probabilities_narrow_the_list(engine):
    strong = annotate(engine, 1, ring=0.9, halo=0.1)
    both = annotate(engine, 2, ring=0.7, halo=0.8)
    none = annotate(engine, 3, ring=0.2, halo=0.3)
    submit(engine, frame(4))

    for question, expected in (
        ("ring > 0.8", [strong]),
        ("ring", [both, strong]),
        ("ring and halo >= 0.8", [both]),
        ("ring and not halo", [strong]),
        ("not ring", [none]),
        ("ring < 0.5", [none]),
        ("not (ring or halo > 0.9)", [none]),
        ("halo > 0.75 or ring <= 0.2", [none, both]),
    ):
        assert found(engine, query=about(question)) == expected, question
    assert found(engine, state=State.QUEUED) == [frame(4).id]


def test_what_was_said_about_a_frame_narrows_the_list(engine):
    submit(engine, frame(1), sender=Sender(proposal="p1", scan="7", sample="Silver behenate"))
    submit(engine, frame(2), sender=Sender(proposal="p2", beamline="i22"))
    submit(engine, frame(1), sender=Sender(proposal="p2", scan="8"))
    assert found(engine) == [frame(1).id, frame(2).id]
    assert found(engine, proposal="p1") == [frame(1).id]
    assert found(engine, proposal="p2") == [frame(1).id, frame(2).id]
    assert found(engine, scan="7") == [frame(1).id]
    assert found(engine, beamline="i22") == [frame(2).id]
    assert found(engine, sample="BEHEN") == [frame(1).id]
    assert found(engine, sample="100%") == []
    assert found(engine, since=datetime.now(UTC) - timedelta(hours=1)) == found(engine)
    assert found(engine, since=datetime.now(UTC) + timedelta(hours=1)) == []


def test_what_one_may_not_see_does_not_exist(engine):
    annotate(engine, 1, sender=Sender(proposal="p1"), ring=0.9)
    annotate(engine, 2, sender=Sender(proposal="p2"), ring=0.9)
    with ledger.writing(engine) as session:
        key = ledger.create_key(session, "guest", proposal="p1")
        guest = ledger.authenticate(session, key)
    assert guest is not None
    assert found(engine, sees=guest) == [frame(1).id]
    assert found(engine, sees=replace(guest, beamline="i22")) == []
    with ledger.reading(engine) as session:
        hidden = ledger.get_frame(session, frame(2).id, production=AAM.version, sees=guest)
        assert hidden is None
        events = ledger.events_after(session, 0, sees=guest)
    assert {event.frame_id for event in events} == {frame(1).id}


# --- keys


def test_a_key_opens_until_it_is_revoked_and_its_secret_is_not_kept(engine):
    with ledger.writing(engine) as session:
        key = ledger.create_key(session, "beamline computer", role="scientist")
        holder = ledger.authenticate(session, key)
        assert holder is not None
        assert holder.scopes == {"frames:write", "results:read", "labels:write"}
        secret = key.split("_", 2)[2]
        kept = session.execute(text("SELECT * FROM keys")).one()
        assert secret not in str(kept)
        assert ledger.revoke_key(session, holder.key_id)
        assert not ledger.revoke_key(session, holder.key_id)
    with ledger.reading(engine) as session:
        assert ledger.authenticate(session, key) is None
        assert ledger.list_keys(session)[0].revoked is not None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda key: key + "x",
        lambda key: key[:-1],
        lambda key: key.rsplit("_", 1)[0],
        lambda key: "",
        lambda key: "sl__",
        lambda key: key.replace("sl_", "xx_"),
        lambda key: "sl_0123456789ab_" + key.split("_", 2)[2],
    ],
)
def test_a_spoilt_key_opens_nothing(engine, spoil):
    with ledger.writing(engine) as session:
        key = ledger.create_key(session, "me")
        assert ledger.authenticate(session, spoil(key)) is None


def test_a_key_ends_when_its_days_are_over(engine):
    with ledger.writing(engine) as session:
        key = ledger.create_key(session, "me", days=1)
        assert ledger.authenticate(session, key) is not None
        session.execute(text("UPDATE keys SET expires = 1"))
        session.expire_all()
        assert ledger.authenticate(session, key) is None


def test_a_role_cannot_be_given_more_than_it_may_hold(engine):
    with ledger.writing(engine) as session:
        key = ledger.create_key(session, "me", role="trainer", scopes=["results:read"])
        holder = ledger.authenticate(session, key)
        assert holder is not None
        assert holder.scopes == {"results:read"}
        with pytest.raises(ledger.BadKeyError, match="viewer may not hold admin"):
            ledger.create_key(session, "me", role="viewer", scopes=["admin"])
        for name in ("", "  ", "two\nlines"):
            with pytest.raises(ledger.BadKeyError, match="needs a name"):
                ledger.create_key(session, name)
        with pytest.raises(ledger.BadKeyError, match="no role"):
            ledger.create_key(session, "me", role="king")
        with pytest.raises(ledger.BadKeyError, match="cannot last"):
            ledger.create_key(session, "me", days=0)
