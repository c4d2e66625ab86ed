"""What is old enough to be removed, of frames that nobody ever labelled.

A frame that anybody said anything about, if only to withdraw it, is never touched; nor is one that
somebody works on.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from scatterlens.schemas import State
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.removals import BLOBS, RENDERS, add_removals, own_files
from scatterlens_service.ledger.tables import Annotation, Frame, Job, Label

Part = Literal["preview", "maps"]


@dataclass(frozen=True)
class OldFile:
    """A file of frames that are old enough."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class OldAnnotation:
    """What a model said of a frame long ago, with arrays that are to go."""

    id: int
    frame_id: str
    blob: str


def count_old_files(session: Session, seconds: float) -> tuple[int, int]:
    """How many files of frames are older, and their bytes."""
    old = _old_files(seconds).subquery()
    count, size = session.execute(
        select(func.count(), func.coalesce(func.sum(old.c.size_bytes), 0)).select_from(old)
    ).one()
    return int(count), int(size)


def old_files(session: Session, seconds: float, limit: int) -> list[OldFile]:
    """Some files of frames that are older."""
    rows = session.execute(_old_files(seconds).limit(limit))
    return [OldFile(row.sha256, row.size_bytes) for row in rows]


def remove_raw(session: Session, seconds: float, files: Collection[str]) -> list[OldFile]:
    """Note that these files go, and what was drawn from them; those that may still go are given."""
    own_files(session)
    # Who labels a frame holds its row: what is looked at now stays so until the commit.
    held = select(Frame.id).where(Frame.sha256.in_(files)).order_by(Frame.id).with_for_update()
    frames = session.scalars(held).all()
    rows = session.execute(_old_files(seconds).where(Frame.sha256.in_(files)))
    going = [OldFile(row.sha256, row.size_bytes) for row in rows]
    if not going:
        return []
    names = [one.sha256 for one in going]
    session.execute(
        update(Frame)
        .where(Frame.sha256.in_(names))
        .values(raw_removed=Clock())
        .execution_options(synchronize_session=False)
    )
    drawn = select(Job).where(Job.frame_id.in_(frames), Job.kind == "render")
    gone = set(names)
    for job in session.scalars(drawn):
        if job.frame_id is not None and job.frame_id.partition(".")[0] in gone:
            if job.blob is not None:
                add_removals(session, RENDERS, [job.blob])
            session.delete(job)
    add_removals(session, BLOBS, names)
    return going


def count_old_annotations(session: Session, seconds: float, part: Part) -> int:
    """How many annotations are older and still have this part of their arrays."""
    old = _old_annotations(seconds, part).subquery()
    return session.scalar(select(func.count()).select_from(old)) or 0


def old_annotations(
    session: Session, seconds: float, part: Part, after: int, limit: int
) -> list[OldAnnotation]:
    """Some annotations with ids above `after` that are older, by id."""
    query = _old_annotations(seconds, part).where(Annotation.id > after)
    rows = session.execute(query.order_by(Annotation.id).limit(limit))
    return [OldAnnotation(row.id, row.frame_id, row.blob) for row in rows]


def replace_arrays(
    session: Session, old: OldAnnotation, blob: str, seconds: float, parts: Sequence[Part]
) -> bool:
    """Let an annotation name the arrays that are left; False where it may no longer be touched."""
    session.execute(select(Frame.id).where(Frame.id == old.frame_id).with_for_update())
    wanted = (Annotation.id == old.id, Annotation.blob == old.blob)
    for part in parts:
        query = _old_annotations(seconds, part).where(*wanted)
        if session.execute(query).first() is None:
            return False
    session.execute(
        update(Annotation)
        .where(*wanted)
        .values(blob=blob, **{f"{part}_removed": Clock() for part in parts})
        .execution_options(synchronize_session=False)
    )
    if blob != old.blob:
        add_removals(session, BLOBS, [old.blob])
    return True


def is_raw_removed(session: Session, frame_id: str) -> bool:
    """Whether retention removed the file of a frame."""
    removed = select(Frame.id).where(Frame.id == frame_id, Frame.raw_removed.is_not(None))
    return session.scalar(removed) is not None


def _old_files(seconds: float) -> Any:
    other = aliased(Frame)
    kept = exists().where(
        other.sha256 == Frame.sha256,
        or_(
            ~_is_older(func.coalesce(other.raw_kept, other.created), seconds),
            _is_needed(other.id),
        ),
    )
    return (
        select(Frame.sha256, func.max(Frame.size_bytes).label("size_bytes"))
        .where(Frame.raw_removed.is_(None), ~kept)
        .group_by(Frame.sha256)
        .order_by(Frame.sha256)
    )


def _old_annotations(seconds: float, part: Part) -> Any:
    removed = Annotation.preview_removed if part == "preview" else Annotation.maps_removed
    return select(Annotation.id, Annotation.frame_id, Annotation.blob).where(
        removed.is_(None), _is_older(Annotation.time, seconds), ~_is_needed(Annotation.frame_id)
    )


def _is_older(time: Any, seconds: float) -> ColumnElement[bool]:
    return time < Clock() - seconds


def _is_needed(frame_id: Any) -> ColumnElement[bool]:
    """Condition: somebody said something about a frame, or works on it."""
    at_work = and_(Job.frame_id == frame_id, Job.state.in_([State.QUEUED, State.LEASED]))
    return or_(exists().where(Label.frame_id == frame_id), exists().where(at_work))
