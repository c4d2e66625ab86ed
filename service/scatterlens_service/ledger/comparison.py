"""Two models on the frames that both annotated: where they say the same, and where not."""

from dataclasses import dataclass

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session, aliased

from scatterlens_service.ledger.records import Principal
from scatterlens_service.ledger.tables import Annotation, Score
from scatterlens_service.ledger.visibility import frame_is_visible

COMPARED = 2000
"""Newest frames that are looked at: enough for a share to a percent, and read in a blink."""


@dataclass(frozen=True)
class ComparisonRow:
    """One attribute by two models, over the frames that both annotated."""

    attribute: str
    frames: int
    both: int
    """Frames that both tag."""
    first: int
    """Frames that the first alone tags."""
    second: int
    difference: float
    """Mean of the first's probability minus the second's."""
    distance: float
    """Mean of the difference without its sign."""


def compare_models(
    session: Session, first: str, second: str, sees: Principal
) -> list[ComparisonRow]:
    """Compare two versions on the newest frames that both annotated, by attributes both know."""
    a, b = aliased(Annotation), aliased(Annotation)
    pairs = (
        select(a.id.label("first"), b.id.label("second"))
        .join(b, and_(b.frame_id == a.frame_id, b.model_version == second))
        .where(a.model_version == first, frame_is_visible(a.frame_id, sees))
        .order_by(a.id.desc())
        .limit(COMPARED)
        .subquery()
    )
    s, t = aliased(Score), aliased(Score)
    query = (
        select(
            s.attribute,
            func.count(),
            func.sum(case((and_(s.tag, t.tag), 1), else_=0)),
            func.sum(case((and_(s.tag, ~t.tag), 1), else_=0)),
            func.sum(case((and_(~s.tag, t.tag), 1), else_=0)),
            func.avg(s.probability - t.probability),
            func.avg(func.abs(s.probability - t.probability)),
        )
        .select_from(pairs)
        .join(s, s.annotation_id == pairs.c.first)
        .join(t, and_(t.annotation_id == pairs.c.second, t.attribute == s.attribute))
        .group_by(s.attribute)
        .order_by(func.min(s.position))
    )
    return [ComparisonRow(*row) for row in session.execute(query)]
