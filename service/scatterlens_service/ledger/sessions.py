"""Browsers that are logged in: a random token, kept as a hash, with a caller and an end."""

import secrets
from collections.abc import Collection

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.keys import digest
from scatterlens_service.ledger.records import Principal, to_datetime
from scatterlens_service.ledger.tables import Key, Login


def open_session(session: Session, caller: Principal, seconds: float) -> str:
    """Log a caller in for so long, at most until their key ends, and return the token.

    Call it in the transaction that authenticated the caller, and held their key.
    """
    token = secrets.token_urlsafe(32)
    now = session.scalar(select(Clock())) or 0.0
    ends = now + seconds
    session.add(
        Login(
            token_sha256=digest(token),
            key_id=caller.key_id,
            person=caller.person,
            name=caller.name,
            role=caller.role,
            scopes=sorted(caller.scopes),
            proposal=caller.proposal,
            beamline=caller.beamline,
            created=now,
            expires=ends if caller.expires is None else min(ends, caller.expires.timestamp()),
            used=now,
        )
    )
    session.flush()
    return token


def find_session(session: Session, token: str) -> Principal | None:
    """Whoever is logged in under this token; None if it is unknown, ended or expired."""
    row = session.scalar(
        select(Login).where(Login.token_sha256 == digest(token), Login.expires > Clock())
    )
    if row is None:
        return None
    return Principal(
        row.key_id,
        row.person,
        row.name,
        row.role,
        frozenset(row.scopes),
        row.proposal,
        row.beamline,
        to_datetime(row.expires),
        row.token_sha256,
    )


def is_still_valid(session: Session, caller: Principal) -> bool:
    """Whether what somebody came by a while ago, session or key, would still let them in."""
    if caller.session is not None:
        held = select(Login.key_id).where(
            Login.token_sha256 == caller.session, Login.expires > Clock()
        )
    else:
        held = select(Key.id).where(
            Key.id == caller.key_id,
            Key.revoked.is_(None),
            or_(Key.expires.is_(None), Key.expires > Clock()),
        )
    return session.scalar(held) is not None


def end_session(session: Session, token_sha256: str) -> None:
    """Log out."""
    session.execute(delete(Login).where(Login.token_sha256 == token_sha256))


def end_session_of(session: Session, token: str) -> None:
    """Log out whoever holds this token, which nobody needs to hold."""
    end_session(session, digest(token))


def has_expired_sessions(session: Session) -> bool:
    """Whether there is something to clear; a look that takes no lock."""
    return session.scalar(select(Login.key_id).where(Login.expires <= Clock()).limit(1)) is not None


def clear_sessions(session: Session) -> None:
    """Forget sessions that have expired."""
    session.execute(delete(Login).where(Login.expires <= Clock()))


def record_use(session: Session, keys: Collection[str], sessions: Collection[str]) -> None:
    """Say that these keys (by id) and sessions (by the hash of the token) were just used."""
    # One order for all gateways, so that two of them cannot deadlock.
    for key_id in sorted(keys):
        session.execute(update(Key).where(Key.id == key_id).values(used=Clock()))
    for token_sha256 in sorted(sessions):
        session.execute(
            update(Login).where(Login.token_sha256 == token_sha256).values(used=Clock())
        )
