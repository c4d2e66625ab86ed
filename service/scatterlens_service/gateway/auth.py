"""Who calls, and what they may do: by an API key, or by the cookie of a browser that logged in."""

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import (
    APIKeyCookie,
    HTTPAuthorizationCredentials,
    HTTPBearer,
    SecurityScopes,
)

from scatterlens_service import ledger
from scatterlens_service.gateway.access_log import note_caller
from scatterlens_service.gateway.errors import ForbiddenError, UnauthenticatedError
from scatterlens_service.gateway.resources import Gateway

COOKIE = "scatterlens_session"
CSRF_HEADER = "X-CSRF-Token"
_SAFE = ("GET", "HEAD", "OPTIONS")
_OF_THE_FACILITY = frozenset({"train:run", "models:write", "admin"})
"""Scopes over what belongs to all proposals and beamlines: models, trainings, keys, queues. Who is
bound to a part of the frames could free themselves by them, or change what others are answered."""

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    bearerFormat="sl_<id>_<secret>",
    description="An API key, made with `scatterlens keys create`.",
)
_cookie = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    scheme_name="session",
    description="Of a browser that logged in by `POST /api/v1/session`; what changes something "
    f"needs `{CSRF_HEADER}` too.",
)


def identify_caller(
    request: Request,
    wanted: SecurityScopes,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    token: Annotated[str | None, Depends(_cookie)],
) -> ledger.Principal:
    """Check the key, else the session, and that it holds every scope that the route wants.

    Raises:
        UnauthenticatedError: neither, or one that is unknown, expired, revoked or ended.
        ForbiddenError: a scope is missing, the key is bound to a part of the frames and the route
            reaches beyond it, or a session changes something without its CSRF token.
    """
    gateway: Gateway = request.state.gateway
    if given is not None:
        principal = _holder_of_key(gateway, given.credentials)
    elif token:
        principal = _holder_of_session(gateway, token)
        if request.method not in _SAFE:
            _check_csrf(request.headers.get(CSRF_HEADER, ""), token)
    else:
        raise UnauthenticatedError(
            "No key",
            "The request carries no API key.",
            "Send the header `Authorization: Bearer sl_...`; `scatterlens serve` prints a key, "
            "`scatterlens keys create` makes one.",
        )
    missing = [scope for scope in wanted.scopes if scope not in principal.scopes]
    if missing:
        raise ForbiddenError(
            "missing_scope",
            "The key does not allow this",
            f"The key {principal.name!r} lacks the scope {', '.join(missing)}.",
            "Use a key of a role that has it: `scatterlens keys create --role ...`.",
        )
    if principal.is_bound and _OF_THE_FACILITY.intersection(wanted.scopes):
        raise ForbiddenError(
            "bound_key",
            "The key sees only a part of the frames",
            "Models, trainings, keys and queues belong to all proposals and beamlines.",
            "Use a key of the same role that is bound to no proposal and no beamline.",
        )
    gateway.attendance.note(principal)
    note_caller(request.scope, principal.key_id)
    return principal


def csrf_token(token: str) -> str:
    """What a page of ours must send with every change: a page of another site cannot read it."""
    return hmac.digest(token.encode(), b"csrf", hashlib.sha256).hex()


def refuse_key() -> UnauthenticatedError:
    """Make the refusal of a key that is not valid."""
    return UnauthenticatedError(
        "The key is not valid",
        "The key is unknown, expired or revoked.",
        "Ask for a new key: `scatterlens keys create`.",
    )


def _holder_of_key(gateway: Gateway, key: str) -> ledger.Principal:
    with ledger.reading(gateway.engine) as session:
        principal = ledger.authenticate(session, key)
    if principal is None:
        raise refuse_key()
    return principal


def _holder_of_session(gateway: Gateway, token: str) -> ledger.Principal:
    with ledger.reading(gateway.engine) as session:
        principal = ledger.find_session(session, token)
    if principal is None:
        raise UnauthenticatedError(
            "The session has ended",
            "It expired, was logged out, or its key was revoked.",
            "Log in again with a key.",
        )
    return principal


def _check_csrf(given: str, token: str) -> None:
    if not hmac.compare_digest(given.encode(), csrf_token(token).encode()):
        raise ForbiddenError(
            "csrf",
            "The request does not prove where it comes from",
            f"A session that changes something must send the header {CSRF_HEADER}.",
            "Send there what `csrf` says in the answer of GET /api/v1/session.",
        )
