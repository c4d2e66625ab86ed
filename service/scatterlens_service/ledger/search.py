"""Finding frames: filters, orders, and pages whose cost is bounded.

A search walks along an index in portions and looks which frames of each fit. It ends with a full
page, or when its time is over: then the page is short and the next one goes on where it stopped.
No filter, however rare what it asks for, can therefore hold the database. Where one part of it
alone leaves few frames in the whole ledger, these are taken from its own index instead.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from scatterlens.schemas import State
from scatterlens_service.ledger.conditions import (
    FEW,
    few_frames,
    fits,
    sent_as,
    with_findings,
)
from scatterlens_service.ledger.findings import unpack_probability
from scatterlens_service.ledger.frames import frames_as_sent
from scatterlens_service.ledger.query import Condition
from scatterlens_service.ledger.records import FrameRows, Place, Principal
from scatterlens_service.ledger.search_tables import Finding
from scatterlens_service.ledger.tables import Annotation, Score, Submission

_FIRST_PORTION = 500
_LAST_PORTION = 20_000
_PAGE_SECONDS = 0.08
_COUNT_SECONDS = 0.4
_DISORDER = 10_000
"""By how many ids the times of submissions that come at once may be out of order."""


@dataclass(frozen=True)
class FrameFilter:
    """What to look for; empty fields do not narrow."""

    query: Condition | None = None
    """About the attributes; frames without an annotation are not meant."""
    proposal: str | None = None
    beamline: str | None = None
    scan: str | None = None
    technique: str | None = None
    detector: str | None = None
    """Part of the detector's name, in any case; so is the sample's."""
    sample: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: State | None = None
    labelled: bool | None = None
    """Somebody labels it now, or nobody does."""
    uncertain: float | None = None
    """Some attribute's uncertainty is at least this; 1 is at the threshold."""
    disagreeing: float | None = None
    """The models differ by at least this over some attribute."""
    novel: float | None = None
    """The novelty is at least this."""


@dataclass(frozen=True)
class Order:
    """What comes first. `frame_number` is meant within a scan; frames without one are left out."""

    by: Literal["newest", "oldest", "frame_number", "novelty", "probability"] = "newest"
    attribute: str | None = None
    position: int = 0
    """Of the attribute in the vocabulary, where the order is that of its probability."""
    backwards: bool = False
    """From its last frame to its first."""

    @property
    def rises(self) -> bool:
        """Whether what it goes by grows along it: the id, the number or the figure."""
        return (self.by in ("oldest", "frame_number")) is not self.backwards


NEWEST = Order()


@dataclass(frozen=True)
class _Search:
    """One question to the ledger."""

    session: Session
    wanted: FrameFilter
    version: str
    sees: Principal | None
    order: Order
    lowest: int | None = None
    """Submissions before this one were made too early, those after `highest` too late."""
    highest: int | None = None


@dataclass(frozen=True)
class _Hit:
    submission_id: int
    frame_id: str
    place: Place


@dataclass(frozen=True)
class _Portion:
    hits: Sequence[_Hit]
    """In their order; not all of them may be there if there are as many as were wanted."""
    end: Place | None
    """Where the next portion begins; None if this was the last."""


@dataclass
class _Clock:
    """How long a search may go on, and how much it looks at in one step."""

    seconds: float
    portion: int = _FIRST_PORTION
    started: float = field(default_factory=time.monotonic)

    def go_on(self) -> bool:
        return time.monotonic() - self.started < self.seconds

    def adapt(self, took: float) -> None:
        """Four times as much next time where that will end in time."""
        left = self.seconds - (time.monotonic() - self.started)
        factor = max(0.25, min(4.0, left / 2 / max(took, 1e-4)))
        self.portion = max(_FIRST_PORTION, min(_LAST_PORTION, int(self.portion * factor)))


