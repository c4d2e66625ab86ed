"""Callers and their keys as wire models."""

from scatterlens.schemas import SessionInfo
from scatterlens_service import ledger


def to_session(caller: ledger.Principal, csrf: str | None) -> SessionInfo:
    """Who calls; scopes in the order in which they are always told."""
    return SessionInfo.model_validate(
        {
            "name": caller.name,
            "role": caller.role,
            "scopes": [scope for scope in ledger.SCOPES if scope in caller.scopes],
            "proposal": caller.proposal,
            "beamline": caller.beamline,
            "expires": caller.expires,
            "csrf": csrf,
        }
    )
