"""Searches that somebody wants to make again; each person has their own."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.inserting import insert_into
from scatterlens_service.ledger.records import Principal, to_datetime
from scatterlens_service.ledger.search_tables import SavedSearch


class SearchExistsError(ValueError):
    """The person has a search of this name: choose another name, or delete that one first."""


@dataclass(frozen=True)
class SavedSearchRow:
    """A search under its name."""

    id: int
    name: str
    query: str
    """Parameters of `GET /frames`, as in an address."""
    time: datetime


def save_search(session: Session, caller: Principal, name: str, query: str) -> SavedSearchRow:
    """Keep a search.

    Raises:
        SearchExistsError: the caller has another one of this name.
    """
    adding = insert_into(session)(SavedSearch).values(
        person=caller.person, name=name, query=query, time=session.scalar(select(Clock()))
    )
    row = session.scalar(
        adding.on_conflict_do_nothing(index_elements=["person", "name"]).returning(SavedSearch)
    )
    if row is None:
        raise SearchExistsError(f"there is a search {name!r} already")
    return _record(row)


def list_searches(session: Session, caller: Principal) -> list[SavedSearchRow]:
    """All searches of the caller, by name."""
    query = select(SavedSearch).where(SavedSearch.person == caller.person)
    return [_record(row) for row in session.scalars(query.order_by(SavedSearch.name))]


def delete_search(session: Session, caller: Principal, search_id: int) -> bool:
    """Forget a search; False if the caller has none of this id."""
    gone = delete(SavedSearch).where(
        SavedSearch.id == search_id, SavedSearch.person == caller.person
    )
    return session.scalar(gone.returning(SavedSearch.id)) is not None


def _record(row: SavedSearch) -> SavedSearchRow:
    return SavedSearchRow(row.id, row.name, row.query, to_datetime(row.time))
