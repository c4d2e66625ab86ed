"""`POST /frames`: taking frames in."""

from contextlib import ExitStack
from functools import partial
from shlex import quote
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import Json, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from scatterlens.schemas import FrameMetadata, Submission
from scatterlens_service.gateway.bodies import limit_body
from scatterlens_service.gateway.deps import GatewayDep, ModelName, Sender, find_model
from scatterlens_service.gateway.errors import InvalidError, problem_responses
from scatterlens_service.gateway.intake import (
    Intake,
    ReceivedFile,
    read_selection,
    take_in,
    take_in_one,
)
from scatterlens_service.gateway.metadata import bad_metadata, check_metadata, describe_faults
from scatterlens_service.gateway.receiving import (
    clean_filename,
    expected_sha256,
    filename_in,
    read_sha256,
    receive_into,
    refuse_url_encoded,
    storing,
)
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.understanding import check_names

router = APIRouter(tags=["frames"])

_MAX_FIELD_BYTES = 2**18
_COPY_BYTES = 2**20
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "required": True,
    "content": {
        "application/octet-stream": _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "array", "items": _BINARY["schema"]},
                    "sha256": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "The n-th belongs to the n-th file.",
                    },
                    "metadata": {
                        "type": "string",
                        "description": "Speaks of all files.",
                        "contentMediaType": "application/json",
                        "contentSchema": {"$ref": "#/components/schemas/FrameMetadata"},
                    },
                },
            }
        },
    },
}

_FIELDS = {
    name: described["type"] == "array"
    for name, described in _BODY["content"]["multipart/form-data"]["schema"]["properties"].items()
}
"""Those of a form, and whether each may be repeated."""


def _metadata(
    sample: str | None = None,
    scan: str | None = None,
    frame_number: str | None = None,
    technique: str | None = None,
    beamline: str | None = None,
    proposal: str | None = None,
    motors: Annotated[Json[Any] | None, Query(description="JSON object of numbers.")] = None,
    geometry: Annotated[Json[Any] | None, Query(description="GeometryIn as JSON.")] = None,
    poni: str | None = None,
    extra: Annotated[Json[Any] | None, Query(description="JSON object of free keys.")] = None,
    x_scatterlens_metadata: Annotated[
        Json[Any] | None, Header(description="FrameMetadata as JSON.")
    ] = None,
) -> dict[str, Any]:
    """Metadata of header and query; what the query says counts more."""
    told = {
        "sample": sample,
        "scan": scan,
        "frame_number": frame_number,
        "technique": technique,
        "beamline": beamline,
        "proposal": proposal,
        "motors": motors,
        "geometry": geometry,
        "poni": poni,
        "extra": extra,
    }
    base = x_scatterlens_metadata if x_scatterlens_metadata is not None else {}
    if not isinstance(base, dict):
        raise bad_metadata("it is not a JSON object")
    return {**base, **{name: value for name, value in told.items() if value is not None}}


@router.post(
    "/frames",
    status_code=202,
    responses={
        200: {"model": Submission, "description": "All frames were known already"},
        **problem_responses(400, 401, 403, 404, 408, 413, 415, 422, 500, 503, 507),
    },
    openapi_extra={"requestBody": _BODY},
)
async def submit_frames(
    request: Request,
    response: Response,
    gateway: GatewayDep,
    caller: Sender,
    told: Annotated[dict[str, Any], Depends(_metadata)],
    model: ModelName = None,
    frames: Annotated[str, Query(description="Of a stack: `all`, `i`, or `i:j`.")] = "all",
    filename: Annotated[str | None, Query(max_length=1000)] = None,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Submission:
    """Take a file (raw body) or several (multipart); an answer of 202 means they are kept.

    In multipart, one refused file does not refuse the others: its item carries the error. Where
    all are refused the answer is an error too, with the same `items`.
    """
    refuse_url_encoded(
        request, f'curl -F file=@FILE -H "Authorization: Bearer $KEY" {quote(str(request.url))}'
    )
    limit_body(request, gateway.settings.max_body_bytes)
    selection = read_selection(frames)
    asked = None if model is None else find_model(gateway, model)
    await run_in_threadpool(gateway.admission.check)

    intake = partial(
        Intake,
        caller=caller,
        selection=selection,
        asked=asked,
        idempotency_key=idempotency_key,
    )
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        # Metadata of a form is checked once it has been read.
        items = await _take_form(gateway, request, told, intake)
    else:
        name = filename or filename_in(request.headers.get("content-disposition"))
        items = await _take_body(gateway, request, intake(metadata=check_metadata(told)), name)
    if all(item.duplicate for item in items):
        response.status_code = 200
    return Submission(items=items)


async def _take_body(gateway: Gateway, body: Request, intake: Intake, filename: str | None):
    expected = expected_sha256(body.headers)
    with ExitStack() as stack:
        with storing():
            spool = await run_in_threadpool(stack.enter_context, gateway.blobs.spool())
            await receive_into(spool, body.stream())
        file = ReceivedFile(spool, clean_filename(filename), expected)
        return await run_in_threadpool(take_in_one, gateway, intake, file)


async def _take_form(gateway: Gateway, body: Request, told: dict[str, Any], intake: Any):
    async with body.form(
        max_files=gateway.settings.max_frames, max_part_size=_MAX_FIELD_BYTES
    ) as form:
        return await run_in_threadpool(_take_parts, gateway, form, told, intake)


def _take_parts(gateway: Gateway, form: FormData, told: dict[str, Any], intake: Any):
    check_names("field", (name for name, _ in form.multi_items()), _FIELDS)
    parts = [part for part in form.getlist("file") if isinstance(part, UploadFile)]
    digests = [read_sha256(text) for text in form.getlist("sha256") if isinstance(text, str)]
    if not parts or len(digests) not in (0, len(parts)):
        raise InvalidError(
            "bad_form",
            "The form does not fit",
            f"It holds {len(parts)} files and {len(digests)} `sha256` fields.",
            "Send at least one file part, and a `sha256` for each or for none.",
        )
    field = form.get("metadata")
    ready = intake(metadata=check_metadata(_read_field(field) | told))
    with ExitStack() as stack:
        files = []
        with storing():
            for part, digest in zip(parts, digests or [None] * len(parts), strict=True):
                spool = stack.enter_context(gateway.blobs.spool())
                while chunk := part.file.read(_COPY_BYTES):
                    spool.write(chunk)
                files.append(ReceivedFile(spool, clean_filename(part.filename), digest))
        return take_in(gateway, ready, files)


def _read_field(field: Any) -> dict[str, Any]:
    if field is None:
        return {}
    try:
        return FrameMetadata.model_validate_json(field).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise bad_metadata(describe_faults(error)) from error
