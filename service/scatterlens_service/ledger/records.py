"""What the ledger takes and gives: plain frozen records, named as on the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from scatterlens.schemas import AttributeResult, Reason, State


def to_datetime(seconds: float) -> datetime:
    """Aware time in UTC of a column of the ledger."""
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True)
class ModelVersion:
    """A bundle by name and content hash."""

    name: str
    version: str


@dataclass(frozen=True)
class NewFrame:
    """A frame whose file already lies, fsynced, in the blob store."""

    sha256: str
    size_bytes: int
    format: str
    filename: str | None = None
    index: int | None = None
    frame_number: int | None = None
    """As told; None = not told."""
    likely_number: int | None = None
    """Its frame number where none is told."""

    @property
    def id(self) -> str:
        """`<sha256>`, or `<sha256>.<index>` inside a stack."""
        return self.sha256 if self.index is None else f"{self.sha256}.{self.index}"


@dataclass(frozen=True)
class Sender:
    """Who sends frames and what they say about them."""

    key_id: str | None = None
    author: str | None = None
    """Name of the key, for people to read."""
    proposal: str | None = None
    """Where it is not told, the frame is meant as it is known; so is the beamline."""
    beamline: str | None = None
    scan: str | None = None
    sample: str | None = None
    frame_number: int | None = None
    technique: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """`motors`, `geometry`, `poni`, `extra` as sent, JSON."""


@dataclass(frozen=True)
class Submitted:
    """What became of one frame of a submission."""

    frame_id: str
    state: State
    """Of the first model asked for."""
    duplicate: bool
    """The frame was known before, as far as its sender can see."""


class Lease(Protocol):
    """What a worker must show to prolong, give back or decide a job."""

    @property
    def id(self) -> int:
        """Of the job."""
        ...

    @property
    def attempt(self) -> int:
        """Fencing token: a verdict is refused under any other attempt."""
        ...


@dataclass(frozen=True)
class LeasedJob:
    """Work that this worker alone may decide, until its lease ends."""

    id: int
    attempt: int
    """Fencing token: a verdict is refused under any other attempt."""
    kind: str
    key: str
    queue: str
    frame_id: str
    sha256: str
    index: int | None
    model: ModelVersion
    crashes: int
    parameters: Mapping[str, str]
    """What a render job draws; empty for other kinds."""


@dataclass(frozen=True)
class NewAnnotation:
    """A worker's answer, whose blob already lies, fsynced, in the blob store."""

    scores: Sequence[AttributeResult]
    """In the order of the vocabulary."""
    novelty: float | None
    mask_fraction: float
    timings_ms: Mapping[str, float]
    provider: str
    blob: str
    """sha256 of the packed maps and preview."""
    shape: tuple[int, int]
    header: Mapping[str, Any]
    geometry: Mapping[str, Any] | None
    detector: str | None = None
    motors: Mapping[str, float] | None = None
    """As the file tells them."""
    frame_number: int | None = None
    """As the file tells it; counts where its sender told none."""
    features: bytes | None = None
    """float16 (D,), lowest byte first."""


@dataclass(frozen=True)
class StoredAnnotation:
    """Where a frame stands with a model version, with the answer once there is one."""

    frame_id: str
    model: ModelVersion
    state: State
    scores: tuple[AttributeResult, ...] = ()
    novelty: float | None = None
    mask_fraction: float | None = None
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    provider: str | None = None
    blob: str | None = None
    time: datetime | None = None
    reason: Reason | None = None


@dataclass(frozen=True)
class StoredRender:
    """Where a render job stands, with what it drew once it is done."""

    state: State
    blob: str | None
    reason: Reason | None


@dataclass(frozen=True)
class FrameRow:
    """A frame as it is told within one proposal and beamline: the newest that one may see."""

    submission_id: int
    frame_id: str
    sha256: str
    index: int | None
    format: str
    size_bytes: int
    shape: tuple[int, int] | None
    detector: str | None
    header: Mapping[str, Any]
    file_geometry: Mapping[str, Any] | None
    file_motors: Mapping[str, float]
    filename: str | None
    submitted: datetime
    proposal: str | None
    beamline: str | None
    scan: str | None
    sample: str | None
    frame_number: int | None
    technique: str | None
    details: Mapping[str, Any]
    state: State
    """With the production model."""
    tags: tuple[str, ...]
    """Of the production model."""
    novelty: float | None

    @property
    def within(self) -> str:
        """The proposal within which people judge it, empty where none was told."""
        return self.proposal or ""

    @property
    def motors(self) -> dict[str, float]:
        """As they are told, else as the file tells them."""
        return {**self.file_motors, **self.details.get("motors", {})}


@dataclass(frozen=True)
class Place:
    """Where a page of frames ends: a value of what they are ordered by, and the id behind it."""

    value: float
    id: int


@dataclass(frozen=True)
class FrameRows:
    """One page of frames; it may be short, or even empty, though more follow."""

    items: tuple[FrameRow, ...]
    following: Place | None
    """Give it back as `after` for the next page."""


@dataclass(frozen=True)
class EventRow:
    """A change of a frame's state or labels, of a training run, or of the models."""

    id: int
    kind: str
    frame_id: str | None
    """None where the event is of no frame."""
    model: ModelVersion | None
    tags: tuple[str, ...]
    time: datetime
    details: Mapping[str, Any] | None = None
    """Of a training run."""
    change: str | None = None
    """What happened to a model."""


WorkerRole = Literal["annotate", "train"]


@dataclass(frozen=True)
class WorkerReport:
    """How a worker process describes itself."""

    id: str
    device: str
    provider: str
    models: tuple[str, ...] = ()
    """Versions it holds."""
    role: WorkerRole = "annotate"
    refused: Mapping[str, str] = field(default_factory=dict)
    """Versions that it should hold and cannot, with the reason."""


@dataclass(frozen=True)
class SeenWorker:
    """A worker and how long ago it reported."""

    report: WorkerReport
    seen_seconds_ago: float


@dataclass(frozen=True)
class QueueStatus:
    """How many frames are waiting, and who works on them."""

    queued: int
    leased: int
    oldest_queued_seconds: float | None
    workers: tuple[SeenWorker, ...]


@dataclass(frozen=True)
class NewRun:
    """A training run that is asked for."""

    id: str
    by: str
    description: Mapping[str, Any]
    trigger: Literal["person", "policy"] = "person"
    note: str | None = None


@dataclass(frozen=True)
class LeasedRun:
    """A training that this trainer alone may decide, until its lease ends."""

    id: int
    attempt: int
    """Fencing token: a verdict is refused under any other attempt."""
    run_id: str
    crashes: int
    description: Mapping[str, Any]


@dataclass(frozen=True)
class RunRow:
    """A training run and where it stands."""

    id: str
    by: str
    trigger: str
    note: str | None
    time: datetime
    finished: datetime | None
    state: State
    description: Mapping[str, Any]
    progress: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    reason: Reason | None


@dataclass(frozen=True)
class Principal:
    """Whoever asks: what they may do, and which rows exist for them."""

    key_id: str
    person: str
    """Who it is, whichever of their keys they use: labels and searches are theirs by it."""
    name: str
    role: str
    scopes: frozenset[str]
    proposal: str | None = None
    beamline: str | None = None
    expires: datetime | None = None
    """When the key or the session ends; None = never."""
    session: str | None = None
    """sha256 of the token of the session that they came by; None where they showed the key."""

    @property
    def is_bound(self) -> bool:
        """Whether they see a part of the frames only."""
        return self.proposal is not None or self.beamline is not None
