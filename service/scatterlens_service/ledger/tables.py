"""Tables of the ledger. Times are seconds since 1970 by the database's clock.

A change here needs a migration in `scatterlens_service/migrations/versions`; a test compares both.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from scatterlens_service.ledger.records import WorkerRole

# SQLite counts up by itself only in a column that is exactly INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

FRAME_ID = String(64 + 1 + 10)
"""`<sha256>` or `<sha256>.<index>`."""


class Table(DeclarativeBase):
    """Base of all tables; constraints have stable names for migrations."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Frame(Table):
    """One detector image, known by the bytes of its file."""

    __tablename__ = "frames"
    # The primary key also holds for files without an index, where SQL lets NULLs differ.
    __table_args__ = (UniqueConstraint("sha256", "index"),)

    id: Mapped[str] = mapped_column(FRAME_ID, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    index: Mapped[int | None]
    """Position inside a stack; NULL for a file with one image."""
    format: Mapped[str] = mapped_column(String(32))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created: Mapped[float] = mapped_column(Double)
    height: Mapped[int | None]
    """Rows; this and the columns below are known once a worker has decoded the frame."""
    width: Mapped[int | None]
    header: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    geometry: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """As the file tells it."""
    detector: Mapped[str | None] = mapped_column(String(100))
    """As the file calls it."""
    motors: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    """As the file tells them."""
    raw_kept: Mapped[float | None] = mapped_column(Double)
    """When its file was sent again after it had been removed; NULL = since it was created."""
    raw_removed: Mapped[float | None] = mapped_column(Double)
    """When retention removed its file; NULL = it is there."""


class Submission(Table):
    """What is told of a frame within a proposal and a beamline; decides who may see it.

    There is one row for each of these, however often the frame is sent: each field is what was said
    last of it, and `MetadataChange` keeps what was said before.
    """

    __tablename__ = "submissions"
    __table_args__ = (
        UniqueConstraint("fingerprint"),
        Index(None, "frame_id", "id"),
        Index(None, "proposal", "id"),
        Index(None, "beamline", "id"),
        Index(None, "scan", "id"),
        Index(None, "scan", "frame_number", "id"),
        Index(None, "time"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """sha256 over frame, proposal and beamline: no second row for the same."""
    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id"))
    filename: Mapped[str | None] = mapped_column(Text)
    proposal: Mapped[str | None] = mapped_column(String(100))
    beamline: Mapped[str | None] = mapped_column(String(100))
    scan: Mapped[str | None] = mapped_column(String(200))
    sample: Mapped[str | None] = mapped_column(String(500))
    frame_number: Mapped[int | None] = mapped_column(BigInteger)
    technique: Mapped[str | None] = mapped_column(String(50))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`motors`, `geometry`, `poni`, `extra` as told."""
    key_id: Mapped[str | None] = mapped_column(String(32))
    """By which it was sent first."""
    time: Mapped[float] = mapped_column(Double)
    """When it was sent first."""


class MetadataChange(Table):
    """What is told of a frame became something else: rows are added, never changed."""

    __tablename__ = "metadata_changes"
    __table_args__ = (Index(None, "submission_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    submission_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("submissions.id"))
    key_id: Mapped[str | None] = mapped_column(String(32))
    author: Mapped[str | None] = mapped_column(String(100))
    """Name of the key, for people to read."""
    changes: Mapped[dict[str, Any]] = mapped_column(JSON)
    """By field: `[before, after]`, None = not told."""
    time: Mapped[float] = mapped_column(Double)


class Request(Table):
    """An `Idempotency-Key` that a client used, and for which body."""

    __tablename__ = "requests"

    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    token: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    time: Mapped[float] = mapped_column(Double)


class Job(Table):
    """Work to do, being done or decided. A queued row is the only outbox there is."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("key"),
        Index(None, "state", "queue", "id"),
        Index(None, "frame_id"),
        Index(
            "ix_jobs_ended",
            "queue",
            "state",
            "finished",
            sqlite_where=text("finished IS NOT NULL"),
            postgresql_where=text("finished IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    """annotate | render | train"""
    key: Mapped[str] = mapped_column(String(200))
    queue: Mapped[str] = mapped_column(String(32))
    frame_id: Mapped[str | None] = mapped_column(ForeignKey("frames.id"))
    model_name: Mapped[str | None] = mapped_column(String(100))
    model_version: Mapped[str | None] = mapped_column(String(12))
    state: Mapped[str] = mapped_column(String(12))
    attempt: Mapped[int] = mapped_column(Integer)
    """Counts leases; a verdict counts only with the attempt it was leased under."""
    lost_leases: Mapped[int] = mapped_column(Integer)
    """Leases that ran out without a word."""
    crashes: Mapped[int] = mapped_column(Integer)
    """Deaths of the decode child over this frame."""
    worker_id: Mapped[str | None] = mapped_column(String(100))
    lease_until: Mapped[float | None] = mapped_column(Double)
    queued: Mapped[float] = mapped_column(Double)
    finished: Mapped[float | None] = mapped_column(Double)
    reason: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """`type`, `title`, `detail`, `remedy` of a failed or quarantined job."""
    parameters: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    """What a render job draws; NULL for other kinds."""
    blob: Mapped[str | None] = mapped_column(String(64))
    """sha256 of what a render job drew, once it is done."""


class Annotation(Table):
    """What one model version says about one frame: once."""

    __tablename__ = "annotations"
    __table_args__ = (
        UniqueConstraint("frame_id", "model_version"),
        Index(None, "model_version", "novelty"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id"))
    model_name: Mapped[str] = mapped_column(String(100))
    model_version: Mapped[str] = mapped_column(String(12))
    time: Mapped[float] = mapped_column(Double)
    novelty: Mapped[float | None] = mapped_column(Double)
    mask_fraction: Mapped[float] = mapped_column(Double)
    timings_ms: Mapped[dict[str, float]] = mapped_column(JSON)
    provider: Mapped[str] = mapped_column(String(64))
    """What the network ran on, as onnxruntime says."""
    blob: Mapped[str] = mapped_column(String(64))
    """sha256 of the packed maps and preview."""
    preview_removed: Mapped[float | None] = mapped_column(Double)
    """When retention took the preview out of it; NULL = it is there."""
    maps_removed: Mapped[float | None] = mapped_column(Double)
    """The same of the maps."""


class Score(Table):
    """Probability of one attribute in one annotation."""

    __tablename__ = "scores"
    __table_args__ = (
        Index(None, "attribute", "probability"),
        Index(None, "attribute", "uncertainty"),
        Index(None, "uncertainty"),
    )

    annotation_id: Mapped[int] = mapped_column(ForeignKey("annotations.id"), primary_key=True)
    attribute: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)
    """Place in the vocabulary."""
    probability: Mapped[float] = mapped_column(Double)
    threshold: Mapped[float] = mapped_column(Double)
    tag: Mapped[bool] = mapped_column(Boolean)
    uncertainty: Mapped[float] = mapped_column(Double)
    """1 at the threshold, 0 at the probabilities 0 and 1; kept because pages are ordered by it."""


class Spread(Table):
    """How far the models differ over one attribute of a frame that several of them annotated."""

    __tablename__ = "spreads"
    __table_args__ = (Index(None, "attribute", "spread"), Index(None, "spread"))

    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id"), primary_key=True)
    attribute: Mapped[str] = mapped_column(String(64), primary_key=True)
    spread: Mapped[float] = mapped_column(Double)
    """Largest minus smallest probability."""


class Label(Table):
    """What one person once said about one attribute of a frame: rows are added, never changed.

    The newest row of a person is what that person says now.
    """

    __tablename__ = "labels"
    __table_args__ = (
        Index(None, "attribute", "frame_id", "proposal", "person", "id"),
        Index(None, "frame_id", "id"),
        Index(None, "time"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    frame_id: Mapped[str] = mapped_column(ForeignKey("frames.id"))
    proposal: Mapped[str] = mapped_column(String(100))
    """Within which the frame was judged: the same bytes sent for another are judged anew. Empty
    where none was told; a NULL would be unlike every other NULL."""
    attribute: Mapped[str] = mapped_column(String(64))
    person: Mapped[str] = mapped_column(String(32))
    """Whose judgement it is: `Key.person`."""
    author: Mapped[str] = mapped_column(String(100))
    """Name of the key by which it was sent, for people to read."""
    key_id: Mapped[str] = mapped_column(String(32))
    value: Mapped[str | None] = mapped_column(String(8))
    """present | absent | unsure; NULL = withdrawn."""
    region: Mapped[list[list[float]] | None] = mapped_column(JSON(none_as_null=True))
    note: Mapped[str | None] = mapped_column(Text)
    shown: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Which model's answer the author had before them."""
    time: Mapped[float] = mapped_column(Double)


class Run(Table):
    """A training run; its job, of the same key, says where it stands."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "time"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    by: Mapped[str] = mapped_column(String(100))
    """Name of the key."""
    trigger: Mapped[str] = mapped_column(String(16))
    """person | policy"""
    note: Mapped[str | None] = mapped_column(Text)
    time: Mapped[float] = mapped_column(Double)
    newest_label: Mapped[int] = mapped_column(BigInteger)
    """Id of the newest label when it was queued: what came later is new to it."""
    description: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What was asked for."""
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Where its process stood when it last said so."""
    reached: Mapped[float] = mapped_column(Double)
    """The furthest that any of its processes came: number of the stage plus its share."""
    metrics: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """Its curve."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class Event(Table):
    """A frame changed its state or its labels, a training run its own, or the models changed.

    Ids appear to readers in growing order.
    """

    __tablename__ = "events"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(_Serial, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    """Of a frame: submitted | described | done | failed | quarantined | retried | labelled; else
    deleted | training | model."""
    frame_id: Mapped[str | None] = mapped_column(ForeignKey("frames.id"))
    """NULL where the event is of no frame."""
    proposal: Mapped[str | None] = mapped_column(String(100))
    """Within which something was said of the frame, for who sees it within that one (empty where
    none was told); NULL = for all who see the frame."""
    change: Mapped[str | None] = mapped_column(String(16))
    """What happened to a model: registered | gated | promoted | rolled_back."""
    model_name: Mapped[str | None] = mapped_column(String(100))
    model_version: Mapped[str | None] = mapped_column(String(12))
    tags: Mapped[list[str]] = mapped_column(JSON)
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What an event says that is of no row: the run, its state, its progress; the frame that was
    deleted."""
    time: Mapped[float] = mapped_column(Double)


class Key(Table):
    """An API key; its secret is known to its owner alone."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    person: Mapped[str] = mapped_column(String(32))
    """Whose key it is: id of the first key of that person, for a key's name is no proof."""
    name: Mapped[str] = mapped_column(String(100))
    secret_sha256: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    proposal: Mapped[str | None] = mapped_column(String(100))
    """The only proposal it sees; NULL = all."""
    beamline: Mapped[str | None] = mapped_column(String(100))
    """The only beamline it sees; NULL = all."""
    created: Mapped[float] = mapped_column(Double)
    expires: Mapped[float | None] = mapped_column(Double)
    revoked: Mapped[float | None] = mapped_column(Double)
    used: Mapped[float | None] = mapped_column(Double)
    """When it was last seen, to about a minute; NULL = never."""


class Login(Table):
    """A browser that is logged in, with what its caller may do: however they proved who they are.

    A key, once made, changes only by being revoked, which ends its sessions; so nothing here goes
    stale.
    """

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "key_id"),)

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(String(32))
    """Under which rows that it writes are recorded."""
    person: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    proposal: Mapped[str | None] = mapped_column(String(100))
    beamline: Mapped[str | None] = mapped_column(String(100))
    created: Mapped[float] = mapped_column(Double)
    expires: Mapped[float] = mapped_column(Double)
    used: Mapped[float] = mapped_column(Double)
    """When it was last seen, to about a minute."""


class Worker(Table):
    """A worker process, as it last reported itself."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    device: Mapped[str] = mapped_column(String(16))
    """What was asked for: `cpu` or `cuda`."""
    provider: Mapped[str] = mapped_column(String(64))
    """What really runs."""
    models: Mapped[list[str]] = mapped_column(JSON)
    """Versions it holds."""
    role: Mapped[WorkerRole] = mapped_column(String(16))
    refused: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    """Versions that it should hold and cannot, with the reason."""
    seen: Mapped[float] = mapped_column(Double)
