"""Tables of the registry: models, what they are to the service, and how that came about."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from scatterlens_service.ledger.tables import Table

_Serial = BigInteger().with_variant(Integer(), "sqlite")


class Model(Table):
    """A model version that was registered; its files lie in the installation's folders."""

    __tablename__ = "models"

    version: Mapped[str] = mapped_column(String(12), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    """Of `bundle.json`, which pins every other file."""
    name: Mapped[str] = mapped_column(String(100))
    method: Mapped[str] = mapped_column(String(64))
    vocabulary: Mapped[str] = mapped_column(String(64))
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON)
    card: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[str | None] = mapped_column(String(64))
    """The training run that made it; NULL where it came from elsewhere."""
    gate: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """The newest report of the gate."""
    registered: Mapped[float] = mapped_column(Double)
    registered_by: Mapped[str] = mapped_column(String(100))


class Alias(Table):
    """What a model version is to the service; without a row, the settings say it."""

    __tablename__ = "aliases"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    """production | candidate | default: what the package shipped when the ledger began"""
    version: Mapped[str] = mapped_column(ForeignKey("models.version"))


class Promotion(Table):
    """Production changed: rows are added, never changed."""

    __tablename__ = "promotions"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    """promote | rollback"""
    from_version: Mapped[str] = mapped_column(String(12))
    to_version: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(Text)
    gate: Mapped[str] = mapped_column(String(8))
    """passed | failed | none: what the gate said of `to_version` against `from_version`."""
    by: Mapped[str] = mapped_column(String(100))
    time: Mapped[float] = mapped_column(Double)


class Reannotation(Table):
    """Frames of the past that a model version shall look at, portion by portion."""

    __tablename__ = "reannotations"
    __table_args__ = (Index(None, "finished"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    version: Mapped[str] = mapped_column(ForeignKey("models.version"))
    wanted: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Filter of frames, as it was sent."""
    below: Mapped[int] = mapped_column(BigInteger)
    """Submissions with smaller ids are still to be looked through, the newest first."""
    queued: Mapped[int] = mapped_column(Integer)
    """Frames queued so far."""
    by: Mapped[str] = mapped_column(String(100))
    time: Mapped[float] = mapped_column(Double)
    finished: Mapped[float | None] = mapped_column(Double)
