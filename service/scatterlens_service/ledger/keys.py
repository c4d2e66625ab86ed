"""API keys `sl_<id>_<secret>`: shown once, kept as a hash, with scopes and an end."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from scatterlens.schemas import Scope
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.records import Principal, to_datetime
from scatterlens_service.ledger.tables import Key, Login

SCOPES: tuple[str, ...] = get_args(Scope)
ROLES = {
    "viewer": ("results:read",),
    "annotator": ("results:read", "labels:write"),
    "scientist": ("frames:write", "results:read", "labels:write"),
    "trainer": ("frames:write", "results:read", "labels:write", "train:run"),
    "admin": SCOPES,
}
"""Scopes that each role may hold; a key of that role has all of them unless told fewer."""

DEFAULT_DAYS = 90.0


class BadKeyError(ValueError):
    """A key cannot be made as asked; the message says what is possible."""


class LastAdminError(ValueError):
    """The last key of an admin stays: make another first, then revoke this one."""


@dataclass(frozen=True)
class KeyRow:
    """A key without its secret."""

    id: str
    person: str
    """Id of the first key of the same person; its own where it is the first."""
    name: str
    role: str
    scopes: tuple[str, ...]
    proposal: str | None
    beamline: str | None
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    used: datetime | None
    """When it was last seen, to about a minute."""


def create_key(
    session: Session,
    name: str,
    *,
    role: str = "scientist",
    scopes: Collection[str] | None = None,
    days: float | None = DEFAULT_DAYS,
    proposal: str | None = None,
    beamline: str | None = None,
    continues: str | None = None,
) -> str:
    """Make a key and return it, the only time it can be read; `days=None` never expires.

    `continues` is the id of an earlier key of the same person, whose labels and searches are this
    key's, too. Without it the key is somebody new, whatever its name.

    Raises:
        BadKeyError: no name, an unknown role, a scope that the role may not hold, or no such
            earlier key.
    """
    if not name.strip() or not name.isprintable():
        raise BadKeyError("a key needs a name, of one line: who or what will use it")
    if role not in ROLES:
        raise BadKeyError(f"no role {role!r}; there are {', '.join(ROLES)}")
    granted = ROLES[role] if scopes is None else tuple(s for s in SCOPES if s in scopes)
    refused = set(scopes or ()) - set(ROLES[role])
    if refused:
        raise BadKeyError(
            f"a {role} may not hold {', '.join(sorted(refused))}; only {', '.join(ROLES[role])}"
        )
    if days is not None and not 0 < days < 36_500:
        raise BadKeyError(f"a key cannot last {days} days; give a number above 0, or no end")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    earlier = None if continues is None else session.get(Key, continues)
    if continues is not None and earlier is None:
        raise BadKeyError(f"there is no key {continues!r} to continue; give the id of one")
    now = session.scalar(select(Clock())) or 0.0
    session.add(
        Key(
            id=key_id,
            person=key_id if earlier is None else earlier.person,
            name=name,
            secret_sha256=digest(secret),
            role=role,
            scopes=list(granted),
            proposal=proposal,
            beamline=beamline,
            created=now,
            expires=None if days is None else now + days * 86_400,
        )
    )
    session.flush()
    return f"sl_{key_id}_{secret}"


def authenticate(session: Session, key: str, *, hold: bool = False) -> Principal | None:
    """Whoever holds this key; None if it is malformed, unknown, wrong, expired or revoked.

    With `hold`, nobody revokes the key until the transaction ends.
    """
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    row = session.get(Key, key_id, with_for_update=hold or None) if prefix == "sl" else None
    # An unknown id costs the same comparison as a wrong secret.
    expected = row.secret_sha256 if row is not None else digest("")
    matches = hmac.compare_digest(expected, digest(secret))
    if row is None or not matches or row.revoked is not None:
        return None
    if row.expires is not None and row.expires <= (session.scalar(select(Clock())) or 0.0):
        return None
    return Principal(
        row.id,
        row.person,
        row.name,
        row.role,
        frozenset(row.scopes),
        row.proposal,
        row.beamline,
        None if row.expires is None else to_datetime(row.expires),
    )


def list_keys(session: Session) -> list[KeyRow]:
    """All keys, oldest first, revoked ones too."""
    return [_row(key) for key in session.scalars(select(Key).order_by(Key.created, Key.id))]


def get_key(session: Session, key_id: str) -> KeyRow | None:
    """One key; None if there is none of this id."""
    key = session.get(Key, key_id, populate_existing=True)
    return None if key is None else _row(key)


def revoke_key(session: Session, key_id: str) -> bool:
    """End a key and its sessions now; False if there is none such or it was revoked before.

    Raises:
        LastAdminError: without it nobody could make keys any more.
    """
    # Held: of two admins who revoke each other at once, one stays.
    admins = select(Key).where(
        Key.role == "admin",
        Key.revoked.is_(None),
        Key.proposal.is_(None),
        Key.beamline.is_(None),
        or_(Key.expires.is_(None), Key.expires > Clock()),
    )
    held = session.scalars(admins.order_by(Key.id).with_for_update())
    if [key.id for key in held if "admin" in key.scopes] == [key_id]:
        raise LastAdminError("it is the last valid key of an admin who is bound to nothing")
    revoked = session.execute(
        update(Key)
        .where(Key.id == key_id, Key.revoked.is_(None))
        .values(revoked=Clock())
        .returning(Key.id)
    )
    if revoked.first() is None:
        return False
    session.execute(delete(Login).where(Login.key_id == key_id))
    return True


def _row(key: Key) -> KeyRow:
    return KeyRow(
        id=key.id,
        person=key.person,
        name=key.name,
        role=key.role,
        scopes=tuple(key.scopes),
        proposal=key.proposal,
        beamline=key.beamline,
        created=to_datetime(key.created),
        expires=None if key.expires is None else to_datetime(key.expires),
        revoked=None if key.revoked is None else to_datetime(key.revoked),
        used=None if key.used is None else to_datetime(key.used),
    )


def digest(secret: str) -> str:
    """What is kept of a secret."""
    # 256 random bits need no slow hash.
    return hashlib.sha256(secret.encode()).hexdigest()