def list_frames(
    session: Session,
    wanted: FrameFilter,
    *,
    production: str,
    sees: Principal | None = None,
    order: Order = NEWEST,
    after: Place | None = None,
    beyond: str | None = None,
    limit: int = 50,
) -> FrameRows:
    """One page of frames; each stands there once, as its newest submission that fits.

    `production` is the model version whose answers are meant; `after` comes from the page before.
    The first page may begin beyond a frame of the list; it is empty if the frame is not in it.
    """
    search = _Search(session, wanted, production, sees, order, *_span(session, wanted))
    few = few_frames(session, wanted, production)
    if beyond is not None and after is None:
        after = _standing(search, beyond, is_met_on_a_walk=few is None)
        if after is None:
            return FrameRows((), None)
    if few is not None:
        hits = _among(search, few, after)
        following = hits[limit - 1].place if len(hits) > limit else None
        return _page(search, hits[:limit], following)
    walk, clock = _WALKS[order.by], _Clock(_PAGE_SECONDS)
    hits: list[_Hit] = []
    place = after
    while True:
        began = time.monotonic()
        need = limit + 1 - len(hits)
        portion = walk(search, place, clock.portion, need)
        hits += _newest_of_each(search, portion.hits)
        if len(hits) > limit:
            return _page(search, hits[:limit], hits[limit - 1].place)
        # Of a full portion not all was seen, though some of it may have been shown before.
        place = portion.hits[-1].place if len(portion.hits) >= need else portion.end
        if place is None or not clock.go_on():
            return _page(search, hits, place)
        clock.adapt(time.monotonic() - began)


def count_frames(
    session: Session, wanted: FrameFilter, *, production: str, sees: Principal | None = None
) -> tuple[int, bool]:
    """How many frames fit, and whether these are all: it stops when its time is over.

    A frame that was sent long ago and again lately counts twice.
    """
    search = _Search(session, wanted, production, sees, NEWEST, *_span(session, wanted))
    few = few_frames(session, wanted, production)
    if few is not None:
        return len(_among(search, few, None)), True
    clock = _Clock(_COUNT_SECONDS)
    count, place = 0, None
    while True:
        began = time.monotonic()
        bottom, within = _ids_from(search, place, clock.portion)
        counted = _matching(search, func.count(Submission.frame_id.distinct())).where(within)
        count += session.scalar(counted) or 0
        if bottom is None:
            return count, True
        place = Place(0, bottom)
        if not clock.go_on():
            return count, False
        clock.adapt(time.monotonic() - began)


def _span(session: Session, wanted: FrameFilter) -> tuple[int | None, int | None]:
    """Ids between which lies what was sent in the filter's time, and a little more."""

    def id_at(moment: datetime | None) -> int | None:
        if moment is None:
            return None
        before = select(Submission.id).where(Submission.time < moment.timestamp())
        return session.scalar(before.order_by(Submission.time.desc()).limit(1)) or 0

    lowest, highest = id_at(wanted.since), id_at(wanted.until)
    return (
        None if lowest is None else lowest - _DISORDER,
        None if highest is None else highest + _DISORDER,
    )


def _page(search: _Search, hits: Sequence[_Hit], following: Place | None) -> FrameRows:
    ids = [hit.submission_id for hit in hits]
    return FrameRows(frames_as_sent(search.session, ids, search.version), following)


def _matching(search: _Search, *columns: Any):
    query = select(*columns).select_from(Submission)
    if with_findings(search.wanted):
        query = query.join(
            Finding,
            and_(Finding.submission_id == Submission.id, Finding.model_version == search.version),
        )
    return query.where(
        sent_as(Submission, search.wanted, search.sees), fits(search.wanted, search.version)
    )


def _newest_of_each(search: _Search, hits: Sequence[_Hit]) -> list[_Hit]:
    """Those that are the newest submission of their frame that fits."""
    if not hits:
        return []
    # What a filter asks of the frame itself holds for each of its submissions.
    newest = set(
        search.session.scalars(
            select(func.max(Submission.id))
            .where(
                Submission.frame_id.in_({hit.frame_id for hit in hits}),
                sent_as(Submission, search.wanted, search.sees),
            )
            .group_by(Submission.frame_id)
        )
    )
    return [hit for hit in hits if hit.submission_id in newest]


