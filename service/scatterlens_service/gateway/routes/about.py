"""What the service knows and how it is: attributes, health."""

from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from scatterlens.schemas import AttributeInfo, Health, WorkerInfo
from scatterlens_service import ledger
from scatterlens_service.gateway.deps import ChosenModel, GatewayDep, Reader
from scatterlens_service.gateway.errors import problem_responses
from scatterlens_service.gateway.health import find_problems

router = APIRouter(tags=["service"])
probes = APIRouter(prefix="/health", tags=["service"])


class Alive(BaseModel):
    """The answer of the two probes."""

    status: Literal["ok"] = "ok"


@router.get("/attributes", responses=problem_responses(401, 403, 404, 422, 500, 503))
def list_attributes(_caller: Reader, model: ChosenModel) -> list[AttributeInfo]:
    """List the vocabulary of a model, in the order of its arrays."""
    return [
        AttributeInfo(
            id=attribute.id,
            name=attribute.name,
            definition=attribute.definition,
            group=attribute.group,
        )
        for attribute in model.vocabulary.attributes
    ]


@router.get("/health", responses=problem_responses(401, 403, 422, 500, 503))
def read_health(gateway: GatewayDep, _caller: Reader) -> Health:
    """Tell how full the queue is, which workers run on what, and what is wrong."""
    with ledger.reading(gateway.engine) as session:
        status = ledger.queue_status(session)
    workers = [
        WorkerInfo(
            id=seen.report.id,
            device=seen.report.device,
            provider=seen.report.provider,
            seen_seconds_ago=round(seen.seen_seconds_ago, 3),
            models=list(seen.report.models),
        )
        for seen in status.workers
    ]
    problems = find_problems(gateway, status)
    return Health(
        status="degraded" if problems else "ok",
        version=version("scatterlens"),
        queued=status.queued,
        leased=status.leased,
        oldest_queued_seconds=status.oldest_queued_seconds,
        workers=workers,
        problems=problems,
    )


@probes.get("/live", responses=problem_responses(500))
async def read_live() -> Alive:
    """Answer while the process can."""
    return Alive()


@probes.get("/ready", responses=problem_responses(500, 503, 507))
def read_ready(gateway: GatewayDep) -> Alive:
    """Answer 200 while frames are taken: the ledger answers, queue and disk have room."""
    with ledger.reading(gateway.engine) as session:
        ledger.last_event_id(session)
    gateway.admission.check()
    return Alive()
