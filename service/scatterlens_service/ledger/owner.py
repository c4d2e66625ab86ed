"""Which home a ledger belongs to: files that its rows name lie there and nowhere else."""

from dataclasses import dataclass

from sqlalchemy import Integer, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from scatterlens_service.ledger.submissions import insert_into
from scatterlens_service.ledger.tables import Table


class OwnerTable(Table):
    """One row, once a home was served with this ledger."""

    __tablename__ = "owners"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Always 1."""
    id: Mapped[str] = mapped_column(String(32))
    home: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(Text)


@dataclass(frozen=True)
class Owner:
    """A home, by an id of its own, and as it was called when it was first served."""

    id: str
    home: str
    host: str


def read_owner(session: Session) -> Owner | None:
    """The home of this ledger; None before it was served."""
    row = session.scalar(select(OwnerTable))
    return None if row is None else Owner(row.id, row.home, row.host)


def put_owner(session: Session, owner: Owner) -> None:
    """Give the ledger to a home; where another was quicker it stays that one's."""
    row = {"number": 1, "id": owner.id, "home": owner.home, "host": owner.host}
    session.execute(insert_into(session)(OwnerTable).values(row).on_conflict_do_nothing())
