"""How much waits in each queue, and how much left it lately; cheap with millions of jobs."""

from dataclasses import dataclass
from itertools import product

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.orm import Session

from scatterlens.schemas import JobKind, State
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.records import QueueStatus
from scatterlens_service.ledger.submissions import BATCH, LIVE, QUEUES, RENDER, TRAIN
from scatterlens_service.ledger.tables import Job
from scatterlens_service.ledger.workers import seen_workers

KIND_OF: dict[str, JobKind] = {
    LIVE: "annotate",
    RENDER: "render",
    BATCH: "annotate",
    TRAIN: "train",
}
"""What each queue holds."""
COUNTED_ENDS = 100_000
_MINUTE = 60.0
_HOUR = 3600.0
_ENDS = (State.DONE, State.FAILED, State.QUARANTINED)


@dataclass(frozen=True)
class Ended:
    """Jobs that came to an end, each kind of end counted up to `COUNTED_ENDS`."""

    done: int
    failed: int
    quarantined: int
    more: bool
    """Some count stopped there."""


@dataclass(frozen=True)
class Backlog:
    """One queue."""

    queue: str
    kind: JobKind
    queued: int
    leased: int
    oldest_queued_seconds: float | None
    last_minute: Ended
    last_hour: Ended


def backlogs(session: Session) -> list[Backlog]:
    """All queues, the most urgent first."""
    # The clock is read once: PostgreSQL looks no index up for a time that moves meanwhile.
    now = session.scalar(select(Clock())) or 0.0
    waiting = _waiting(session)
    ended = _ended(session, now)
    return [
        Backlog(
            queue=queue,
            kind=kind,
            queued=waiting.get((queue, State.QUEUED), 0),
            leased=waiting.get((queue, State.LEASED), 0),
            oldest_queued_seconds=_oldest(session, queue, now),
            last_minute=ended[queue, _MINUTE],
            last_hour=ended[queue, _HOUR],
        )
        for queue, kind in KIND_OF.items()
    ]


def queue_status(session: Session, *, seen_within_seconds: float = 15.0) -> QueueStatus:
    """Which frames wait or are worked on, and the annotating workers that reported lately."""
    now = session.scalar(select(Clock())) or 0.0
    waiting = _waiting(session)
    oldest = (_oldest(session, queue, now) for queue in QUEUES)
    return QueueStatus(
        queued=sum(waiting.get((queue, State.QUEUED), 0) for queue in QUEUES),
        leased=sum(waiting.get((queue, State.LEASED), 0) for queue in QUEUES),
        oldest_queued_seconds=max((age for age in oldest if age is not None), default=None),
        workers=seen_workers(session, "annotate", seen_within_seconds),
    )


def count_troubled(session: Session) -> dict[State, int]:
    """How many jobs on frames stand failed or quarantined now."""
    counts = session.execute(
        select(Job.state, func.count())
        .where(Job.state.in_([State.FAILED, State.QUARANTINED]), Job.queue.in_(QUEUES))
        .group_by(Job.state)
    )
    return {State(state): count for state, count in counts}


def _waiting(session: Session) -> dict[tuple[str, str], int]:
    counts = session.execute(
        select(Job.queue, Job.state, func.count())
        .where(Job.state.in_([State.QUEUED, State.LEASED]))
        .group_by(Job.queue, Job.state)
    )
    return {(queue, state): count for queue, state, count in counts}


def _oldest(session: Session, queue: str, now: float) -> float | None:
    # The job with the lowest id is taken next: one look at the index, however long the queue.
    queued = session.scalar(
        select(Job.queued)
        .where(Job.state == State.QUEUED, Job.queue == queue)
        .order_by(Job.id)
        .limit(1)
    )
    return None if queued is None else max(0.0, now - queued)


def _ended(session: Session, now: float) -> dict[tuple[str, float], Ended]:
    """Jobs of each queue that ended within the last minute, and within the last hour."""
    asked = list(product(KIND_OF, (_MINUTE, _HOUR), _ENDS))
    counts = session.execute(
        select(*(_count_ended(queue, state, now - span) for queue, span, state in asked))
    ).one()
    found: dict[tuple[str, float], dict[State, int]] = {}
    for (queue, span, state), count in zip(asked, counts, strict=True):
        found.setdefault((queue, span), {})[state] = count
    return {
        of: Ended(
            done=min(ended[State.DONE], COUNTED_ENDS),
            failed=min(ended[State.FAILED], COUNTED_ENDS),
            quarantined=min(ended[State.QUARANTINED], COUNTED_ENDS),
            more=max(ended.values()) > COUNTED_ENDS,
        )
        for of, ended in found.items()
    }


def _count_ended(queue: str, state: State, since: float) -> ScalarSelect[int]:
    # One stretch of an index; with a limit, as what an hour ends may be a million.
    ended = select(Job.finished).where(Job.queue == queue, Job.state == state, Job.finished > since)
    return (
        select(func.count()).select_from(ended.limit(COUNTED_ENDS + 1).subquery()).scalar_subquery()
    )