def _among(search: _Search, frame_ids: Sequence[str], after: Place | None) -> list[_Hit]:
    """All hits among few frames, in their order."""
    rows = _of_frames(
        search,
        frame_ids,
        Submission.id,
        Submission.frame_id,
        Submission.frame_number,
        Finding.annotation_id,
        Finding.novelty,
        Finding.probabilities,
    )
    hits = [
        _Hit(row.id, row.frame_id, place)
        for row in rows
        if (place := _place_of(search.order, row)) is not None
    ]
    sign = 1 if search.order.rises else -1
    hits = _newest_of_each(search, hits)
    hits.sort(key=lambda hit: (sign * hit.place.value, sign * hit.place.id))
    if after is None:
        return hits
    first = (sign * after.value, sign * after.id)
    return [hit for hit in hits if (sign * hit.place.value, sign * hit.place.id) > first]


def _standing(search: _Search, frame_id: str, *, is_met_on_a_walk: bool) -> Place | None:
    """Where a frame stands in the list; None if it is not in it."""
    hits = _among(search, [frame_id], None)
    if not hits:
        return None
    place = hits[0].place
    if search.order.by == "probability" and is_met_on_a_walk:
        # A walk goes by figures that keep more digits than findings have.
        figure = select(Score.probability).where(
            Score.annotation_id == place.id, Score.attribute == search.order.attribute
        )
        return Place(search.session.scalars(figure).one(), place.id)
    return place


def _of_frames(search: _Search, frame_ids: Sequence[str], *columns: Any) -> Sequence[Any]:
    """All submissions of these frames that fit, oldest first."""
    sent = select(Submission.id).where(
        Submission.frame_id.in_(frame_ids), sent_as(Submission, search.wanted, search.sees)
    )
    ids = search.session.scalars(sent).all()
    finding = and_(
        Finding.submission_id == Submission.id,
        Finding.model_version == search.version,
        # Said twice, for SQLite: it would begin with all findings of the version.
        Finding.submission_id.in_(ids),
    )
    query = select(*columns).outerjoin(Finding, finding).where(Submission.id.in_(ids))
    fitting = query.where(fits(search.wanted, search.version)).order_by(Submission.id)
    return search.session.execute(fitting).all()


def _place_of(order: Order, row: Any) -> Place | None:
    match order.by:
        case "frame_number":
            return None if row.frame_number is None else Place(row.frame_number, row.id)
        case "novelty":
            return None if row.novelty is None else Place(row.novelty, row.annotation_id)
        case "probability" if row.probabilities is None:
            return None
        case "probability":
            probability = unpack_probability(row.probabilities, order.position)
            return Place(probability, row.annotation_id)
        case _:
            return Place(0, row.id)


def _ids_from(
    search: _Search, place: Place | None, portion: int
) -> tuple[int | None, ColumnElement[bool]]:
    """The next so many submissions: id where they end (None at the very end), and condition."""
    down = not search.order.rises
    sent = sent_as(Submission, search.wanted, search.sees, only_indexed=True)
    if search.lowest is not None:
        sent &= Submission.id >= search.lowest
    if search.highest is not None:
        sent &= Submission.id <= search.highest
    if place is not None:
        sent &= Submission.id < place.id if down else Submission.id > place.id
    query = select(Submission.id).where(sent)
    query = query.order_by(Submission.id.desc() if down else Submission.id)
    end = search.session.scalar(query.offset(portion - 1).limit(1))
    if end is not None:
        sent &= Submission.id >= end if down else Submission.id <= end
    if with_findings(search.wanted):
        # Databases do not conclude this from the equality of both ids.
        for bound, is_lower in ((place and place.id, not down), (end, down)):
            if bound is not None:
                column = Finding.submission_id
                sent &= column >= bound if is_lower else column <= bound
    return end, sent


