"""Tables of what was removed: frames that somebody deleted, and files that are to go."""

from sqlalchemy import BigInteger, Double, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from scatterlens_service.ledger.tables import FRAME_ID, Table

_Serial = BigInteger().with_variant(Integer(), "sqlite")


class Tombstone(Table):
    """A frame that was deleted: who did it, when and why. All else about it is gone."""

    __tablename__ = "tombstones"
    __table_args__ = (Index(None, "frame_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    frame_id: Mapped[str] = mapped_column(FRAME_ID)
    """Of no row any more; the same file, sent again, is a new frame of this id."""
    filename: Mapped[str | None] = mapped_column(Text)
    """As it was last sent."""
    labels: Mapped[int] = mapped_column(Integer)
    """Entries of people that went with it."""
    reason: Mapped[str] = mapped_column(Text)
    by: Mapped[str] = mapped_column(String(100))
    """Name of the key."""
    key_id: Mapped[str] = mapped_column(String(32))
    time: Mapped[float] = mapped_column(Double)


class Removal(Table):
    """A file that a row named once: it goes unless another row names it."""

    __tablename__ = "removals"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    folder: Mapped[str] = mapped_column(String(8))
    """blobs | renders"""
    sha256: Mapped[str] = mapped_column(String(64))
    time: Mapped[float] = mapped_column(Double)
