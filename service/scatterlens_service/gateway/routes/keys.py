"""API keys, for those who run the service."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from scatterlens.schemas import LINE, KeyIn, KeyInfo, KeyList, NewKey
from scatterlens_service import ledger
from scatterlens_service.gateway.deps import Admin, GatewayDep
from scatterlens_service.gateway.errors import NotFoundError, problem_responses
from scatterlens_service.gateway.wire_access import to_key, to_keys, to_new_key

router = APIRouter(prefix="/keys", tags=["access"])

KeyId = Annotated[str, Path(max_length=32, pattern=LINE)]


@router.get("", responses=problem_responses(401, 403, 422, 500, 503))
def list_keys(gateway: GatewayDep, _caller: Admin) -> KeyList:
    """List all keys without their secrets, oldest first, and what each role may do."""
    with ledger.reading(gateway.engine) as session:
        return to_keys(ledger.list_keys(session))


@router.post("", status_code=201, responses=problem_responses(401, 403, 422, 500, 503))
def create_key(response: Response, gateway: GatewayDep, _caller: Admin, wanted: KeyIn) -> NewKey:
    """Make a key; this answer is the only one that tells it."""
    with ledger.writing(gateway.engine) as session:
        key = ledger.create_key(
            session,
            wanted.name,
            role=wanted.role,
            scopes=wanted.scopes,
            days=wanted.expires_days,
            proposal=wanted.proposal,
            beamline=wanted.beamline,
            continues=wanted.continues,
        )
        row = ledger.get_key(session, key.split("_")[1])
    assert row is not None
    response.headers["Cache-Control"] = "no-store"
    return to_new_key(row, key)


@router.post("/{key_id}/revoke", responses=problem_responses(401, 403, 404, 409, 422, 500, 503))
def revoke_key(gateway: GatewayDep, _caller: Admin, key_id: KeyId) -> KeyInfo:
    """End a key and its sessions now; one that was revoked before stays so.

    The last one of an admin cannot be ended: nobody could make keys any more.
    """
    with ledger.writing(gateway.engine) as session:
        ledger.revoke_key(session, key_id)
        row = ledger.get_key(session, key_id)
    if row is None:
        raise NotFoundError(
            "unknown_key",
            "Unknown key",
            "There is no key of this id.",
            "Choose one that GET /api/v1/keys lists.",
        )
    return to_key(row)
