"""The service itself: its health, its workers, its events."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from scatterlens.schemas.base import ModelRef, Wire
from scatterlens.schemas.training import TrainingChange


class WorkerInfo(Wire):
    """A worker process that reported within the last seconds."""

    id: str
    device: str
    """What was asked for: `cpu` or `cuda`."""
    provider: str
    """What really runs, as onnxruntime says."""
    seen_seconds_ago: float
    models: list[str] = Field(default_factory=list)
    """Versions that it holds."""


class Health(Wire):
    """Whether the service can take frames and answer them."""

    status: Literal["ok", "degraded"]
    version: str
    queued: int
    leased: int
    oldest_queued_seconds: float | None
    workers: list[WorkerInfo]
    problems: list[str]


class Event(Wire):
    """One line of the event stream: a frame, a training run or the models changed."""

    id: int
    """Grows by time; send it back as `Last-Event-ID` to go on after it."""
    kind: Literal[
        "submitted",
        "described",
        "done",
        "failed",
        "quarantined",
        "retried",
        "labelled",
        "deleted",
        "training",
        "model",
    ]
    frame_id: str | None = None
    """None where the event is of no frame."""
    model: ModelRef | None = None
    tags: list[str] = Field(default_factory=list)
    time: datetime
    training: TrainingChange | None = None
    """Of the kind `training`; told to keys that see all frames."""
    change: Literal["registered", "gated", "promoted", "rolled_back"] | None = None
    """What happened to the model; None where the event is of a frame."""
