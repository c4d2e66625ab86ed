"""What all wire models share."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from scatterlens.spelling import no_such

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _is_written(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise ValueError("a time is written like 2026-11-30T12:00:00Z, not as a number")
    return value


_NUMBER = re.compile(r"\s*[-+]?[\d._]+([eE][-+]?\d+)?\s*")
Moment = Annotated[datetime, BeforeValidator(_is_written)]
"""A time that somebody tells; a bare number would be seconds of one epoch or another."""
AttributeId = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
LINE = r"^[^\x00-\x1f\x7f]*$"
"""One line of text: control characters belong in no name (and no database takes a NUL)."""


class Wire(BaseModel):
    """Base of all wire models: an unknown key is an error that names the nearest known one."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _name_the_nearest(cls, told: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(told)
        except ValidationError as error:
            found = error.errors(include_url=False)
            # Only what is unknown here: the models inside have named their own.
            if not any(_is_unknown(one) for one in found):
                raise
            raise ValidationError.from_exception_data(
                error.title, [_explained(one, tuple(cls.model_fields)) for one in found]
            ) from None


def _is_unknown(error: Any) -> bool:
    return error["type"] == "extra_forbidden" and len(error["loc"]) == 1


def _explained(error: Any, known: tuple[str, ...]) -> InitErrorDetails:
    kind, told = error["type"], error["msg"]
    if _is_unknown(error):
        kind, told = "unknown_field", no_such("field", str(error["loc"][0]), known)
    said = PydanticCustomError(kind, "{told}", {"told": told})
    return InitErrorDetails(type=said, loc=error["loc"], input=error["input"])


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
