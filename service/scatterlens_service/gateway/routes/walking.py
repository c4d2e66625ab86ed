"""All that a search finds, page after page, with what else is asked of each page."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sqlalchemy.orm import Session

from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger
from scatterlens_service.gateway.resources import Gateway

_PAGE = 200

_T = TypeVar("_T")


def walk(
    gateway: Gateway,
    caller: ledger.Principal,
    model: Bundle,
    wanted: ledger.FrameFilter,
    order: ledger.Order,
    look: Callable[[Session, Sequence[ledger.FrameRow]], dict[str, _T]],
) -> Iterator[tuple[ledger.FrameRow, _T | None]]:
    """Yield each frame with what `look` finds of it, page by page."""
    place = None
    while True:
        # Each page has its own short transaction: a slow reader holds no connection.
        with ledger.reading(gateway.engine) as session:
            rows = ledger.list_frames(
                session,
                wanted,
                production=model.version,
                sees=caller,
                order=order,
                after=place,
                limit=_PAGE,
            )
            found = look(session, rows.items)
        yield from ((row, found.get(row.frame_id)) for row in rows.items)
        place = rows.following
        if place is None:
            return
