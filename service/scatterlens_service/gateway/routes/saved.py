"""Searches that the caller wants to make again."""

from urllib.parse import parse_qsl

from fastapi import APIRouter
from fastapi.routing import APIRoute

from scatterlens.schemas import SavedSearch, SavedSearches, SearchIn
from scatterlens_service import ledger
from scatterlens_service.gateway.deps import GatewayDep, Reader
from scatterlens_service.gateway.errors import NotFoundError, problem_responses
from scatterlens_service.gateway.routes import search
from scatterlens_service.gateway.understanding import check_names, parameters_of

router = APIRouter(prefix="/searches", tags=["search"])

_KNOWN = next(
    parameters_of(route)
    for route in search.router.routes
    if isinstance(route, APIRoute) and route.endpoint is search.list_frames
)


@router.get("", responses=problem_responses(401, 403, 422, 500, 503))
def list_searches(gateway: GatewayDep, caller: Reader) -> SavedSearches:
    """List the searches that the caller keeps."""
    with ledger.reading(gateway.engine) as session:
        rows = ledger.list_searches(session, caller)
    return SavedSearches(items=[SavedSearch.model_validate(vars(row)) for row in rows])


@router.post("", status_code=201, responses=problem_responses(401, 403, 409, 422, 500, 503))
def save_search(gateway: GatewayDep, caller: Reader, said: SearchIn) -> SavedSearch:
    """Keep a search under a name of its own."""
    # It is a search: what a search would refuse is not kept to be refused later.
    names = (name for name, _ in parse_qsl(said.query, keep_blank_values=True))
    check_names("parameter", names, _KNOWN)
    with ledger.writing(gateway.engine) as session:
        row = ledger.save_search(session, caller, said.name, said.query)
    return SavedSearch.model_validate(vars(row))


@router.delete(
    "/{search_id}", status_code=204, responses=problem_responses(401, 403, 404, 422, 500, 503)
)
def delete_search(gateway: GatewayDep, caller: Reader, search_id: int) -> None:
    """Forget a search."""
    with ledger.writing(gateway.engine) as session:
        gone = ledger.delete_search(session, caller, search_id)
    if not gone:
        raise NotFoundError(
            "unknown_search",
            "Unknown search",
            "The caller keeps no search of this id.",
            "Compare with GET /api/v1/searches.",
        )
