"""Queues of frames that a person should look at, the most doubtful first.

A frame stands in a queue once, for the attribute over which the doubt is greatest. Frames that the
one who asks has judged are left out (for that attribute; of the novel ones, for any), but not where
the model contradicts people: there one's own label may be what is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, String, and_, case, exists, func, null, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.functions import FunctionElement

from scatterlens_service.ledger.frames import get_frames
from scatterlens_service.ledger.labels import is_judged, is_newest
from scatterlens_service.ledger.records import FrameRow, Principal
from scatterlens_service.ledger.tables import Annotation, Label, Score, Spread
from scatterlens_service.ledger.visibility import frame_is_visible, label_is_visible

Doubt = Literal["uncertain", "disagreement", "model_vs_human", "novel"]


@dataclass(frozen=True)
class ReviewRow:
    """A frame in a queue, and what put it there."""

    frame: FrameRow
    attribute: str | None
    """None where the frame as a whole is meant."""
    figure: float
    """0 to 1, what the queue is ordered by."""


@dataclass(frozen=True)
class ReviewRows:
    """One page of a queue, the greatest doubt first."""

    items: tuple[ReviewRow, ...]
    following: tuple[float, str] | None
    """Give it back as `after` for the next page."""


def list_review(
    session: Session,
    doubt: Doubt,
    caller: Principal,
    *,
    model_version: str,
    attribute: str | None = None,
    after: tuple[float, str] | None = None,
    limit: int = 50,
) -> ReviewRows:
    """One page of a queue, of the frames that `caller` may see.

    `model_version` is the model whose answers are doubted; the disagreement is that of all models
    that annotated a frame.
    """
    query, figure, frame_id = review_query(doubt, caller, model_version, attribute)
    query = query.where(frame_is_visible(frame_id, caller))
    if after is not None:
        # The first condition alone bounds the index.
        query = query.where(figure <= after[0], or_(figure < after[0], frame_id > after[1]))
    found = session.execute(query.order_by(figure.desc(), frame_id).limit(limit + 1)).all()
    page = found[:limit]
    frames = get_frames(
        session, [row.frame_id for row in page], production=model_version, sees=caller
    )
    items = tuple(ReviewRow(frames[row.frame_id], row.attribute, row.figure) for row in page)
    more = len(found) > limit
    return ReviewRows(items, (page[-1].figure, page[-1].frame_id) if more else None)


_Query = tuple[Any, Any, Any]
"""What to select, its figure, its frame."""


def review_query(
    doubt: Doubt, caller: Principal, model_version: str, attribute: str | None
) -> _Query:
    """Select the frames of a queue with attribute and figure, in no order."""
    return _QUERIES[doubt](caller, model_version, attribute)


class _Unindexed(FunctionElement[str]):
    """A column whose index SQLite shall not use: it would read all frames, then sort them."""

    type = String()
    inherit_cache = True


@compiles(_Unindexed)
def _plain(element: Any, compiler: Any, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_Unindexed, "sqlite")
def _with_plus(element: Any, compiler: Any, **options: Any) -> str:
    return "+" + compiler.process(element.clauses, **options)


def _uncertain(caller: Principal, model_version: str, attribute: str | None) -> _Query:
    query = (
        select(
            Annotation.frame_id.label("frame_id"),
            Score.attribute.label("attribute"),
            Score.uncertainty.label("figure"),
        )
        .join(Annotation, Annotation.id == Score.annotation_id)
        .where(
            _Unindexed(Annotation.model_version) == model_version,
            ~is_judged(Annotation.frame_id, caller, Score.attribute),
        )
    )
    if attribute is not None:
        query = query.where(Score.attribute == attribute)
    else:
        other = aliased(Score)
        query = query.where(
            ~exists().where(
                other.annotation_id == Score.annotation_id,
                _stands_before(
                    (other.uncertainty, other.attribute), (Score.uncertainty, Score.attribute)
                ),
                ~is_judged(Annotation.frame_id, caller, other.attribute),
            )
        )
    return query, Score.uncertainty, Annotation.frame_id


def _disagreement(caller: Principal, _model_version: str, attribute: str | None) -> _Query:
    query = select(
        Spread.frame_id.label("frame_id"),
        Spread.attribute.label("attribute"),
        Spread.spread.label("figure"),
    ).where(~is_judged(Spread.frame_id, caller, Spread.attribute))
    if attribute is not None:
        query = query.where(Spread.attribute == attribute)
    else:
        other = aliased(Spread)
        query = query.where(
            ~exists().where(
                other.frame_id == Spread.frame_id,
                _stands_before((other.spread, other.attribute), (Spread.spread, Spread.attribute)),
                ~is_judged(other.frame_id, caller, other.attribute),
            )
        )
    return query, Spread.spread, Spread.frame_id


def _stands_before(other: tuple[Any, Any], this: tuple[Any, Any]) -> ColumnElement[bool]:
    """Condition on figure and attribute: of one frame's attributes the other comes first."""
    return or_(other[0] > this[0], and_(other[0] == this[0], other[1] < this[1]))


def _model_vs_human(caller: Principal, model_version: str, attribute: str | None) -> _Query:
    vote = case((Label.value == "present", 1), (Label.value == "absent", -1), else_=0)
    said = select(Label.frame_id, Label.attribute, func.sum(vote).label("votes")).where(
        Label.value.is_not(None), is_newest(Label), label_is_visible(Label, caller)
    )
    if attribute is not None:
        said = said.where(Label.attribute == attribute)
    # People agree or differ within a proposal; of several, the sharpest contradiction counts.
    people = said.group_by(Label.frame_id, Label.attribute, Label.proposal).subquery()
    figure = case((people.c.votes > 0, 1 - Score.probability), else_=Score.probability)
    rank = func.row_number().over(
        partition_by=people.c.frame_id, order_by=(figure.desc(), people.c.attribute)
    )
    contradicted = (
        select(
            people.c.frame_id,
            people.c.attribute,
            figure.label("figure"),
            rank.label("rank"),
        )
        .join(
            Annotation,
            and_(
                Annotation.frame_id == people.c.frame_id,
                Annotation.model_version == model_version,
            ),
        )
        .join(
            Score,
            and_(Score.annotation_id == Annotation.id, Score.attribute == people.c.attribute),
        )
        .where(
            or_(
                and_(people.c.votes > 0, ~Score.tag),
                and_(people.c.votes < 0, Score.tag),
            )
        )
        .subquery()
    )
    rows = contradicted.c
    query = select(rows.frame_id, rows.attribute, rows.figure).where(rows.rank == 1)
    return query, rows.figure, rows.frame_id


def _novel(caller: Principal, model_version: str, attribute: str | None) -> _Query:
    query = select(
        Annotation.frame_id.label("frame_id"),
        null().label("attribute"),
        Annotation.novelty.label("figure"),
    ).where(
        Annotation.model_version == model_version,
        Annotation.novelty.is_not(None),
        ~is_judged(Annotation.frame_id, caller, attribute),
    )
    return query, Annotation.novelty, Annotation.frame_id


_QUERIES: dict[Doubt, Callable[[Principal, str, str | None], _Query]] = {
    "uncertain": _uncertain,
    "disagreement": _disagreement,
    "model_vs_human": _model_vs_human,
    "novel": _novel,
}
