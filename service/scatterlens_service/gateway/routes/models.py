"""The registry of models over HTTP: what there is, taking one in, making one production."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor

from scatterlens.schemas import (
    CandidateIn,
    Comparison,
    ModelDetail,
    ModelInfo,
    OldFrames,
    PromoteIn,
    Reannotation,
    RollbackIn,
)
from scatterlens_models.bundle import Bundle, BundleError
from scatterlens_service import ledger, registry
from scatterlens_service.gateway.bodies import limit_body
from scatterlens_service.gateway.deps import GatewayDep, Keeper, Reader, find_model
from scatterlens_service.gateway.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    problem_responses,
)
from scatterlens_service.gateway.receiving import (
    receive_into,
    refuse_url_encoded,
    storing,
)
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.wire_models import (
    to_comparison,
    to_detail,
    to_info,
    to_reannotation,
)
from scatterlens_service.registry.installing import BadArchiveError, arriving, unpack


class _VersionConvertor(StringConvertor):
    """A part of an address that may be a version; `GET /models/rollback` asks for no model."""

    regex = "(?!rollback$)[^/]+"


register_url_convertor("version", _VersionConvertor())

router = APIRouter(prefix="/models", tags=["models"])

Version = Annotated[
    str, Path(pattern=r"^[0-9a-f]{12}$", description="First 12 digits of the content hash.")
]
_ZIP = {
    "required": True,
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
}
# Whoever exported the bundle wrote the page: it may draw, and do nothing else.
_REPORT_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline';"
    " img-src data:; frame-ancestors 'self'",
    "Cache-Control": "private, no-cache",
}
_REFUSALS = problem_responses(401, 403, 404, 409, 422, 500, 503)


@router.get("", responses=problem_responses(401, 403, 422, 500, 503))
def list_models(gateway: GatewayDep, _caller: Reader) -> list[ModelInfo]:
    """List the model versions that may be asked for, production first."""
    catalogue = gateway.catalogue
    with ledger.reading(gateway.engine) as session:
        rows = {row.version: row for row in ledger.list_models(session)}
        aliases = ledger.get_aliases(session)
    return [
        to_info(bundle, catalogue, rows.get(bundle.version), aliases)
        for bundle in catalogue.bundles
    ]


@router.get("/{version:version}", responses=problem_responses(401, 403, 404, 422, 500, 503))
def read_model(gateway: GatewayDep, _caller: Reader, version: Version) -> ModelDetail:
    """Tell all that is known of a model version: card, figures, gate, history."""
    return _detail(gateway, version)


@router.get(
    "/{version:version}/report",
    response_class=Response,
    responses={
        200: {"content": {"text/html": {}}, "description": "One page that needs nothing else"},
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
def read_report(gateway: GatewayDep, _caller: Reader, version: Version) -> Response:
    """Give the page that the evaluation of a model wrote, where its bundle holds one."""
    page = registry.read_report(_bundle(gateway, version))
    if page is None:
        raise NotFoundError(
            "no_report",
            "The bundle holds no report",
            "Its folder had no report.html when it was sealed.",
            "Its figures and its card are in GET /api/v1/models/{version}.",
        )
    return Response(page, media_type="text/html", headers=_REPORT_HEADERS)


@router.get(
    "/{version:version}/comparison", responses=problem_responses(401, 403, 404, 422, 500, 503)
)
def compare_models(
    gateway: GatewayDep,
    caller: Reader,
    version: Version,
    against: Annotated[
        str | None,
        Query(max_length=120, description="Another model by name or version; else production."),
    ] = None,
) -> Comparison:
    """Compare what two models say, on the newest frames that both annotated."""
    other = find_model(gateway, against)
    with ledger.reading(gateway.engine) as session:
        known = ledger.get_model(session, version) is not None
        rows = ledger.compare_models(session, version, other.version, caller)
    if not known:
        raise _unregistered(version)
    return to_comparison(version, other.version, rows)


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": ModelDetail, "description": "It was registered already"},
        **problem_responses(401, 403, 408, 409, 413, 415, 422, 500, 503, 507),
    },
    openapi_extra={"requestBody": _ZIP},
)
async def register_model(
    request: Request,
    response: Response,
    gateway: GatewayDep,
    caller: Keeper,
    run_id: Annotated[
        str | None,
        Query(max_length=64, pattern=r"^[A-Za-z0-9._-]+$", description="Training run of it."),
    ] = None,
    other_vocabulary: Annotated[
        bool, Query(description="Although it has other attributes than production.")
    ] = False,
) -> ModelDetail:
    """Take in a bundle: a zip file of its folder. It is verified, and nothing else changes."""
    refuse_url_encoded(
        request,
        'curl --data-binary @ZIP -H "Content-Type: application/zip"'
        f' -H "Authorization: Bearer $KEY" {request.url}',
    )
    limit_body(request, gateway.settings.max_bundle_bytes)
    with ExitStack() as stack:
        with storing():
            spool = await run_in_threadpool(stack.enter_context, gateway.blobs.spool())
            await receive_into(spool, request.stream())
            await run_in_threadpool(spool.flush)
        version, known = await run_in_threadpool(
            _register, gateway, spool.path, run_id, caller, other_vocabulary
        )
    if known:
        response.status_code = 200
    return await run_in_threadpool(_detail, gateway, version)


@router.post("/rollback", responses=_REFUSALS)
def roll_back(gateway: GatewayDep, caller: Keeper, said: RollbackIn) -> ModelDetail:
    """Return to the version before; frames that wait for the one that is left are answered by it.

    Each call undoes one promotion.
    """
    try:
        version = registry.roll_back(
            gateway.settings,
            gateway.engine,
            reason=said.reason,
            by=caller.name,
            leaving=said.leaving,
        )
    except registry.NotPromotedError as error:
        raise _not_promoted(error, "Production stays as it is") from error
    return _changed(gateway, version)


@router.put("/aliases/candidate", status_code=204, responses=_REFUSALS)
def set_candidate(gateway: GatewayDep, _caller: Keeper, said: CandidateIn) -> None:
    """Say which version is to be production next."""
    try:
        registry.set_candidate(gateway.engine, said.version)
    except registry.UnknownVersionError as error:
        raise _unknown(error) from error
    gateway.shelf.refresh()


@router.post("/{version:version}/promote", responses=_REFUSALS)
def promote_model(
    gateway: GatewayDep, caller: Keeper, version: Version, said: PromoteIn
) -> ModelDetail:
    """Make a version production, where the gate passed it against what is production now.

    Frames that come from now on are annotated by it, those that wait by the version before. An
    admin may override the gate; the history tells. Where it is production already nothing changes.
    """
    if said.override and "admin" not in caller.scopes:
        raise ForbiddenError(
            "missing_scope",
            "The key does not allow this",
            "Only a key with the scope admin may override the gate.",
            "Run the gate, or ask an admin.",
        )
    try:
        registry.promote(
            gateway.settings,
            gateway.engine,
            gateway.shelf.configured,
            version,
            reason=said.reason,
            by=caller.name,
            override=said.override,
        )
    except registry.UnknownVersionError as error:
        raise _unknown(error) from error
    except registry.NotPromotedError as error:
        raise _not_promoted(error, "The model was not promoted") from error
    if said.reannotate is not None:
        _look_again(gateway, caller, version, said.reannotate)
    return _changed(gateway, version)


@router.post("/{version:version}/annotate", status_code=202, responses=_REFUSALS)
def annotate_old_frames(
    gateway: GatewayDep, caller: Keeper, version: Version, wanted: OldFrames
) -> Reannotation:
    """Have a model look at frames of the past, after all new ones; none is looked at twice."""
    return to_reannotation(_look_again(gateway, caller, version, wanted))


def _register(
    gateway: Gateway,
    archive: FilePath,
    run_id: str | None,
    caller: ledger.Principal,
    other_vocabulary: bool,
) -> tuple[str, bool]:
    before = _versions(gateway)
    with arriving(gateway.settings) as folder:
        try:
            unpack(archive, folder, gateway.settings.max_bundle_bytes)
            version = registry.register(
                gateway.settings,
                gateway.engine,
                folder,
                run_id,
                caller.name,
                other_vocabulary=other_vocabulary,
            )
        except BadArchiveError as error:
            raise _refused("bad_archive", f"{error}") from error
        except BundleError as error:
            # Where it was unpacked is nobody's business.
            raise _refused("bad_bundle", f"{error}".replace(f"{folder}", "the bundle")) from error
        except registry.RefusedModelError as error:
            raise ConflictError(
                "model_refused",
                "The model was not registered",
                f"{error}.",
                "Look at GET /api/v1/models for what is registered.",
            ) from error
    gateway.shelf.refresh()
    return version, version in before


def _versions(gateway: Gateway) -> set[str]:
    with ledger.reading(gateway.engine) as session:
        return {row.version for row in ledger.list_models(session)}


def _look_again(
    gateway: Gateway, caller: ledger.Principal, version: str, wanted: OldFrames
) -> ledger.ReannotationRow:
    said = wanted.model_dump(mode="json", exclude_none=True)
    if wanted.since is not None and wanted.since.tzinfo is None:
        said["since"] = wanted.since.replace(tzinfo=UTC).isoformat()
    with ledger.writing(gateway.engine) as session:
        if ledger.get_model(session, version) is None:
            raise _unregistered(version)
        return ledger.request_reannotation(session, version, said, caller.name)


def _changed(gateway: Gateway, version: str) -> ModelDetail:
    """After a change of production: let this gateway know, and wake workers to load it."""
    gateway.shelf.refresh()
    gateway.bell.ring(ledger.LIVE)
    return _detail(gateway, version)


def _detail(gateway: Gateway, version: str) -> ModelDetail:
    with ledger.reading(gateway.engine) as session:
        row = ledger.get_model(session, version)
        active = gateway.shelf.active(session)
        aliases = ledger.get_aliases(session)
        history = ledger.promotions(session)
        again = ledger.list_reannotations(session, version)
    if row is None:
        raise _unregistered(version)
    return to_detail(
        row,
        [model.version for model in active],
        aliases,
        history,
        again,
        has_report=registry.has_report(_bundle(gateway, version)),
    )


def _bundle(gateway: Gateway, version: str) -> Bundle | None:
    """None where it is not known, or its files are gone."""
    return next((one for one in gateway.catalogue.bundles if one.version == version), None)


def _unregistered(version: str) -> NotFoundError:
    return _unknown(registry.UnknownVersionError(f"no model of version {version} is registered"))


def _refused(kind: str, detail: str) -> InvalidError:
    return InvalidError(
        kind,
        "The bundle is refused",
        f"{detail}.",
        "Nothing was registered; export or pack the bundle again.",
    )


def _unknown(error: registry.UnknownVersionError) -> NotFoundError:
    return NotFoundError(
        "unknown_model",
        "Unknown model",
        f"{error.args[0]}.",
        "Choose one that GET /api/v1/models lists, or register it.",
    )


def _not_promoted(error: registry.NotPromotedError, title: str) -> ConflictError:
    checks: Sequence[object] = error.checks
    return ConflictError(
        "not_promoted",
        title,
        f"{error}.",
        "Mend what is named, or have an admin override it with a reason.",
        checks=list(checks),
    )
