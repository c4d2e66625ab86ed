"""Deleting a frame: everything about it goes, and who wanted that and why stays."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.events import add_events
from scatterlens_service.ledger.records import Principal, to_datetime
from scatterlens_service.ledger.removal_tables import Tombstone
from scatterlens_service.ledger.removals import BLOBS, RENDERS, add_removals, own_files
from scatterlens_service.ledger.scan_counts import recount, scan_of
from scatterlens_service.ledger.search_tables import Finding, FrameFeatures
from scatterlens_service.ledger.tables import (
    Annotation,
    Event,
    Frame,
    Job,
    Label,
    MetadataChange,
    Score,
    Spread,
    Submission,
)


class LabelledError(ValueError):
    """People have labelled the frame: say a second time that their labels may go."""

    def __init__(self, labels: int, authors: list[str]) -> None:
        super().__init__(
            f"{', '.join(authors)} made {labels} entries over this frame, which would go with it"
        )
        self.labels = labels


@dataclass(frozen=True)
class TombstoneRow:
    """A frame that was deleted."""

    id: int
    frame_id: str
    filename: str | None
    labels: int
    reason: str
    by: str
    time: datetime


def delete_frame(
    session: Session, frame_id: str, by: Principal, reason: str, *, with_labels: bool
) -> TombstoneRow | None:
    """Delete a frame with all that is said about it; None if there is none of this id.

    Its files are to be removed after the commit. It must be the last thing a transaction does.

    Raises:
        LabelledError: people said something about it, and `with_labels` is not set.
    """
    own_files(session)
    frame = session.get(Frame, frame_id, with_for_update=True)
    if frame is None:
        return None
    authors = session.scalars(select(Label.author).where(Label.frame_id == frame_id)).all()
    if authors and not with_labels:
        raise LabelledError(len(authors), sorted(set(authors)))
    sent = session.scalars(
        select(Submission).where(Submission.frame_id == frame_id).order_by(Submission.id)
    ).all()
    seen_as = sorted({(one.proposal or "", one.beamline or "") for one in sent})
    scans = {key for one in sent if (key := scan_of(one)) is not None}
    blobs = session.scalars(select(Annotation.blob).where(Annotation.frame_id == frame_id)).all()
    drawn = session.scalars(
        select(Job.blob).where(Job.frame_id == frame_id, Job.kind == "render")
    ).all()
    stone = Tombstone(
        frame_id=frame_id,
        filename=sent[-1].filename if sent else None,
        labels=len(authors),
        reason=reason,
        by=by.name,
        key_id=by.key_id,
        time=session.scalar(select(Clock())) or 0.0,
    )
    add_removals(session, BLOBS, [frame.sha256, *blobs])
    add_removals(session, RENDERS, [blob for blob in drawn if blob is not None])
    _delete_rows(session, frame_id)
    recount(session, scans)
    session.add(stone)
    session.flush()
    # Of no row any more, so the event itself says whose frame it was.
    told = {"frame_id": frame_id, "seen_as": seen_as}
    add_events(session, [Event(kind="deleted", frame_id=None, tags=[], details=told)])
    return _record(stone)


def find_tombstone(session: Session, frame_id: str) -> TombstoneRow | None:
    """The newest deletion of a frame; None where it was never deleted."""
    row = session.scalar(
        select(Tombstone).where(Tombstone.frame_id == frame_id).order_by(Tombstone.id.desc())
    )
    return None if row is None else _record(row)


def list_tombstones(session: Session, before: int | None, limit: int) -> list[TombstoneRow]:
    """Deletions with ids below `before`, newest first."""
    query = select(Tombstone).order_by(Tombstone.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Tombstone.id < before)
    return [_record(row) for row in session.scalars(query)]


def _delete_rows(session: Session, frame_id: str) -> None:
    def where_frame(table: Any) -> Any:
        return delete(table).where(table.frame_id == frame_id)

    annotations = select(Annotation.id).where(Annotation.frame_id == frame_id)
    versions = select(Annotation.model_version).where(Annotation.frame_id == frame_id)
    submissions = select(Submission.id).where(Submission.frame_id == frame_id)
    for statement in (
        delete(Finding).where(
            Finding.model_version.in_(versions), Finding.submission_id.in_(submissions)
        ),
        delete(MetadataChange).where(MetadataChange.submission_id.in_(submissions)),
        delete(FrameFeatures).where(FrameFeatures.annotation_id.in_(annotations)),
        delete(Score).where(Score.annotation_id.in_(annotations)),
        *map(where_frame, (Spread, Label, Annotation, Job, Event, Submission)),
        delete(Frame).where(Frame.id == frame_id),
    ):
        session.execute(statement.execution_options(synchronize_session=False))
    session.expire_all()


def _record(row: Tombstone) -> TombstoneRow:
    time = to_datetime(row.time)
    return TombstoneRow(row.id, row.frame_id, row.filename, row.labels, row.reason, row.by, time)
