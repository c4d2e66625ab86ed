"""Who calls, and what the key allows."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from scatterlens_service import ledger
from scatterlens_service.errors import ForbiddenError, UnauthenticatedError

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    bearerFormat="sl_<id>_<secret>",
    description="An API key, made with `scatterlens keys create`.",
)


def identify_caller(
    request: Request,
    wanted: SecurityScopes,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> ledger.Principal:
    """Check the key and that it holds every scope that the route wants.

    Raises:
        UnauthenticatedError: no key, or one that is unknown, expired or revoked.
        ForbiddenError: a scope is missing.
    """
    if given is None:
        raise UnauthenticatedError(
            "No key",
            "The request carries no API key.",
            "Send the header `Authorization: Bearer sl_...`; `scatterlens serve` prints a key, "
            "`scatterlens keys create` makes one.",
        )
    with ledger.reading(request.state.gateway.engine) as session:
        principal = ledger.authenticate(session, given.credentials)
    if principal is None:
        raise UnauthenticatedError(
            "The key is not valid",
            "The key is unknown, expired or revoked.",
            "Ask for a new key: `scatterlens keys create`.",
        )
    missing = [scope for scope in wanted.scopes if scope not in principal.scopes]
    if missing:
        raise ForbiddenError(
            "missing_scope",
            "The key does not allow this",
            f"The key {principal.name!r} lacks the scope {', '.join(missing)}.",
            "Use a key of a role that has it: `scatterlens keys create --role ...`.",
        )
    return principal
