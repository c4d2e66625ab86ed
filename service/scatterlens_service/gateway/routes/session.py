"""Logging a browser in and out, and telling who calls."""

from fastapi import APIRouter, Request, Response

from scatterlens.schemas import SessionIn, SessionInfo
from scatterlens_service import ledger
from scatterlens_service.gateway.auth import COOKIE, csrf_token, refuse_key
from scatterlens_service.gateway.deps import Caller, GatewayDep
from scatterlens_service.gateway.errors import problem_responses
from scatterlens_service.gateway.wire_access import to_session

router = APIRouter(prefix="/session", tags=["access"])


@router.post("", responses=problem_responses(401, 422, 500, 503))
def log_in(
    request: Request, response: Response, gateway: GatewayDep, sent: SessionIn
) -> SessionInfo:
    """Log in with a key: the answer sets a cookie, which does from now on what the key would.

    The cookie cannot be read by scripts and is not sent by pages of other sites. A session that
    the same browser had before ends.
    """
    seconds = gateway.settings.session_hours * 3600
    with ledger.writing(gateway.engine) as session:
        holder = ledger.authenticate(session, sent.key, hold=True)
        if holder is None:
            raise refuse_key()
        before = request.cookies.get(COOKIE)
        if before is not None:
            ledger.end_session_of(session, before)
        token = ledger.open_session(session, holder, seconds)
        caller = ledger.find_session(session, token)
    if caller is None:
        raise refuse_key()  # it ended this very moment
    response.set_cookie(
        COOKIE,
        token,
        expires=caller.expires,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    response.headers["Cache-Control"] = "no-store"
    return to_session(caller, csrf_token(token))


@router.get("", responses=problem_responses(401, 403, 422, 500, 503))
def read_session(request: Request, response: Response, caller: Caller) -> SessionInfo:
    """Tell who calls, what they may do, and until when."""
    response.headers["Cache-Control"] = "no-store"
    by_cookie = caller.session is not None
    return to_session(caller, csrf_token(request.cookies[COOKIE]) if by_cookie else None)


@router.delete("", status_code=204, responses=problem_responses(401, 403, 422, 500, 503))
def log_out(gateway: GatewayDep, caller: Caller, response: Response) -> None:
    """End the session; a caller who sent a key has none, and nothing happens."""
    if caller.session is not None:
        with ledger.writing(gateway.engine) as session:
            ledger.end_session(session, caller.session)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict")
