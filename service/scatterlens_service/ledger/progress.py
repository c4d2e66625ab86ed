"""How far people have come: of the frames that a review queue is drawn from, those judged."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from scatterlens_service.ledger.labels import is_newest
from scatterlens_service.ledger.records import Principal
from scatterlens_service.ledger.review import Doubt, review_query
from scatterlens_service.ledger.tables import Annotation, Label, Spread
from scatterlens_service.ledger.visibility import frame_is_visible, label_is_visible

COUNTED = 10_000
"""Frames are counted up to here: nobody reviews more, and a count of all reads all."""


@dataclass(frozen=True)
class ReviewCount:
    """Frames of a queue."""

    judged: int | None
    """By the caller; None where a frame leaves the queue for good once it is settled."""
    frames: int
    """At most `COUNTED`."""


def count_review(
    session: Session,
    doubt: Doubt,
    caller: Principal,
    *,
    model_version: str,
    attribute: str | None = None,
) -> ReviewCount:
    """Count the frames that a queue is drawn from and `caller` may see."""
    if doubt == "model_vs_human":
        query, _, frame_id = review_query(doubt, caller, model_version, attribute)
        return ReviewCount(None, _count(session, query.where(frame_is_visible(frame_id, caller))))
    if doubt == "disagreement":
        drawn = select(Spread.frame_id).distinct()
        if attribute is not None:
            drawn = drawn.where(Spread.attribute == attribute)
        frame_id = Spread.frame_id
    else:
        drawn = select(Annotation.frame_id).where(Annotation.model_version == model_version)
        if doubt == "novel":
            drawn = drawn.where(Annotation.novelty.is_not(None))
        frame_id = Annotation.frame_id
    frames = _count(session, drawn.where(frame_is_visible(frame_id, caller)))
    return ReviewCount(_judged(session, drawn, frame_id, caller, attribute), frames)


def _count(session: Session, query: Any) -> int:
    return session.scalar(select(func.count()).select_from(query.limit(COUNTED).subquery())) or 0


def _judged(
    session: Session, drawn: Any, frame_id: Any, caller: Principal, attribute: str | None
) -> int:
    said = select(func.count(Label.frame_id.distinct())).where(
        Label.person == caller.person,
        Label.value.is_not(None),
        is_newest(Label),
        label_is_visible(Label, caller),
        exists(drawn.where(frame_id == Label.frame_id).correlate(Label)),
    )
    if attribute is not None:
        said = said.where(Label.attribute == attribute)
    return session.scalar(said) or 0
