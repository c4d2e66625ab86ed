"""Running the service: what waits, who works, what went wrong and is tried again."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from scatterlens.schemas.base import ModelRef, Reason, State, Wire
from scatterlens.schemas.service import WorkerInfo
from scatterlens.schemas.training import TrainingChange

JobKind = Literal["annotate", "render", "train"]


class Finished(Wire):
    """Jobs that ended within some time, each number counted up to 100,000."""

    done: int
    failed: int
    quarantined: int
    more: bool = False
    """A number is 100,000: there are at least so many."""


class QueueInfo(Wire):
    """One queue: what waits in it, what is worked on, what left it."""

    queue: str
    kind: JobKind
    """Of all its jobs."""
    queued: int
    leased: int
    oldest_queued_seconds: float | None
    last_minute: Finished
    last_hour: Finished


class WorkerDetail(WorkerInfo):
    """A worker process that reported within the last hour and did not say goodbye."""

    role: Literal["annotate", "train"]
    refused: dict[str, str] = Field(default_factory=dict)
    """Versions that it should hold and cannot, with the reason."""


class Disk(Wire):
    """Where frames are kept."""

    total_bytes: int
    free_bytes: int
    needed_bytes: int
    """With less than that free no frames are taken."""


class Operations(Wire):
    """How the service does."""

    queues: list[QueueInfo]
    failed: int
    """Jobs on frames that stand so now, whenever they ended."""
    quarantined: int
    workers: list[WorkerDetail]
    disk: Disk
    can_train: bool
    """Whether somebody will take a training."""
    trainings: list[TrainingChange]
    """Queued and running ones, oldest first."""
    problems: list[str]


class JobInfo(Wire):
    """A job on a frame, and how it went."""

    id: int
    kind: JobKind
    queue: str
    state: State
    frame_id: str
    filename: str | None = None
    """As it was last sent."""
    model: ModelRef
    attempts: int
    """How often a worker took it, those before a retry included."""
    lost_leases: int
    """Workers that took it and never came back."""
    crashes: int
    """Deaths of the process that decodes."""
    queued: datetime
    finished: datetime | None = None
    reason: Reason | None = None


class JobPage(Wire):
    """Jobs, newest first."""

    items: list[JobInfo]
    next_cursor: str | None = None


class Tombstone(Wire):
    """A frame that was deleted; all else about it is gone."""

    frame_id: str
    filename: str | None
    """As it was last sent."""
    labels: int
    """Entries of people that went with it."""
    reason: str
    by: str
    """Name of the key."""
    time: datetime


class TombstonePage(Wire):
    """Frames that were deleted, newest first."""

    items: list[Tombstone]
    next_cursor: str | None = None


JobId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class RetryIn(Wire):
    """Jobs to try again."""

    ids: Annotated[list[JobId], Field(min_length=1, max_length=1000)]


class Retried(Wire):
    """Jobs that wait again; those that had neither failed nor been quarantined are left out."""

    ids: list[int]
