"""Who may do what: logging in."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from scatterlens.schemas.base import Wire

Scope = Literal[
    "frames:write", "results:read", "labels:write", "train:run", "models:write", "admin"
]
Role = Literal["viewer", "annotator", "scientist", "trainer", "admin"]


class SessionIn(Wire):
    """Logging a browser in."""

    key: Annotated[str, Field(max_length=200)]
    """An API key, `sl_...`."""


class SessionInfo(Wire):
    """Who is calling, and what they may do."""

    name: str
    role: Role
    scopes: list[Scope]
    proposal: str | None = None
    """The only proposal that they see; None = all."""
    beamline: str | None = None
    """The only beamline that they see; None = all."""
    expires: datetime | None = None
    """When the session, or the key that was sent, ends; None = never."""
    csrf: str | None = None
    """For the header `X-CSRF-Token` of requests that change something; None where a key is sent
    and none is needed."""
