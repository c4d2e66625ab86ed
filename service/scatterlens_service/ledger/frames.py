"""Frames as they are told within proposals: one by its id, or many by theirs."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from scatterlens.schemas import State
from scatterlens_service.ledger.records import FrameRow, Principal, to_datetime
from scatterlens_service.ledger.tables import Annotation, Frame, Job, Score, Submission
from scatterlens_service.ledger.visibility import is_named, submission_is_visible


def get_frame(
    session: Session,
    frame_id: str,
    *,
    production: str,
    sees: Principal | None = None,
    proposal: str | None = None,
    beamline: str | None = None,
) -> FrameRow | None:
    """A frame as its newest visible submission; None if there is none for `sees`.

    A proposal and a beamline name the one that is meant of several, empty where none was told.
    """
    rows = _rows(production).where(
        Submission.frame_id == frame_id, submission_is_visible(Submission, sees)
    )
    for column, named in ((Submission.proposal, proposal), (Submission.beamline, beamline)):
        if named is not None:
            rows = rows.where(is_named(column, named))
    row = session.execute(rows.order_by(Submission.id.desc()).limit(1)).first()
    return None if row is None else _with_tags(session, [row])[0]


def read_again(session: Session, frame: FrameRow, production: str) -> FrameRow | None:
    """The same frame, told within the same proposal, as it stands now; None if it is gone."""
    row = session.execute(
        _rows(production).where(
            Submission.id == frame.submission_id, Submission.frame_id == frame.frame_id
        )
    ).first()
    return None if row is None else _with_tags(session, [row])[0]


def places_of(
    session: Session, frame_id: str, sees: Principal | None
) -> list[tuple[str | None, str | None]]:
    """Proposals and beamlines within which a frame may be seen, the newest first."""
    found = select(Submission.proposal, Submission.beamline).where(
        Submission.frame_id == frame_id, submission_is_visible(Submission, sees)
    )
    rows = session.execute(found.order_by(Submission.id.desc()))
    return [(proposal, beamline) for proposal, beamline in rows]


def get_frames(
    session: Session,
    frame_ids: Collection[str],
    *,
    production: str,
    sees: Principal | None = None,
) -> dict[str, FrameRow]:
    """Frames as their newest visible submissions; those that `sees` may not see are absent."""
    newer = aliased(Submission)
    found = session.execute(
        _rows(production).where(
            Submission.frame_id.in_(frame_ids),
            submission_is_visible(Submission, sees),
            ~exists().where(
                newer.frame_id == Submission.frame_id,
                newer.id > Submission.id,
                submission_is_visible(newer, sees),
            ),
        )
    ).all()
    return {row.frame_id: row for row in _with_tags(session, found)}


def frames_within(
    session: Session,
    wanted: Collection[tuple[str, str]],
    *,
    production: str,
    sees: Principal | None = None,
) -> dict[tuple[str, str], FrameRow]:
    """Frames, each within a proposal (`FrameRow.within`), as their newest visible submissions."""
    newer, own = aliased(Submission), func.coalesce(Submission.proposal, "")
    found = session.execute(
        _rows(production).where(
            Submission.frame_id.in_({frame_id for frame_id, _ in wanted}),
            submission_is_visible(Submission, sees),
            ~exists().where(
                newer.frame_id == Submission.frame_id,
                newer.id > Submission.id,
                func.coalesce(newer.proposal, "") == own,
                submission_is_visible(newer, sees),
            ),
        )
    ).all()
    return {(row.frame_id, row.within): row for row in _with_tags(session, found)}


def frames_as_sent(
    session: Session, submission_ids: Sequence[int], production: str
) -> tuple[FrameRow, ...]:
    """Frames as these submissions show them, in this order."""
    found = session.execute(_rows(production).where(Submission.id.in_(submission_ids))).all()
    rows = {row.submission_id: row for row in _with_tags(session, found)}
    return tuple(rows[submission_id] for submission_id in submission_ids)


def _rows(production: str):
    return (
        select(Submission, Frame, Job.state, Annotation)
        .join(Frame, Frame.id == Submission.frame_id)
        .outerjoin(
            Job,
            and_(
                Job.frame_id == Frame.id,
                Job.kind == "annotate",
                Job.model_version == production,
            ),
        )
        .outerjoin(
            Annotation,
            and_(Annotation.frame_id == Frame.id, Annotation.model_version == production),
        )
    )


def _with_tags(session: Session, rows: Sequence[Any]) -> tuple[FrameRow, ...]:
    annotations = [annotation.id for _, _, _, annotation in rows if annotation is not None]
    tags: dict[int, list[str]] = {}
    for annotation_id, attribute in session.execute(
        select(Score.annotation_id, Score.attribute)
        .where(Score.annotation_id.in_(annotations), Score.tag)
        .order_by(Score.annotation_id, Score.position)
    ):
        tags.setdefault(annotation_id, []).append(attribute)
    return tuple(
        FrameRow(
            submission_id=submission.id,
            frame_id=frame.id,
            sha256=frame.sha256,
            index=frame.index,
            format=frame.format,
            size_bytes=frame.size_bytes,
            shape=None if frame.height is None else (frame.height, frame.width),
            detector=frame.detector,
            header=frame.header or {},
            file_geometry=frame.geometry,
            file_motors=frame.motors or {},
            filename=submission.filename,
            submitted=to_datetime(submission.time),
            proposal=submission.proposal,
            beamline=submission.beamline,
            scan=submission.scan,
            sample=submission.sample,
            frame_number=submission.frame_number,
            technique=submission.technique,
            details=submission.details,
            # Sent before this model was active, and not asked for since.
            state=State.CANCELLED if state is None else State(state),
            tags=() if annotation is None else tuple(tags.get(annotation.id, ())),
            novelty=None if annotation is None else annotation.novelty,
        )
        for submission, frame, state, annotation in rows
    )
