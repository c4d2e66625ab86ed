"""Callers and their keys as wire models."""

from collections.abc import Sequence
from dataclasses import asdict

from scatterlens.schemas import KeyInfo, KeyList, NewKey, SessionInfo
from scatterlens_service import ledger


def to_session(caller: ledger.Principal, csrf: str | None) -> SessionInfo:
    """Who calls; scopes in the order in which they are always told."""
    return SessionInfo.model_validate(
        {
            "person": caller.person,
            "name": caller.name,
            "role": caller.role,
            "scopes": [scope for scope in ledger.SCOPES if scope in caller.scopes],
            "proposal": caller.proposal,
            "beamline": caller.beamline,
            "expires": caller.expires,
            "csrf": csrf,
        }
    )


def to_key(row: ledger.KeyRow) -> KeyInfo:
    """A key without its secret."""
    return KeyInfo.model_validate(asdict(row))


def to_keys(rows: Sequence[ledger.KeyRow]) -> KeyList:
    """Keys, and the roles that they can have."""
    roles = [{"role": role, "scopes": scopes} for role, scopes in ledger.ROLES.items()]
    return KeyList.model_validate({"items": [to_key(row) for row in rows], "roles": roles})


def to_new_key(row: ledger.KeyRow, key: str) -> NewKey:
    """A key with its secret, for the one answer that tells it."""
    return NewKey.model_validate({**asdict(row), "key": key})
