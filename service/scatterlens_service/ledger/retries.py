"""Jobs on frames that failed or were quarantined: finding them, and trying them again.

A retried job keeps its id and its attempts, so whoever held it before stays fenced off, and there
is one answer for each frame and model as ever.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from scatterlens.schemas import JobKind, Reason, State
from scatterlens_service.ledger.backlog import KIND_OF
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.events import add_events
from scatterlens_service.ledger.records import ModelVersion, to_datetime
from scatterlens_service.ledger.submissions import QUEUES
from scatterlens_service.ledger.tables import Event, Job, Submission

Troubled = Literal[State.FAILED, State.QUARANTINED]


@dataclass(frozen=True)
class JobRow:
    """A job on a frame, and how it went."""

    id: int
    kind: JobKind
    queue: str
    state: State
    frame_id: str
    filename: str | None
    """Of the newest submission."""
    model: ModelVersion
    attempts: int
    lost_leases: int
    crashes: int
    queued: datetime
    finished: datetime | None
    reason: Reason | None


def list_jobs(
    session: Session, state: Troubled, *, before: int | None = None, limit: int = 50
) -> tuple[list[JobRow], int | None]:
    """One page of failed or quarantined jobs on frames, newest first, and where the next begins."""
    ids: list[int] = []
    for queue in QUEUES:
        # Each a piece of the index, in its order, however many jobs there are.
        newest = select(Job.id).where(Job.state == state, Job.queue == queue)
        if before is not None:
            newest = newest.where(Job.id < before)
        ids += session.scalars(newest.order_by(Job.id.desc()).limit(limit + 1))
    page = sorted(ids, reverse=True)
    rows = _read(session, page[:limit])
    return rows, page[limit - 1] if len(page) > limit else None


def get_job(session: Session, job_id: int) -> JobRow | None:
    """A job on a frame; None if there is none of this id."""
    return next(iter(_read(session, [job_id])), None)


def retry_jobs(session: Session, ids: Collection[int]) -> list[JobRow]:
    """Queue failed and quarantined jobs anew, as if nobody had tried; others are left alone.

    Returns those that are queued now. It must be the last thing a transaction does.
    """
    # One order for all writers, so that two of them cannot deadlock.
    chosen = (
        select(Job.id)
        .where(
            Job.id.in_(ids),
            Job.state.in_([State.FAILED, State.QUARANTINED]),
            Job.queue.in_(QUEUES),
        )
        .order_by(Job.id)
        .with_for_update()
    )
    found = list(session.scalars(chosen))
    session.execute(
        update(Job)
        .where(Job.id.in_(found))
        .values(
            state=State.QUEUED,
            lost_leases=0,
            crashes=0,
            queued=Clock(),
            finished=None,
            reason=None,
        )
        .execution_options(synchronize_session=False)
    )
    rows = _read(session, found)
    add_events(session, [_event(row) for row in reversed(rows) if row.kind == "annotate"])
    return rows


def _read(session: Session, ids: Collection[int]) -> list[JobRow]:
    filename = (
        select(Submission.filename)
        .where(Submission.frame_id == Job.frame_id)
        .order_by(Submission.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Job, filename)
        .where(Job.id.in_(ids), Job.queue.in_(QUEUES))
        .order_by(Job.id.desc())
        .execution_options(populate_existing=True)
    )
    return [_row(job, name) for job, name in rows]


def _row(job: Job, filename: str | None) -> JobRow:
    return JobRow(
        id=job.id,
        kind=KIND_OF[job.queue],
        queue=job.queue,
        state=State(job.state),
        frame_id=job.frame_id or "",
        filename=filename,
        model=ModelVersion(job.model_name or "", job.model_version or ""),
        attempts=job.attempt,
        lost_leases=job.lost_leases,
        crashes=job.crashes,
        queued=to_datetime(job.queued),
        finished=None if job.finished is None else to_datetime(job.finished),
        reason=None if job.reason is None else Reason(**job.reason),
    )


def _event(row: JobRow) -> Event:
    return Event(
        kind="retried",
        frame_id=row.frame_id,
        model_name=row.model.name,
        model_version=row.model.version,
        tags=[],
    )
