"""What a filter asks of a frame, as conditions of SQL."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal, not_, or_, select, true
from sqlalchemy.orm import Session

from scatterlens.schemas import State
from scatterlens_service.ledger.findings import pack_number
from scatterlens_service.ledger.labels import is_labelled
from scatterlens_service.ledger.query import Both, Bound, Condition, Either, Not
from scatterlens_service.ledger.records import Principal
from scatterlens_service.ledger.search_tables import Finding
from scatterlens_service.ledger.tables import Annotation, Frame, Job, Label, Score, Spread
from scatterlens_service.ledger.tables import Submission as _Submission
from scatterlens_service.ledger.visibility import is_named, submission_is_visible

FEW = 1_000
"""Frames that are looked up one by one rather than met on a walk."""
_SINGLE_PRECISION = 1e-7
"""By how much a probability may change when it becomes a float32."""


def sent_as(
    submission: Any, wanted: Any, sees: Principal | None, *, only_indexed: bool = False
) -> ColumnElement[bool]:
    """Condition on (an alias of) `Submission`: who sent it, when, and as what.

    `only_indexed` leaves out what no index tells.
    """
    condition = submission_is_visible(submission, sees)
    for name in ("proposal", "beamline", "scan"):
        value = getattr(wanted, name)
        if value is not None:
            condition &= is_named(getattr(submission, name), value)
    if only_indexed:
        return condition
    if wanted.technique is not None:
        condition &= func.lower(submission.technique) == wanted.technique.lower()
    if wanted.sample is not None:
        condition &= func.lower(submission.sample).contains(wanted.sample.lower(), autoescape=True)
    if wanted.since is not None:
        condition &= submission.time >= wanted.since.timestamp()
    if wanted.until is not None:
        condition &= submission.time < wanted.until.timestamp()
    return condition


def with_findings(wanted: Any) -> bool:
    """Whether `fits` speaks of `Finding`, which the query must join then."""
    return any(one is not None for one in (wanted.query, wanted.uncertain, wanted.novel))


def fits(wanted: Any, version: str) -> ColumnElement[bool]:
    """Condition on `Submission` and `Finding`: what the models, people and the queue say."""
    parts: list[ColumnElement[bool]] = []
    if wanted.query is not None:
        parts.append(_holds(wanted.query))
    if wanted.uncertain is not None:
        parts.append(Finding.uncertainty >= wanted.uncertain)
    if wanted.novel is not None:
        parts.append(Finding.novelty >= wanted.novel)
    if wanted.state is not None:
        parts.append(
            exists().where(
                Job.frame_id == _Submission.frame_id,
                Job.kind == "annotate",
                Job.model_version == version,
                Job.state == wanted.state,
            )
        )
    if wanted.labelled is not None:
        labelled = is_labelled(_Submission.frame_id, _Submission.proposal)
        parts.append(labelled if wanted.labelled else ~labelled)
    if wanted.disagreeing is not None:
        parts.append(
            exists().where(
                Spread.frame_id == _Submission.frame_id, Spread.spread >= wanted.disagreeing
            )
        )
    if wanted.detector is not None:
        name = func.lower(Frame.detector)
        named = name.contains(wanted.detector.lower(), autoescape=True)
        parts.append(exists().where(Frame.id == _Submission.frame_id, named))
    return and_(true(), *parts)


def _holds(condition: Condition) -> ColumnElement[bool]:
    match condition:
        case Both(parts):
            return and_(*map(_holds, parts))
        case Either(parts):
            return or_(*map(_holds, parts))
        case Not(part):
            return not_(_holds(part))
        case Bound(_, position, sign, value):
            found = func.substr(Finding.probabilities, 4 * position + 1, 4)
            bound = literal(pack_number(value))
            match sign:
                case ">":
                    return found > bound
                case ">=":
                    return found >= bound
                case "<":
                    return found < bound
                case _:
                    return found <= bound


def few_frames(session: Session, wanted: Any, version: str) -> Sequence[str] | None:
    """Ids of all frames that can fit at most, if one part of the filter alone leaves few."""
    for bound in _required(wanted.query):
        scores = select(Score.annotation_id).where(
            Score.attribute == bound.attribute,
            Score.probability >= bound.value - _SINGLE_PRECISION,
        )
        found = session.scalars(scores.limit(FEW + 1)).all()
        if len(found) <= FEW:
            of_frame = select(Annotation.frame_id).where(Annotation.id.in_(found))
            return session.scalars(of_frame).all()
    for query in _of_frames(wanted, version):
        found = session.scalars(query.limit(FEW + 1)).all()
        if len(found) <= FEW:
            return found
    return None


def _of_frames(wanted: Any, version: str) -> Iterator[Any]:
    if wanted.labelled:
        yield select(Label.frame_id)
    if wanted.disagreeing is not None:
        yield select(Spread.frame_id).where(Spread.spread >= wanted.disagreeing)
    if wanted.state not in (None, State.DONE):
        yield select(Job.frame_id).where(
            Job.state == wanted.state, Job.kind == "annotate", Job.model_version == version
        )


def _required(condition: Condition | None) -> Iterator[Bound]:
    """Lower bounds without which the condition cannot hold."""
    match condition:
        case Both(parts):
            for part in parts:
                yield from _required(part)
        case Bound(sign=">" | ">="):
            yield condition
