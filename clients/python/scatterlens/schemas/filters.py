"""What a search may ask for: the parameters of the routes that find frames, by name."""

from datetime import datetime
from typing import Literal, TypedDict


class Filters(TypedDict, total=False):
    """Parameters of all routes that find frames, beside `tag` and `not`."""

    query: str | None
    proposal: str | None
    beamline: str | None
    scan: str | int | None
    technique: str | None
    detector: str | None
    sample: str | None
    since: datetime | str | None
    until: datetime | str | None
    state: str | None
    labelled: bool | None
    uncertain: float | None
    disagreeing: float | None
    novel: float | None
    model: str | None


class OrderedFilters(Filters, total=False):
    """With the order in which frames come."""

    order: Literal["newest", "oldest", "frame_number", "novelty", "probability"] | None
    of: str | None


class PagedFilters(OrderedFilters, total=False):
    """With the place in the list at which it begins."""

    after: str | None
    before: str | None
    limit: int | None
