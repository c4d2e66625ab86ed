"""Who may do what: logging in, and API keys."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from scatterlens.schemas.base import LINE, Wire

Scope = Literal[
    "frames:write", "results:read", "labels:write", "train:run", "models:write", "admin"
]
Role = Literal["viewer", "annotator", "scientist", "trainer", "admin"]


class SessionIn(Wire):
    """Logging a browser in."""

    key: Annotated[str, Field(max_length=200, pattern=LINE)]
    """An API key, `sl_...`."""


class SessionInfo(Wire):
    """Who is calling, and what they may do."""

    person: str
    """Who it is, whichever of their keys they use: `person` of these keys."""
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


_Line = Annotated[str, Field(min_length=1, max_length=100, pattern=LINE)]


class KeyIn(Wire):
    """A key that is asked for."""

    name: _Line
    """Who or what will use it: for people to read. Two keys of one name are two persons ..."""
    continues: Annotated[str, Field(max_length=32, pattern=LINE)] | None = None
    """... unless this is the id of an earlier key of the same person: its labels and saved searches
    are this key's, too."""
    role: Role
    scopes: list[Scope] | None = None
    """Fewer than the role may hold; None = all of them."""
    expires_days: Annotated[float, Field(gt=0, lt=36_500, allow_inf_nan=False)] | None = 90.0
    """None = never."""
    proposal: _Line | None = None
    """The only proposal that it sees; None = all."""
    beamline: _Line | None = None
    """The only beamline that it sees; None = all."""


class KeyInfo(Wire):
    """A key without its secret."""

    id: str
    person: str
    """Id of the first key of the same person: labels and saved searches are theirs by it."""
    name: str
    role: Role
    scopes: list[Scope]
    proposal: str | None = None
    beamline: str | None = None
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    used: datetime | None = None
    """When it was last seen, to about a minute; None = never."""


class NewKey(KeyInfo):
    """A key that was just made."""

    key: str
    """`sl_...`; this is the only time that it can be read."""


class RoleInfo(Wire):
    """What a key of a role may do at most."""

    role: Role
    scopes: list[Scope]


class KeyList(Wire):
    """All keys, oldest first, revoked ones too; and what roles there are."""

    items: list[KeyInfo]
    roles: list[RoleInfo]
