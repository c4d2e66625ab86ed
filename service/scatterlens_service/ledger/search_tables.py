"""Tables that searches read: derived from frames, submissions and annotations, kept with them."""

from sqlalchemy import (
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from scatterlens_service.ledger.tables import Table

_Serial = BigInteger().with_variant(Integer(), "sqlite")


class Finding(Table):
    """An annotation beside each submission of its frame: narrow, and in the order of searches.

    Tables of their own would answer the same, but ten times slower: the way from a submission over
    its frame and annotation to each score is four looks into four indexes.
    """

    __tablename__ = "findings"
    __table_args__ = ({"sqlite_with_rowid": False},)

    model_version: Mapped[str] = mapped_column(String(12), primary_key=True)
    submission_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("submissions.id"), primary_key=True
    )
    annotation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("annotations.id"))
    novelty: Mapped[float | None] = mapped_column(Double)
    uncertainty: Mapped[float] = mapped_column(Double)
    """The largest of its attributes."""
    probabilities: Mapped[bytes] = mapped_column(LargeBinary)
    """In the vocabulary's order, each as a float32 with the highest byte first: bytes that
    databases compare as the numbers compare."""


class FrameFeatures(Table):
    """What a model's network made of a frame, for finding similar ones."""

    __tablename__ = "features"
    __table_args__ = (Index(None, "model_version", "annotation_id"),)

    annotation_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("annotations.id"), primary_key=True, autoincrement=False
    )
    model_version: Mapped[str] = mapped_column(String(12))
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """float16 (D,), lowest byte first."""


class Scan(Table):
    """A scan as its submissions make it: counted when they come, not when it is asked for."""

    __tablename__ = "scans"
    __table_args__ = (
        UniqueConstraint("proposal", "beamline", "scan"),
        Index(None, "newest"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    proposal: Mapped[str] = mapped_column(String(100))
    """Empty where none was told; so is the beamline: a NULL would be unlike every other NULL."""
    beamline: Mapped[str] = mapped_column(String(100))
    scan: Mapped[str] = mapped_column(String(200))
    frames: Mapped[int] = mapped_column(BigInteger)
    """Submissions."""
    first: Mapped[float] = mapped_column(Double)
    last: Mapped[float] = mapped_column(Double)
    newest: Mapped[int] = mapped_column(BigInteger)
    """Id of its newest submission."""


class SavedSearch(Table):
    """A search that somebody wants to make again."""

    __tablename__ = "searches"
    __table_args__ = (UniqueConstraint("person", "name"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    person: Mapped[str] = mapped_column(String(32))
    """Who keeps it: `Key.person`."""
    name: Mapped[str] = mapped_column(String(100))
    query: Mapped[str] = mapped_column(Text)
    """Parameters of `GET /frames`, as in an address."""
    time: Mapped[float] = mapped_column(Double)
