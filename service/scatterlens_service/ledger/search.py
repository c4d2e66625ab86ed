"""Finding frames: filters, keyset pages newest first, and one frame by its id."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from scatterlens.schemas import State
from scatterlens_service.ledger.labels import is_labelled
from scatterlens_service.ledger.records import FrameRow, FrameRows, Principal, to_datetime
from scatterlens_service.ledger.tables import Annotation, Frame, Job, Score, Submission
from scatterlens_service.ledger.visibility import submission_is_visible

_TERM = re.compile(r"(?P<attribute>[a-z][a-z0-9_]*)\s*(?:(?P<sign>>=?|<=?)\s*(?P<value>\S+))?")


class BadFilterError(ValueError):
    """A filter that cannot be read; the message shows one that can."""


@dataclass(frozen=True)
class TagTerm:
    """`ring` (tagged), or a comparison of its probability such as `ring>0.8`."""

    attribute: str
    sign: str | None = None
    value: float | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `ring`, `ring>0.8`, `ring>=0.8`, `ring<0.2` or `ring<=0.2`.

        Raises:
            BadFilterError: for anything else.
        """
        found = _TERM.fullmatch(text.strip())
        if found is None:
            raise BadFilterError(f"cannot read {text!r}; write `ring`, `ring>0.8` or `ring<0.2`")
        if found["sign"] is None:
            return cls(found["attribute"])
        try:
            value = float(found["value"])
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise BadFilterError(f"{found['value']!r} in {text!r} is no probability (0 to 1)")
        return cls(found["attribute"], found["sign"], value)


@dataclass(frozen=True)
class FrameFilter:
    """What to look for; empty fields do not narrow."""

    tags: Sequence[TagTerm] = ()
    """All of them hold."""
    without: Sequence[TagTerm] = ()
    """None of them holds; frames without an annotation are not meant."""
    proposal: str | None = None
    beamline: str | None = None
    scan: str | None = None
    sample: str | None = None
    """Part of the sample's name, in any case."""
    since: datetime | None = None
    state: State | None = None
    labelled: bool | None = None
    """Somebody labels it now, or nobody does."""


def list_frames(
    session: Session,
    wanted: FrameFilter,
    *,
    production: str,
    sees: Principal | None = None,
    before: int | None = None,
    limit: int = 50,
) -> FrameRows:
    """One page of frames, newest submission first; a frame sent often appears once.

    `production` is the model version whose tags are meant; `before` comes from the page before.
    """
    newer = aliased(Submission)
    query = _rows(production).where(
        sent_as(Submission, wanted, sees),
        ~exists().where(
            newer.frame_id == Submission.frame_id,
            newer.id > Submission.id,
            sent_as(newer, wanted, sees),
        ),
    )
    for term in wanted.tags:
        query = query.where(_holds(term))
    if wanted.without:
        query = query.where(Annotation.id.is_not(None))
    for term in wanted.without:
        query = query.where(~_holds(term))
    if wanted.state is not None:
        query = query.where(Job.state == wanted.state)
    if wanted.labelled is not None:
        labelled = is_labelled(Submission.frame_id)
        query = query.where(labelled if wanted.labelled else ~labelled)
    if before is not None:
        query = query.where(Submission.id < before)
    found = session.execute(query.order_by(Submission.id.desc()).limit(limit + 1)).all()
    rows = _with_tags(session, found[:limit])
    return FrameRows(rows, rows[-1].submission_id if len(found) > limit else None)


def get_frame(
    session: Session, frame_id: str, *, production: str, sees: Principal | None = None
) -> FrameRow | None:
    """A frame as its newest visible submission; None if there is none for `sees`."""
    row = session.execute(
        _rows(production)
        .where(Submission.frame_id == frame_id, submission_is_visible(Submission, sees))
        .order_by(Submission.id.desc())
        .limit(1)
    ).first()
    return None if row is None else _with_tags(session, [row])[0]


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


def sent_as(submission: Any, wanted: FrameFilter, sees: Principal | None) -> ColumnElement[bool]:
    """Condition on (an alias of) `Submission`: who sent it, when, and as what."""
    condition = submission_is_visible(submission, sees)
    for name in ("proposal", "beamline", "scan"):
        value = getattr(wanted, name)
        if value is not None:
            condition &= getattr(submission, name) == value
    if wanted.sample is not None:
        condition &= func.lower(submission.sample).contains(wanted.sample.lower(), autoescape=True)
    if wanted.since is not None:
        condition &= submission.time >= wanted.since.timestamp()
    return condition


def _holds(term: TagTerm) -> ColumnElement[bool]:
    match term.sign:
        case ">":
            condition = Score.probability > term.value
        case ">=":
            condition = Score.probability >= term.value
        case "<":
            condition = Score.probability < term.value
        case "<=":
            condition = Score.probability <= term.value
        case _:
            condition = Score.tag
    return exists().where(
        Score.annotation_id == Annotation.id, Score.attribute == term.attribute, condition
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
            header=frame.header or {},
            file_geometry=frame.geometry,
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
