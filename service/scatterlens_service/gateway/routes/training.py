"""Training runs: asking for one, following it, ending it."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Response

from scatterlens.schemas import Training, TrainingList, TrainingRequest
from scatterlens.spelling import no_such
from scatterlens_models.training.asked import RecipeError, check_overrides, method_of
from scatterlens_models.vocabulary import UnknownVocabularyError, Vocabulary, load_vocabulary
from scatterlens_service import ledger
from scatterlens_service.gateway.deps import GatewayDep, Trainer, find_model
from scatterlens_service.gateway.errors import (
    InvalidError,
    NotFoundError,
    NotReadyError,
    problem_responses,
)
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.wire import to_training
from scatterlens_service.tending.training import can_train, start_training

router = APIRouter(prefix="/training", tags=["training"])
of_run = APIRouter(prefix="/training/{run_id}", tags=["training"])

_NO_MODELS = ("auto", "nothing")
_RUN = "run-"


def _known_run(
    gateway: GatewayDep,
    _caller: Trainer,
    run_id: Annotated[str, Path(max_length=32, description="As `GET /training` lists it.")],
) -> ledger.RunRow:
    return _read(gateway, run_id)


KnownRun = Annotated[ledger.RunRow, Depends(_known_run)]


@router.post("", status_code=202, responses=problem_responses(401, 403, 404, 409, 422, 500, 503))
def ask_for_training(
    response: Response,
    gateway: GatewayDep,
    caller: Trainer,
    request: TrainingRequest,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Training:
    """Queue a training on all labels of the service; an answer of 202 means that it will be done.

    The same request under the same `Idempotency-Key` is the same run.
    """
    if not can_train(gateway.settings, gateway.engine):
        raise NotReadyError(
            "no_trainer",
            "Nobody can train",
            "No trainer has reported lately.",
            "Install what it needs, `pip install 'scatterlens[train]'`, and start one:"
            " `scatterlens trainer`.",
        )
    _check_recipe(request)
    _check_start(gateway, request.start)
    vocabulary = _vocabulary(gateway, request.vocabulary)
    for attribute in request.attributes or ():
        _check_attribute(vocabulary, attribute)
    request = request.model_copy(update={"vocabulary": vocabulary.name})
    row = start_training(gateway.engine, gateway.bell, caller, request, idempotency_key)
    response.headers["Location"] = f"/api/v1/training/{row.id}"
    return to_training(row)


@router.get("", responses=problem_responses(401, 403, 422, 500, 503))
def list_trainings(gateway: GatewayDep, _caller: Trainer) -> TrainingList:
    """List the newest hundred runs, newest first."""
    with ledger.reading(gateway.engine) as session:
        return TrainingList(items=[to_training(row) for row in ledger.list_runs(session)])


@of_run.get("", responses=problem_responses(401, 403, 404, 422, 500, 503))
def read_training(run: KnownRun) -> Training:
    """Tell where a run stands."""
    return to_training(run)


@of_run.post("/cancel", responses=problem_responses(401, 403, 404, 422, 500, 503))
def cancel_training(gateway: GatewayDep, run: KnownRun) -> Training:
    """End a run; one that has ended stays as it is. What it learned stays in its folder."""
    with ledger.writing(gateway.engine) as session:
        ledger.cancel_run(session, run.id)
    return to_training(_read(gateway, run.id))


@of_run.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "The points of the run's curve, one as JSON on each line",
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
        },
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
def read_metrics(gateway: GatewayDep, run: KnownRun) -> Response:
    """Tell the curve of a run, as far as it came: steps, frame passes, loss, mAP."""
    with ledger.reading(gateway.engine) as session:
        points = ledger.run_metrics(session, run.id)
    text = "".join(json.dumps(point) + "\n" for point in points)
    return Response(text, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})


def _read(gateway: Gateway, run_id: str) -> ledger.RunRow:
    with ledger.reading(gateway.engine) as session:
        row = ledger.get_run(session, run_id)
    if row is None:
        raise NotFoundError(
            "unknown_run",
            "Unknown training run",
            "There is no run of this id.",
            "Choose one that GET /api/v1/training lists.",
        )
    return row


def _check_recipe(request: TrainingRequest) -> None:
    try:
        if request.recipe is not None:
            method_of(request.recipe)
        check_overrides(request.overrides)
    except RecipeError as error:
        raise InvalidError(
            "bad_recipe",
            "The recipe is not understood",
            f"{error}.",
            "Correct the name or the value; nothing was queued.",
            known=list(error.known),
        ) from error


def _vocabulary(gateway: Gateway, name: str | None) -> Vocabulary:
    if name is None:
        return gateway.catalogue.production.vocabulary
    try:
        return load_vocabulary(name)
    except UnknownVocabularyError as error:
        raise InvalidError(
            "unknown_vocabulary", "Unknown vocabulary", f"{error}.", "Choose one of these."
        ) from error


def _check_attribute(vocabulary: Vocabulary, attribute: str) -> None:
    if attribute not in vocabulary.ids:
        raise InvalidError(
            "unknown_attribute",
            "Unknown attribute",
            no_such("attribute", attribute, vocabulary.ids),
            "Correct the name; nothing was queued.",
            known=list(vocabulary.ids),
        )


def _check_start(gateway: Gateway, start: str) -> None:
    if start.startswith(_RUN):
        _read(gateway, start)
    elif start not in _NO_MODELS:
        find_model(gateway, start)
