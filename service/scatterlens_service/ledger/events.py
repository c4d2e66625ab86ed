"""What happened to frames, training runs and models, in an order to resume from."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from scatterlens.schemas import State
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.records import EventRow, ModelVersion, Principal, to_datetime
from scatterlens_service.ledger.tables import Event
from scatterlens_service.ledger.visibility import frame_is_visible, is_visible_within

_LOCK = 0x5CA77E1  # any number that nobody else locks


def appear_in_order(session: Session) -> None:
    """Make the rows that follow appear to readers in the order of their ids and times.

    PostgreSQL hands out ids before transactions commit, so a reader at 7 could miss a 6 that
    commits later. The lock is held until the commit: little may follow. (SQLite has one writer at
    a time anyway.)
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def add_events(session: Session, events: Sequence[Event]) -> None:
    """Append events, in order; must be the last thing a transaction does."""
    if not events:
        return
    appear_in_order(session)
    now = session.scalar(select(Clock()))
    for event in events:
        event.time = now or 0.0
    session.add_all(events)
    session.flush()


def training_event(run_id: str, state: State, progress: Mapping[str, Any] | None = None) -> Event:
    """A training run came to a state, or further within it."""
    details = {"run_id": run_id, "state": state.value, "progress": progress and dict(progress)}
    return Event(kind="training", frame_id=None, tags=[], details=details)


def last_event_id(session: Session) -> int:
    """Id of the newest event; 0 before the first."""
    return session.scalar(select(func.max(Event.id))) or 0


def events_after(
    session: Session, after: int, *, sees: Principal | None = None, limit: int = 500
) -> list[EventRow]:
    """Events with an id above `after`, oldest first, as far as `sees` may see them.

    That is: of the frames it may see, of models, and, where it sees all frames, of training runs.
    """
    rows = session.scalars(
        select(Event)
        .where(
            Event.id > after,
            or_(
                Event.kind.in_(("model", "deleted")),
                Event.proposal.is_(None) & frame_is_visible(Event.frame_id, sees),
                Event.proposal.is_not(None)
                & is_visible_within(Event.frame_id, Event.proposal, sees),
            ),
        )
        .order_by(Event.id)
        .limit(limit)
    )
    return [
        EventRow(
            id=row.id,
            kind=row.kind,
            frame_id=row.frame_id if row.kind != "deleted" else (row.details or {})["frame_id"],
            model=ModelVersion(row.model_name, row.model_version)
            if row.model_name is not None and row.model_version is not None
            else None,
            tags=tuple(row.tags),
            time=to_datetime(row.time),
            details=row.details if row.kind == "training" else None,
            change=row.change,
        )
        for row in rows
        if row.kind != "deleted" or _saw(sees, row.details or {})
    ]


def _saw(sees: Principal | None, deleted: Mapping[str, Any]) -> bool:
    """Whether somebody saw a frame before it was deleted."""
    return sees is None or any(
        sees.proposal in (None, proposal) and sees.beamline in (None, beamline)
        for proposal, beamline in deleted["seen_as"]
    )
