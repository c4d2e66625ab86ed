"""Training runs: asked for, leased by trainers, advanced, and decided once.

A run is one row of `runs`, which says what it is, and one of `jobs`, which says where it stands.
Leases, heartbeats and the sweep are those of all jobs (`ledger.jobs`). A run that advanced beyond
where it ever was has its lost leases and crashes forgiven: it is resumed, not begun again, so
however often its trainers are killed it comes to its end; one that dies at the same place three
times (or twice by itself) is quarantined.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from scatterlens.schemas import Reason, State
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.events import add_events, appear_in_order, training_event
from scatterlens_service.ledger.inserting import insert_into
from scatterlens_service.ledger.jobs import MAX_CRASHES, decide, is_ours
from scatterlens_service.ledger.records import LeasedRun, NewRun, RunRow, to_datetime
from scatterlens_service.ledger.submissions import TRAIN
from scatterlens_service.ledger.tables import Job, Label, Run

_OPEN = (State.QUEUED, State.LEASED)


def queue_run(session: Session, run: NewRun) -> bool:
    """Queue a training; False, and nothing changed, where a run of this id exists.

    It must be the last thing a transaction does.
    """
    now = session.scalar(select(Clock())) or 0.0
    row = {
        "id": run.id,
        "by": run.by,
        "trigger": run.trigger,
        "note": run.note,
        "time": now,
        "newest_label": _newest_label(session),
        "description": dict(run.description),
        "reached": 0.0,
        "metrics": [],
    }
    insert = insert_into(session)(Run).on_conflict_do_nothing(index_elements=["id"])
    if session.scalar(insert.values(row).returning(Run.id)) is None:
        return False
    session.add(
        Job(
            kind="train",
            key=run.id,
            queue=TRAIN,
            state=State.QUEUED,
            attempt=0,
            lost_leases=0,
            crashes=0,
            queued=now,
        )
    )
    session.flush()
    add_events(session, [training_event(run.id, State.QUEUED)])
    return True


def queue_run_by_policy(
    session: Session, run: NewRun, *, after_frames: int, every_seconds: float
) -> bool:
    """Queue a training where the policy wants one now; False where it does not.

    Any number of gateways may ask at the same time: one of them gets it.
    """
    # Nobody else decides until the commit; on SQLite nobody else writes anyway.
    appear_in_order(session)
    wanted = is_run_due(session, after_frames=after_frames, every_seconds=every_seconds)
    return wanted and queue_run(session, run)


def is_run_due(session: Session, *, after_frames: int, every_seconds: float) -> bool:
    """Whether the policy wants a training now; a look that takes no lock.

    It does where no run is open and, since the last one was asked for, `after_frames` frames were
    labelled, or `every_seconds` passed and anything was (0 switches a condition off).
    """
    open_ = select(Job.id).where(Job.state.in_(_OPEN), Job.queue == TRAIN).limit(1)
    if session.scalar(open_) is not None:
        return False
    last = session.execute(
        select(Run.newest_label, Clock() - Run.time).order_by(Run.time.desc(), Run.id).limit(1)
    ).first()
    since, age = (0, None) if last is None else last
    if _newest_label(session) <= since:
        return False
    if every_seconds and (age is None or age >= every_seconds):
        return True
    if not after_frames:
        return False
    labelled = select(func.count(Label.frame_id.distinct())).where(Label.id > since)
    return (session.scalar(labelled) or 0) >= after_frames


def lease_run(session: Session, worker_id: str, lease_seconds: float) -> LeasedRun | None:
    """Take the oldest queued training; None where there is none."""
    wanted = (
        select(Job.id)
        .where(Job.state == State.QUEUED, Job.queue == TRAIN)
        .order_by(Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    job_id = session.scalar(wanted)
    if job_id is None:
        return None
    job = session.scalars(
        update(Job)
        .where(Job.id == job_id)
        .values(
            state=State.LEASED,
            attempt=Job.attempt + 1,
            worker_id=worker_id,
            lease_until=Clock() + lease_seconds,
        )
        .returning(Job)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).one()
    run = session.get_one(Run, job.key)
    return LeasedRun(job.id, job.attempt, run.id, job.crashes, run.description)


def has_queued_run(session: Session) -> bool:
    """Whether a lease would find something; a look that takes no lock."""
    row = select(Job.id).where(Job.state == State.QUEUED, Job.queue == TRAIN).limit(1)
    return session.scalar(row) is not None


def advance_run(
    session: Session,
    leased: LeasedRun,
    progress: Mapping[str, Any],
    reached: float,
    metrics: Sequence[Mapping[str, Any]] | None,
    *,
    tell: bool,
) -> bool:
    """Record where a training stands, and tell it where `tell`; False if it was fenced off.

    `reached` is the number of the stage plus its share; `metrics` is the whole curve, None where
    it is not known. It must be the last thing a transaction does.
    """
    if session.scalar(select(Job.id).where(is_ours([leased])).with_for_update()) is None:
        return False
    run = session.get_one(Run, leased.run_id)
    run.progress = dict(progress)
    if metrics is not None and len(metrics) != len(run.metrics):
        run.metrics = [dict(point) for point in metrics]
    if reached > run.reached:
        run.reached = reached
        forgiven = update(Job).where(Job.id == leased.id).values(lost_leases=0, crashes=0)
        session.execute(forgiven.execution_options(synchronize_session=False))
    session.flush()
    if tell:
        add_events(session, [training_event(run.id, State.LEASED, progress)])
    return True


def complete_run(session: Session, leased: LeasedRun, result: Mapping[str, Any]) -> bool:
    """Finish a training with its bundle; False, and nothing stored, if it was fenced off."""
    if not decide(session, leased, State.DONE):
        return False
    session.get_one(Run, leased.run_id).result = dict(result)
    session.flush()
    add_events(session, [training_event(leased.run_id, State.DONE)])
    return True


def refuse_run(session: Session, leased: LeasedRun, verdict: Reason) -> bool:
    """End a training with a typed verdict on what it was asked for; False if it was fenced off."""
    if not decide(session, leased, State.FAILED, verdict):
        return False
    add_events(session, [training_event(leased.run_id, State.FAILED)])
    return True


def crash_run(session: Session, leased: LeasedRun, verdict: Reason) -> State | None:
    """The process of a training died: once more, or quarantine where it did so before.

    Returns the new state, or None if the run was fenced off.
    """
    crashes = session.scalar(select(Job.crashes).where(Job.id == leased.id)) or 0
    again = crashes + 1 < MAX_CRASHES
    state = State.QUEUED if again else State.QUARANTINED
    if not decide(session, leased, state, None if again else verdict, crashes=crashes + 1):
        return None
    add_events(session, [training_event(leased.run_id, state)])
    return state


def cancel_run(session: Session, run_id: str) -> bool:
    """End a training that has not ended; its trainer finds its lease gone. False if it had."""
    cancelled = session.execute(
        update(Job)
        .where(Job.key == run_id, Job.kind == "train", Job.state.in_(_OPEN))
        .values(state=State.CANCELLED, worker_id=None, lease_until=None, finished=Clock())
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    if cancelled.first() is None:
        return False
    add_events(session, [training_event(run_id, State.CANCELLED)])
    return True


def get_run(session: Session, run_id: str) -> RunRow | None:
    """One training run; None where there is none of this id."""
    found = session.execute(_RUNS.where(Run.id == run_id)).first()
    return None if found is None else _row(*found)


def list_runs(session: Session, *, limit: int = 100) -> list[RunRow]:
    """The newest training runs, newest first."""
    rows = session.execute(_RUNS.order_by(Run.time.desc(), Run.id).limit(limit))
    return [_row(run, job) for run, job in rows]


def open_runs(session: Session) -> list[RunRow]:
    """Training runs that have not ended, oldest first."""
    rows = session.execute(_RUNS.where(Job.state.in_(_OPEN), Job.queue == TRAIN).order_by(Job.id))
    return [_row(run, job) for run, job in rows]


def run_metrics(session: Session, run_id: str) -> list[Mapping[str, Any]]:
    """The curve of a run, as far as it came."""
    return list(session.scalar(select(Run.metrics).where(Run.id == run_id)) or ())


_RUNS = select(Run, Job).join(Job, Job.key == Run.id)


def _newest_label(session: Session) -> int:
    return session.scalar(select(func.max(Label.id))) or 0


def _row(run: Run, job: Job) -> RunRow:
    return RunRow(
        id=run.id,
        by=run.by,
        trigger=run.trigger,
        note=run.note,
        time=to_datetime(run.time),
        finished=None if job.finished is None else to_datetime(job.finished),
        state=State(job.state),
        description=run.description,
        progress=run.progress,
        result=run.result,
        reason=None if job.reason is None else Reason(**job.reason),
    )
