"""What a route may ask for, each under one name."""

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Security
from pydantic import AfterValidator

from scatterlens.schemas import Moment
from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger
from scatterlens_service.gateway.auth import identify_caller
from scatterlens_service.gateway.errors import NotFoundError
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.registry.catalogue import UnknownModelError

_FRAME_ID = re.compile(r"[0-9a-f]{64}(\.[0-9]{1,9})?")


def _gateway(request: Request) -> Gateway:
    return request.state.gateway


GatewayDep = Annotated[Gateway, Depends(_gateway)]
Caller = Annotated[ledger.Principal, Security(identify_caller)]
Reader = Annotated[ledger.Principal, Security(identify_caller, scopes=["results:read"])]
Sender = Annotated[ledger.Principal, Security(identify_caller, scopes=["frames:write"])]
Trainer = Annotated[ledger.Principal, Security(identify_caller, scopes=["train:run"])]
Keeper = Annotated[ledger.Principal, Security(identify_caller, scopes=["models:write"])]
Labeller = Annotated[ledger.Principal, Security(identify_caller, scopes=["labels:write"])]
Admin = Annotated[ledger.Principal, Security(identify_caller, scopes=["admin"])]


def in_utc(time: datetime) -> datetime:
    """The time with a zone."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


Since = Annotated[
    Annotated[Moment, AfterValidator(in_utc)] | None,
    Query(description="Sent or said at this time or later; UTC where no zone is told."),
]

ModelName = Annotated[
    str | None,
    Query(
        alias="model",
        max_length=120,
        description="Model by `name`, `version` or `name@version`; default: production.",
    ),
]


def find_model(gateway: Gateway, model: str | None) -> Bundle:
    """Look a model up in the catalogue; `NotFoundError` names those that are known."""
    try:
        return gateway.catalogue.find(model)
    except UnknownModelError as error:
        raise NotFoundError(
            "unknown_model",
            "Unknown model",
            f"{error.args[0]}.",
            "Choose one that GET /api/v1/models lists.",
        ) from error


def _model(gateway: GatewayDep, model: ModelName = None) -> Bundle:
    return find_model(gateway, model)


ChosenModel = Annotated[Bundle, Depends(_model)]


Within = Annotated[
    str | None,
    Query(
        max_length=500,
        pattern=r"^[^\x00]*$",
        description="Where the frame is known within several: which is meant. Else the newest.",
    ),
]


def _visible_frame(
    gateway: GatewayDep,
    caller: Reader,
    frame_id: Annotated[
        str, Path(description="`<sha256>` of the file, `<sha256>.<index>` inside a stack.")
    ],
    proposal: Within = None,
    beamline: Within = None,
) -> ledger.FrameRow:
    row = None
    if _FRAME_ID.fullmatch(frame_id):
        with ledger.reading(gateway.engine) as session:
            version = gateway.catalogue.production.version
            row = ledger.get_frame(
                session,
                frame_id,
                production=version,
                sees=caller,
                proposal=proposal,
                beamline=beamline,
            )
            stone = None if row else ledger.find_tombstone(session, frame_id)
        if stone is not None and caller.proposal is None and caller.beamline is None:
            raise NotFoundError(
                "deleted",
                "The frame was deleted",
                f"{stone.by} deleted it on {stone.time:%Y-%m-%d}: {stone.reason.rstrip('.')}.",
                "If it is needed, send the file again; it is taken as new.",
            )
    if row is None:
        raise NotFoundError(
            "unknown_frame",
            "Unknown frame",
            "There is no frame of this id, or this key may not see it.",
            "Compare the id with GET /api/v1/frames; inside a stack it ends in `.<index>`.",
        )
    return row


VisibleFrame = Annotated[ledger.FrameRow, Depends(_visible_frame)]


def _model_of_frame(gateway: GatewayDep, frame: VisibleFrame, model: ModelName = None) -> Bundle:
    """The model that is named, else production, else what was production when it was sent."""
    catalogue = gateway.catalogue
    if model is not None:
        return find_model(gateway, model)
    with ledger.reading(gateway.engine) as session:
        asked = ledger.asked_versions(session, frame.frame_id)
    known = {bundle.version: bundle for bundle in catalogue.bundles}
    if catalogue.production.version in asked:
        return catalogue.production
    return next((known[v] for v in reversed(asked) if v in known), catalogue.production)


FrameModel = Annotated[Bundle, Depends(_model_of_frame)]
