"""What the gateway refuses, and the one way in which every refusal is said: RFC 9457.

    ProblemError
    ├── NotFoundError (LookupError)       404
    ├── GoneError (LookupError)           410   it was here, and was removed on purpose
    ├── NotReadyError (LookupError)       409   the frame has no annotation (yet)
    ├── ConflictError                     409   what it asks for does not fit what is there
    ├── UnauthenticatedError              401
    ├── ForbiddenError (PermissionError)  403
    ├── InvalidError (ValueError)         422   the request, or the file in it
    ├── StalledError (TimeoutError)       408
    ├── OutdatedError                     412   what it speaks of changed meanwhile
    ├── TooLargeError (ValueError)        413
    ├── UnsupportedError (ValueError)     415
    ├── BusyError                         503   with Retry-After
    └── StorageError (OSError)            507   with Retry-After

Errors of the ledger and the blob store carry no HTTP; `_DOMAIN` says what each becomes here.
"""

import errno
import logging
import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from scatterlens.schemas import Problem, Reason
from scatterlens_models.stored import NotKeptError
from scatterlens_service.gateway.methods import allowed_methods
from scatterlens_service.keeping.blobs import BlobDamagedError, BlobMissingError
from scatterlens_service.ledger import (
    AmbiguousScanError,
    BadFilterError,
    BadKeyError,
    FrameTakenError,
    IdempotencyConflictError,
    LabelledError,
    LastAdminError,
    SearchExistsError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """A refusal: what happened, and what to do about it."""

    status = 500

    def __init__(
        self,
        type_: str,
        title: str,
        detail: str,
        remedy: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ):
        super().__init__(f"{detail} {remedy}")
        self.reason = Reason(type=type_, title=title, detail=detail, remedy=remedy)
        self.headers = dict(headers or {})
        self.more = more


class NotFoundError(ProblemError, LookupError):
    """There is no such thing, or the caller may not see it."""

    status = 404


class GoneError(ProblemError, LookupError):
    """It was here, and was removed on purpose."""

    status = 410


class NotReadyError(ProblemError, LookupError):
    """The frame is known, but what was asked for does not exist (yet)."""

    status = 409


class ConflictError(ProblemError):
    """The request is sound, but what is there does not allow it."""

    status = 409


class UnauthenticatedError(ProblemError):
    """No key, or none that is valid."""

    status = 401

    def __init__(self, title: str, detail: str, remedy: str):
        super().__init__(
            "unauthenticated", title, detail, remedy, headers={"WWW-Authenticate": "Bearer"}
        )


class ForbiddenError(ProblemError, PermissionError):
    """The key is valid and does not allow this."""

    status = 403


class InvalidError(ProblemError, ValueError):
    """The request, or the file in it, says something that cannot be."""

    status = 422


class StalledError(ProblemError, TimeoutError):
    """The client stopped sending."""

    status = 408


class OutdatedError(ProblemError):
    """What the request speaks of is no longer as its sender saw it."""

    status = 412


class TooLargeError(ProblemError, ValueError):
    """More bytes than the service takes."""

    status = 413


class UnsupportedError(ProblemError, ValueError):
    """The content is in no format that the service reads."""

    status = 415


class BusyError(ProblemError):
    """The queue is full; the same request will be taken later."""

    status = 503


class StorageError(ProblemError, OSError):
    """The disk is full; the same request will be taken once there is room."""

    status = 507


def problem(
    reason: Reason, status: int, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """Answer with a problem document."""
    document = Problem(status=status, **reason.model_dump(), **more)
    return JSONResponse(
        document.model_dump(mode="json", exclude_none=True),
        status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare the refusals of a route for the OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted(statuses)
    }


def install(app: FastAPI) -> None:
    """Make every error of an application, its frameworks' included, a problem document."""
    app.add_exception_handler(ProblemError, _answer_refusal)
    for error in _DOMAIN:
        app.add_exception_handler(error, _answer_domain)
    app.add_exception_handler(OSError, _answer_os_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_framework)
    app.add_exception_handler(Exception, _answer_fault)


async def _answer_refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    if error.status in _OPERATORS:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        _note(request, error.reason.type, f"{error.reason.title}: {error.reason.detail}{cause}")
    return problem(error.reason, error.status, error.headers, **error.more)


_DOMAIN: dict[type[Exception], tuple[int, str, str, str]] = {
    BadFilterError: (
        422,
        "bad_filter",
        "The filter cannot be read",
        "Write it like `ring > 0.8 and not (halo or textured < 0.2)`.",
    ),
    AmbiguousScanError: (
        422,
        "ambiguous_scan",
        "Several scans have that name",
        "Name the `proposal`, and the `beamline` where needed; empty where none was told.",
    ),
    FrameTakenError: (
        409,
        "frame_taken",
        "The frame is known there already",
        "Correct it there: name that `proposal` and `beamline` in the address of the request"
        " (`describe --within`).",
    ),
    SearchExistsError: (
        409,
        "search_exists",
        "The name is taken",
        "Choose another name, or delete that search first.",
    ),
    LastAdminError: (
        409,
        "last_admin",
        "The last admin stays",
        "Make another key of the role admin that is bound to nothing, then revoke this one.",
    ),
    BadKeyError: (422, "bad_key", "The key cannot be made", "Ask for one that can."),
    IdempotencyConflictError: (
        422,
        "idempotency_key_reused",
        "The Idempotency-Key belongs to another request",
        "Choose a new key for a new request.",
    ),
    NotKeptError: (
        410,
        "not_kept",
        "What the pictures are made from is no longer kept",
        "Probabilities and tags stay. Who needs it again has the frame deleted, and sends it anew;"
        " SCATTERLENS_RETAIN_PREVIEW_DAYS and SCATTERLENS_RETAIN_MAP_DAYS say what is kept.",
    ),
    LabelledError: (
        409,
        "labelled",
        "People have labelled the frame",
        "Ask for it again with `delete_labels=true` if their labels shall go with it.",
    ),
    BlobMissingError: (404, "file_missing", "The file is gone", "Send the frame again."),
    BlobDamagedError: (500, "file_damaged", "A stored file is damaged", "Tell the operator."),
    OperationalError: (
        503,
        "ledger_unavailable",
        "The ledger cannot be reached",
        "Try again in a few seconds; nothing was recorded.",
    ),
}
"""Status, type, title and remedy of errors that come from below."""


_OPERATORS = (503, 507)
"""Refusals that their operator should hear of: once, however many requests meet them."""


async def _answer_domain(request: Request, error: Exception) -> JSONResponse:
    status, type_, title, remedy = next(_DOMAIN[c] for c in type(error).__mro__ if c in _DOMAIN)
    if status < 500:
        return problem(Reason(type=type_, title=title, detail=f"{error}", remedy=remedy), status)
    if is_full(error):
        return await _answer_full(request, error)
    # What a database or a disk says may hold paths and statements: it belongs in the log.
    _note(request, type_, f"{title}: {error}")
    reason = Reason(type=type_, title=title, detail=f"{title}.", remedy=remedy)
    return problem(reason, status, {"Retry-After": "2"} if status == 503 else None)


def is_full(error: BaseException) -> bool:
    """Whether something could not be written because there was no room, of whatever layer."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    cause = getattr(error, "orig", None)
    told = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return told or getattr(cause, "sqlstate", None) == "53100"


def _note(request: Request, name: str, said: str) -> None:
    # Before the service is up there is nothing to note it in.
    gateway = getattr(request.state, "gateway", None)
    if gateway is None:
        logger.error("%s", said)
    else:
        gateway.troubles.meet(name, said)


async def _answer_full(request: Request, error: Exception) -> JSONResponse:
    _note(request, "disk_full", f"The disk is full: {error}")
    reason = Reason(
        type="disk_full",
        title="The disk is full",
        detail="Nothing was kept of this request.",
        remedy="Send it again later; the operator has to make room on the disk of the service.",
    )
    return problem(reason, 507, {"Retry-After": "30"})


async def _answer_os_error(request: Request, error: Exception) -> JSONResponse:
    if is_full(error):
        return await _answer_full(request, error)
    logger.error("%s failed", request.method, exc_info=error)
    return await _answer_fault(request, error)


async def _answer_nobody(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # the client went away while it was sending


_AS_JSON = "Send the body as JSON, with `Content-Type: application/json` (curl: `--json '{...}'`)."


def _is_json(request: Request) -> bool:
    return "json" in request.headers.get("content-type", "")


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # The offending input is not repeated: it may be long, or secret.
    places = [
        {"where": ".".join(str(part) for part in entry["loc"]), "message": entry["msg"]}
        for entry in error.errors()
    ]
    said = "; ".join(f"{place['where']}: {place['message']}" for place in places)
    reason = Reason(
        type="invalid_request",
        title="The request is not valid",
        detail=f"{said}.",
        remedy=_AS_JSON
        if any(place["where"] == "body" for place in places) and not _is_json(request)
        else "Correct these values; /api/v1/openapi.json says what each may be.",
    )
    return problem(reason, 422, errors=places)


_FRAMEWORK_REMEDIES = {
    400: (
        "bad_body",
        "The body cannot be read",
        "Send JSON as UTF-8 (or a form, where one is taken): not nested without end, and no number"
        " of thousands of digits.",
    ),
    404: ("not_found", "Nothing is here", "Look up the path in /api/v1/openapi.json."),
    405: ("method_not_allowed", "Method not allowed", "Use a method named in `Allow`."),
}


async def _answer_framework(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ProblemError):
        # What was refused while a body was read: the framework makes a 400 of everything there.
        return await _answer_refusal(request, error.__cause__)
    phrase = HTTPStatus(error.status_code).phrase
    type_, title, remedy = _FRAMEWORK_REMEDIES.get(
        error.status_code,
        ("bad_request", phrase, "Compare the request with /api/v1/openapi.json."),
    )
    reason = Reason(type=type_, title=title, detail=f"{error.detail}", remedy=remedy)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # The framework names the methods of the first route that it meets.
        headers["Allow"] = ", ".join(allowed_methods(request))
    return problem(reason, error.status_code, headers)


async def _answer_fault(request: Request, error: Exception) -> JSONResponse:
    # Starlette raises the error again after this answer, so the server's log has the trace.
    logger.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
    reason = Reason(
        type="internal_error",
        title="The service failed",
        detail="The request could not be answered because of a fault of the service.",
        remedy="Try again; if it happens again, send its operator the time and the request.",
    )
    return problem(reason, 500)
