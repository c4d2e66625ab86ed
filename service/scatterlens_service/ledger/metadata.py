"""What is told of a frame, and how it changes: one rule for sending again and for correcting.

Within a proposal and a beamline a frame has one set of metadata. Each field is what was said last
of it; a field that is not named stays. Motors and free keys are fields of their own. Every change
is kept with what stood there before.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.events import add_events
from scatterlens_service.ledger.labels import move_labels
from scatterlens_service.ledger.records import FrameRow, Principal, to_datetime
from scatterlens_service.ledger.scan_counts import ScanKey, recount, scan_of
from scatterlens_service.ledger.tables import Event, Frame, MetadataChange, Submission

_COLUMNS = ("filename", "scan", "sample", "frame_number", "technique", "proposal", "beamline")
_OWN_KEYS = ("motors", "extra")
"""Fields whose keys are told one by one."""


class FrameTakenError(ValueError):
    """The frame is known within that proposal and beamline already: correct it there."""


@dataclass(frozen=True)
class MetadataChangeRow:
    """Who changed what is told of a frame, and when."""

    time: datetime
    author: str | None
    key_id: str | None
    changes: Mapping[str, Any]
    """By field: `[before, after]`, None = not told."""


def fingerprint(frame_id: str, proposal: str | None, beamline: str | None) -> str:
    """What there is one row of."""
    return hashlib.sha256(json.dumps([frame_id, proposal, beamline]).encode()).hexdigest()


def hold_frames(session: Session, frame_ids: Collection[str]) -> None:
    """Let nobody else tell something of these frames until the commit."""
    # One order for all writers, so that two of them cannot deadlock.
    session.execute(
        select(Frame.id)
        .where(Frame.id.in_(frame_ids))
        .order_by(Frame.id)
        .with_for_update(key_share=True)
    ).all()


def describe(session: Session, frame: FrameRow, said: Mapping[str, Any], caller: Principal) -> bool:
    """Correct what is told of a frame, as `frame` shows it; None forgets. False if nothing changed.

    It must be the last thing a transaction does.

    Raises:
        FrameTakenError: it would be within a proposal and beamline where the frame is known.
    """
    hold_frames(session, [frame.frame_id])
    row = session.get_one(Submission, frame.submission_id, populate_existing=True)
    within = row.proposal or ""
    scans = tell(session, row, said, caller.key_id, caller.name)
    if scans is None:
        return False
    recount(session, scans)
    now_within = row.proposal or ""
    left = select(Submission.proposal).where(Submission.frame_id == frame.frame_id)
    if now_within != within and within not in {one or "" for one in session.scalars(left)}:
        move_labels(session, frame.frame_id, within, now_within)
    events = {within, now_within}
    add_events(
        session,
        [
            Event(kind="described", frame_id=frame.frame_id, proposal=one, tags=[])
            for one in sorted(events)
        ],
    )
    return True


def tell(
    session: Session,
    row: Submission,
    said: Mapping[str, Any],
    key_id: str | None,
    author: str | None,
) -> set[ScanKey] | None:
    """Change a frame's metadata and keep what stood there; None if it says nothing new.

    Returns the scans that it left and came to, which the caller counts anew.
    """
    changes = _changes(row, said)
    if not changes:
        return None
    before = scan_of(row)
    details = dict(row.details)
    for name, (_, after) in changes.items():
        if name in _COLUMNS:
            setattr(row, name, after)
        elif after is None:
            details.pop(name, None)
        else:
            details[name] = after
    row.details = details
    if changes.keys() & {"proposal", "beamline"}:
        row.fingerprint = _free_fingerprint(session, row)
    now = session.scalar(select(Clock())) or 0.0
    session.add(
        MetadataChange(
            submission_id=row.id, key_id=key_id, author=author, changes=changes, time=now
        )
    )
    session.flush()
    after = scan_of(row)
    return set() if after == before else {key for key in (before, after) if key is not None}


def metadata_history(session: Session, frame: FrameRow) -> list[MetadataChangeRow]:
    """All changes of what is told of a frame, oldest first."""
    query = select(MetadataChange).where(MetadataChange.submission_id == frame.submission_id)
    return [
        MetadataChangeRow(to_datetime(row.time), row.author, row.key_id, row.changes)
        for row in session.scalars(query.order_by(MetadataChange.id))
    ]


def _changes(row: Submission, said: Mapping[str, Any]) -> dict[str, list[Any]]:
    """`[before, after]` of each field that becomes something else."""
    said = dict(said)
    # A geometry without the PONI it came from, or the other way round, would contradict itself.
    if "geometry" in said:
        said.setdefault("poni", None)
    found = {}
    for name, value in said.items():
        before = getattr(row, name) if name in _COLUMNS else row.details.get(name)
        after = _merged(before, value) if name in _OWN_KEYS else value
        if after != before:
            found[name] = [before, after]
    return found


def _merged(before: Mapping[str, Any] | None, said: Mapping[str, Any] | None) -> Any:
    if said is None:
        return None
    merged = {**(before or {}), **said}
    return {key: value for key, value in merged.items() if value is not None} or None


def _free_fingerprint(session: Session, row: Submission) -> str:
    """The row's new fingerprint; raises `FrameTakenError` where another row has it."""
    wanted = fingerprint(row.frame_id, row.proposal, row.beamline)
    with session.no_autoflush:
        taken = session.scalar(select(Submission.id).where(Submission.fingerprint == wanted))
    if taken is not None:
        raise FrameTakenError(
            f"Its place would be the proposal {_named(row.proposal)},"
            f" beamline {_named(row.beamline)}."
        )
    return wanted


def _named(name: str | None) -> str:
    return "not told" if name is None else repr(name)
