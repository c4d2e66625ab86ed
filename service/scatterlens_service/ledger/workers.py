"""Workers as they last reported themselves (`ledger.jobs.heartbeat`)."""

from sqlalchemy import delete, select, true
from sqlalchemy.orm import Session

from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.records import SeenWorker, WorkerReport, WorkerRole
from scatterlens_service.ledger.tables import Worker


def seen_workers(
    session: Session, role: WorkerRole | None = None, seen_within_seconds: float = 15.0
) -> tuple[SeenWorker, ...]:
    """Workers of one role, or of any, that reported lately."""
    ago = (Clock() - Worker.seen).label("ago")
    rows = session.execute(
        select(Worker, ago)
        .where(true() if role is None else Worker.role == role)
        # Further ahead: seen before the clock was set back.
        .where(Worker.seen.between(Clock() - seen_within_seconds, Clock() + seen_within_seconds))
        .order_by(Worker.id)
    )
    return tuple(
        SeenWorker(
            WorkerReport(
                row.id, row.device, row.provider, tuple(row.models), row.role, row.refused or {}
            ),
            max(0.0, seconds),
        )
        for row, seconds in rows
    )


def forget_worker(session: Session, worker_id: str) -> None:
    """Remove a worker that says goodbye."""
    session.execute(delete(Worker).where(Worker.id == worker_id))
