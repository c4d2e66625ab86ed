"""What all wire models share."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
AttributeId = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
LINE = r"^[^\x00-\x1f\x7f]*$"
"""One line of text: control characters belong in no name (and no database takes a NUL)."""


class Wire(BaseModel):
    """Base of all wire models: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")


class State(StrEnum):
    """Where a frame stands with one model version."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    """A typed verdict on the file: final."""
    QUARANTINED = "quarantined"
    """Work on the frame kept dying; a person should look."""
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the state will not change by itself."""
        return self not in (State.QUEUED, State.LEASED)


class Reason(Wire):
    """Why a frame was refused, failed or quarantined, and what to do about it."""

    type: str
    """Stable word for programs, such as `unreadable` or `wrong_digest`."""
    title: str
    detail: str
    remedy: str


class Problem(Wire):
    """RFC 9457 problem document: the body of every error answer."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    remedy: str | None = None
    frame_id: str | None = None


class ModelRef(Wire):
    """A model version by name and content hash."""

    name: str
    version: str
