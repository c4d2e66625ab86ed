"""What people say about frames: entries that are only ever added, and what they come to now.

A frame is judged within a proposal: who sends the same bytes for another one neither sees nor
changes what was said. `within` is the proposal, empty where none was told: `FrameRow.within`.
Visibility is the caller's, as with annotations: ask `get_frame` first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.events import add_events, appear_in_order
from scatterlens_service.ledger.records import FrameRow, Principal, to_datetime
from scatterlens_service.ledger.tables import Event, Frame, Label
from scatterlens_service.ledger.visibility import label_is_visible


@dataclass(frozen=True)
class Judgement:
    """What an author says about one attribute of a frame."""

    value: str | None
    """present | absent | unsure; None withdraws what the author said before."""
    region: Sequence[Sequence[float]] | None = None
    note: str | None = None


@dataclass(frozen=True)
class LabelRow:
    """One entry: who said what, when, with what before their eyes."""

    id: int
    frame_id: str
    within: str
    attribute: str
    person: str
    author: str
    value: str | None
    region: tuple[tuple[float, float], ...] | None
    note: str | None
    shown: Mapping[str, Any] | None
    time: datetime


def hold_labels(session: Session, frame_id: str, within: str) -> int:
    """Let nobody else label this frame until the commit; id of its newest entry, 0 without one."""
    # On PostgreSQL two writers would each miss what the other adds; SQLite has one at a time.
    session.execute(select(Frame.id).where(Frame.id == frame_id).with_for_update(key_share=True))
    return newest_label(session, frame_id, within)


def newest_label(session: Session, frame_id: str, within: str) -> int:
    """Id of a frame's newest entry, which changes with every change of its labels."""
    newest = select(func.max(Label.id))
    return session.scalar(newest.where(Label.frame_id == frame_id, Label.proposal == within)) or 0


def put_labels(
    session: Session,
    frame_id: str,
    within: str,
    caller: Principal,
    judgements: Mapping[str, Judgement],
    shown: Mapping[str, Any] | None = None,
) -> bool:
    """Add an entry for each attribute over which the caller says something new; False if none.

    Attributes that are not named keep their labels. It must be the last thing a transaction does.
    """
    hold_labels(session, frame_id, within)
    standing = {
        row.attribute: row
        for row in current_labels(session, frame_id, within)
        if row.person == caller.person and row.attribute in judgements
    }
    changes = {
        attribute: judgement
        for attribute, judgement in judgements.items()
        if not _says(standing.get(attribute), judgement, shown)
    }
    if not changes:
        return False
    appear_in_order(session)
    # Whole microseconds, as readers are told them: asking again since the last time misses nothing.
    now = to_datetime(session.scalar(select(Clock())) or 0.0).timestamp()
    session.add_all(
        Label(
            frame_id=frame_id,
            proposal=within,
            attribute=attribute,
            person=caller.person,
            author=caller.name,
            key_id=caller.key_id,
            value=judgement.value,
            region=None
            if judgement.region is None
            else [list(point) for point in judgement.region],
            note=judgement.note,
            shown=None if shown is None else dict(shown),
            time=now,
        )
        for attribute, judgement in changes.items()
    )
    add_events(session, [Event(kind="labelled", frame_id=frame_id, proposal=within, tags=[])])
    return True


def current_labels(session: Session, frame_id: str, within: str) -> list[LabelRow]:
    """What each author says now about a frame, oldest entry first; withdrawn ones are absent."""
    said = _current([frame_id]).where(Label.proposal == within)
    return [_record(row) for row in session.scalars(said)]


def labels_of(session: Session, frames: Collection[FrameRow]) -> dict[str, list[LabelRow]]:
    """`current_labels` of many frames; those over which nobody says anything are absent."""
    within = {frame.frame_id: frame.within for frame in frames}
    found: dict[str, list[LabelRow]] = {}
    for row in session.scalars(_current(within)):
        if row.proposal == within[row.frame_id]:
            found.setdefault(row.frame_id, []).append(_record(row))
    return found