def _walk_ids(search: _Search, place: Place | None, portion: int, need: int) -> _Portion:
    end, within = _ids_from(search, place, portion)
    order = Submission.id if search.order.rises else Submission.id.desc()
    rows = search.session.execute(
        _matching(search, Submission.id, Submission.frame_id)
        .where(within)
        .order_by(order)
        .limit(need)
    )
    hits = [_Hit(row.id, row.frame_id, Place(0, row.id)) for row in rows]
    return _Portion(hits, None if end is None else Place(0, end))


def _walk_numbers(search: _Search, place: Place | None, portion: int, need: int) -> _Portion:
    number, rises = Submission.frame_number, search.order.rises
    along = _along(number, Submission.id, rises)
    sent = sent_as(Submission, search.wanted, search.sees, only_indexed=True)
    sent &= number.is_not(None)
    if place is not None:
        sent &= _is_beyond(number, Submission.id, int(place.value), place.id, rises)
    ids = select(Submission.id, number.label("number")).where(sent)
    rows = search.session.execute(ids.order_by(*along).limit(portion)).all()
    within = Submission.id.in_([row.id for row in rows])
    found = search.session.execute(
        _matching(search, Submission.id, Submission.frame_id, number)
        .where(within)
        .order_by(*along)
        .limit(need)
    )
    hits = [_Hit(row.id, row.frame_id, Place(row.frame_number, row.id)) for row in found]
    end = Place(rows[-1].number, rows[-1].id) if len(rows) == portion else None
    return _Portion(hits, end)


def _walk_annotations(search: _Search, place: Place | None, portion: int, need: int) -> _Portion:
    """Along the annotations by novelty, or by the probability of one attribute."""
    if search.order.by == "novelty":
        figure, id_ = Annotation.novelty, Annotation.id
        along = (Annotation.model_version == search.version) & figure.is_not(None)
    else:
        figure, id_ = Score.probability, Score.annotation_id
        along = Score.attribute == search.order.attribute
    if place is not None:
        along &= _is_beyond(figure, id_, place.value, place.id, search.order.rises)
    slice_ = search.session.execute(
        select(id_.label("id"), figure.label("figure"))
        .where(along)
        .order_by(*_along(figure, id_, search.order.rises))
        .limit(min(portion, FEW))
    ).all()
    of_frame = search.session.execute(
        select(Annotation.frame_id, Annotation.id).where(
            Annotation.id.in_([row.id for row in slice_]),
            Annotation.model_version == search.version,
        )
    )
    newest: dict[int, _Hit] = {}
    annotations = {row.frame_id: row.id for row in of_frame}
    figures = {row.id: row.figure for row in slice_}
    for row in _of_frames(search, list(annotations), Submission.id, Submission.frame_id):
        id_of = annotations[row.frame_id]
        newest[id_of] = _Hit(row.id, row.frame_id, Place(figures[id_of], id_of))
    hits = [newest[row.id] for row in slice_ if row.id in newest][:need]
    whole = len(slice_) < min(portion, FEW)
    return _Portion(hits, None if whole else Place(slice_[-1].figure, slice_[-1].id))


def _along(figure: Any, id_: Any, rises: bool) -> tuple[Any, Any]:
    return (figure, id_) if rises else (figure.desc(), id_.desc())


def _is_beyond(
    figure: Any, id_: Any, value: float, last_id: int, rises: bool
) -> ColumnElement[bool]:
    """What comes after a place; the first part alone bounds the index."""
    if rises:
        return (figure >= value) & ((figure > value) | (id_ > last_id))
    return (figure <= value) & ((figure < value) | (id_ < last_id))


_WALKS: dict[str, Callable[[_Search, Place | None, int, int], _Portion]] = {
    "newest": _walk_ids,
    "oldest": _walk_ids,
    "frame_number": _walk_numbers,
    "novelty": _walk_annotations,
    "probability": _walk_annotations,
}
