"""Frames of the past for a new model: queued in portions, so that new frames never wait for them.

A request is a row that remembers how far it came. What was queued already is not queued again,
because the key of a job is unique.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from scatterlens.schemas import State
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.conditions import sent_as
from scatterlens_service.ledger.model_tables import Model, Reannotation
from scatterlens_service.ledger.records import ModelVersion, to_datetime
from scatterlens_service.ledger.search import FrameFilter
from scatterlens_service.ledger.submissions import BATCH, queue_jobs
from scatterlens_service.ledger.tables import Frame, Job, Submission

PORTION = 500
"""Frames that wait in the queue at once: enough to keep workers busy between two sweeps."""


@dataclass(frozen=True)
class ReannotationRow:
    """A request to look at old frames again, and how far it came."""

    id: int
    version: str
    queued: int
    finished: datetime | None


def request_reannotation(
    session: Session, version: str, wanted: Mapping[str, Any], by: str
) -> ReannotationRow:
    """Remember that a model version shall look at the frames sent so far that `wanted` means.

    `wanted` has the fields of `FrameFilter` that tell how a frame was sent, as JSON.
    """
    newest = session.scalar(select(func.max(Submission.id))) or 0
    row = Reannotation(
        version=version,
        wanted=dict(wanted),
        below=newest + 1,
        queued=0,
        by=by,
        time=session.scalar(select(Clock())) or 0.0,
    )
    session.add(row)
    session.flush()
    return _record(row)


def list_reannotations(session: Session, version: str) -> list[ReannotationRow]:
    """Requests for a model version, the oldest first."""
    rows = select(Reannotation).where(Reannotation.version == version).order_by(Reannotation.id)
    return [_record(row) for row in session.scalars(rows)]


def has_reannotations(session: Session) -> bool:
    """Whether old frames are still to be queued; a look that takes no lock."""
    row = select(Reannotation.id).where(Reannotation.finished.is_(None)).limit(1)
    return session.scalar(row) is not None


def queue_old_frames(session: Session, max_queue: int) -> int:
    """Queue the next portion of the oldest request; returns how many frames.

    Nothing is queued while a portion waits, nor where the queue would pass `max_queue`.
    """
    waiting = Job.state.in_([State.QUEUED, State.LEASED])
    old, total = session.execute(
        select(
            func.count().filter(Job.state == State.QUEUED, Job.queue == BATCH), func.count()
        ).where(waiting)
    ).one()
    room = min(PORTION - old, max_queue - total)
    if room <= 0:
        return 0
    request = session.scalar(
        select(Reannotation)
        .where(Reannotation.finished.is_(None))
        .order_by(Reannotation.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if request is None:
        return 0
    return _queue_portion(session, request, room)


def _queue_portion(session: Session, request: Reannotation, room: int) -> int:
    model = session.get_one(Model, request.version)
    wanted = dict(request.wanted)
    if wanted.get("since") is not None:
        wanted["since"] = datetime.fromisoformat(wanted["since"])
    asked = exists().where(
        Job.frame_id == Submission.frame_id,
        Job.kind == "annotate",
        Job.model_version == model.version,
    )
    lost = exists().where(Frame.id == Submission.frame_id, Frame.raw_removed.is_not(None))
    rows = session.execute(
        select(Submission.id, Submission.frame_id)
        .where(sent_as(Submission, FrameFilter(**wanted), None), ~asked)
        .where(Submission.id < request.below, ~lost)
        .order_by(Submission.id.desc())
        .limit(room)
    ).all()
    frames = {row.frame_id for row in rows}
    queue_jobs(session, frames, [ModelVersion(model.name, model.version)], queue=BATCH)
    request.queued += len(frames)
    if rows:
        request.below = rows[-1].id
    else:
        request.finished = session.scalar(select(Clock()))
    session.flush()
    return len(frames)


def _record(row: Reannotation) -> ReannotationRow:
    finished = None if row.finished is None else to_datetime(row.finished)
    return ReannotationRow(row.id, row.version, row.queued, finished)