def _current(frame_ids: Collection[str]) -> Any:
    return (
        select(Label)
        .where(Label.frame_id.in_(frame_ids), Label.value.is_not(None), is_newest(Label))
        .order_by(Label.id)
    )


def label_history(session: Session, frame_id: str, within: str) -> list[LabelRow]:
    """All entries of a frame, oldest first, withdrawals too."""
    query = select(Label).where(Label.frame_id == frame_id, Label.proposal == within)
    return [_record(row) for row in session.scalars(query.order_by(Label.id))]


def move_labels(session: Session, frame_id: str, within: str, into: str) -> None:
    """Let what was said of a frame within one proposal belong to another."""
    session.execute(
        update(Label)
        .where(Label.frame_id == frame_id, Label.proposal == within)
        .values(proposal=into)
        .execution_options(synchronize_session=False)
    )


def export_labels(
    session: Session,
    *,
    since: datetime | None = None,
    sees: Principal | None = None,
    after: int = 0,
    limit: int = 500,
) -> list[LabelRow]:
    """A page of what authors say now about frames as `sees` may see them, oldest entry first.

    With `since` only what was said at that time or later, withdrawals too: whoever keeps a copy
    can bring it up to date. `after` is the id of the last row of the page before.
    """
    query = select(Label).where(Label.id > after, is_newest(Label), label_is_visible(Label, sees))
    if since is None:
        query = query.where(Label.value.is_not(None))
    else:
        query = query.where(Label.time >= since.timestamp())
    return [_record(row) for row in session.scalars(query.order_by(Label.id).limit(limit))]


def is_newest(label: Any) -> ColumnElement[bool]:
    """Condition on (an alias of) `Label`: its author said nothing later about that attribute."""
    later = aliased(Label)
    found = exists().where(
        later.attribute == label.attribute,
        later.frame_id == label.frame_id,
        later.proposal == label.proposal,
        later.person == label.person,
        later.id > label.id,
    )
    return ~found.correlate_except(later)


def is_labelled(frame_id: Any, within: Any) -> ColumnElement[bool]:
    """Condition: somebody says something about the frame now, within a proposal (or NULL)."""
    label = aliased(Label)
    condition = (label.frame_id == frame_id) & (label.proposal == func.coalesce(within, ""))
    return _exists(label, condition)


def is_judged(
    frame_id: Any, caller: Principal, attribute: Any | None = None
) -> ColumnElement[bool]:
    """Condition: the caller says something about the frame now, or about one of its attributes."""
    label = aliased(Label)
    condition = (label.frame_id == frame_id) & (label.person == caller.person)
    if attribute is not None:
        condition &= label.attribute == attribute
    return _exists(label, condition & label_is_visible(label, caller))


def _exists(label: Any, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    condition &= label.value.is_not(None) & is_newest(label)
    # Else a table that is two levels further out would be taken anew, for all its rows.
    return exists().where(condition).correlate_except(label)


def _says(row: LabelRow | None, judgement: Judgement, shown: Mapping[str, Any] | None) -> bool:
    """Whether the author's standing label is this very judgement."""
    if row is None or judgement.value is None:
        return row is None and judgement.value is None
    region = None if judgement.region is None else _points(judgement.region)
    said = (judgement.value, region, judgement.note, shown)
    return said == (row.value, row.region, row.note, row.shown)


def _points(region: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((row, col) for row, col in region)


def _record(row: Label) -> LabelRow:
    return LabelRow(
        id=row.id,
        frame_id=row.frame_id,
        within=row.proposal,
        attribute=row.attribute,
        person=row.person,
        author=row.author,
        value=row.value,
        region=None if row.region is None else _points(row.region),
        note=row.note,
        shown=row.shown,
        time=to_datetime(row.time),
    )
