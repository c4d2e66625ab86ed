"""For those who run the service: how it does, what went wrong, and trying that again."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from scatterlens.schemas import JobInfo, JobPage, Operations, Retried, RetryIn, State
from scatterlens_service import ledger
from scatterlens_service.gateway.cursors import read_cursor, write_cursor
from scatterlens_service.gateway.deps import Admin, GatewayDep
from scatterlens_service.gateway.errors import ConflictError, NotFoundError, problem_responses
from scatterlens_service.gateway.health import find_problems
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.wire_operations import to_job, to_operations
from scatterlens_service.tending.training import can_train

router = APIRouter(tags=["operations"])

_SEEN_SECONDS = 3600.0


@router.get("/operations", responses=problem_responses(401, 403, 422, 500, 503))
def read_operations(gateway: GatewayDep, _caller: Admin) -> Operations:
    """Tell what waits and what ended in each queue, who works, how full the disk is."""
    with ledger.reading(gateway.engine) as session:
        status = ledger.queue_status(session)
        backlogs = ledger.backlogs(session)
        troubled = ledger.count_troubled(session)
        workers = ledger.seen_workers(session, seen_within_seconds=_SEEN_SECONDS)
        runs = ledger.open_runs(session)
    return to_operations(
        backlogs,
        troubled,
        workers,
        gateway.admission.disk(),
        runs,
        can_train=can_train(gateway.settings, gateway.engine),
        problems=find_problems(gateway, status),
    )


@router.get("/jobs", responses=problem_responses(401, 403, 422, 500, 503))
def list_jobs(
    gateway: GatewayDep,
    _caller: Admin,
    state: Literal[State.FAILED, State.QUARANTINED],
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> JobPage:
    """List jobs on frames that failed or were quarantined, with reasons, newest first."""
    before = None if cursor is None else int(read_cursor(cursor, r"job:(\d{1,18})")[1])
    with ledger.reading(gateway.engine) as session:
        rows, following = ledger.list_jobs(session, state, before=before, limit=limit)
    return JobPage(
        items=[to_job(row) for row in rows],
        next_cursor=None if following is None else write_cursor(f"job:{following}"),
    )


@router.post("/jobs/{job_id}/retry", responses=problem_responses(401, 403, 404, 409, 422, 500, 503))
def retry_job(
    gateway: GatewayDep,
    _caller: Admin,
    job_id: Annotated[int, Path(ge=1, le=2**63 - 1, description="As `GET /jobs` lists it.")],
) -> JobInfo:
    """Queue a failed or quarantined job anew, with all its attempts forgiven."""
    retried = _retry(gateway, [job_id])
    if retried:
        return to_job(retried[0])
    with ledger.reading(gateway.engine) as session:
        row = ledger.get_job(session, job_id)
    if row is None:
        raise NotFoundError(
            "unknown_job",
            "Unknown job",
            "There is no job on a frame of this id.",
            "Choose one that GET /api/v1/jobs lists.",
        )
    raise ConflictError(
        "not_ended_badly",
        "There is nothing to try again",
        f"The job is {row.state.value}.",
        "Only failed and quarantined jobs can be tried again; look at the list anew.",
    )


@router.post("/jobs/retry", responses=problem_responses(401, 403, 422, 500, 503))
def retry_jobs(gateway: GatewayDep, _caller: Admin, wanted: RetryIn) -> Retried:
    """Queue many failed and quarantined jobs anew; those that are neither are left alone."""
    return Retried(ids=sorted(row.id for row in _retry(gateway, wanted.ids)))


def _retry(gateway: Gateway, ids: list[int]) -> list[ledger.JobRow]:
    with ledger.writing(gateway.engine) as session:
        rows = ledger.retry_jobs(session, ids)
    for queue in sorted({row.queue for row in rows}):
        gateway.bell.ring(queue)
    return rows
