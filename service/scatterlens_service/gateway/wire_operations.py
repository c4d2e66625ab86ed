"""How the service does, as wire models."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from scatterlens.schemas import JobInfo, Operations, State, Tombstone
from scatterlens_service import ledger
from scatterlens_service.gateway.admission import Disk


def to_operations(
    backlogs: Sequence[ledger.Backlog],
    troubled: Mapping[State, int],
    workers: Sequence[ledger.SeenWorker],
    disk: Disk,
    runs: Sequence[ledger.RunRow],
    *,
    can_train: bool,
    problems: Sequence[str],
) -> Operations:
    """All of it."""
    return Operations.model_validate(
        {
            "queues": [asdict(backlog) for backlog in backlogs],
            "failed": troubled.get(State.FAILED, 0),
            "quarantined": troubled.get(State.QUARANTINED, 0),
            "workers": [
                {**asdict(seen.report), "seen_seconds_ago": round(seen.seen_seconds_ago, 3)}
                for seen in workers
            ],
            "disk": asdict(disk),
            "can_train": can_train,
            "trainings": [
                {"run_id": run.id, "state": run.state, "progress": run.progress} for run in runs
            ],
            "problems": list(problems),
        }
    )


def to_tombstone(row: ledger.TombstoneRow) -> Tombstone:
    """A frame that was deleted."""
    return Tombstone(
        frame_id=row.frame_id,
        filename=row.filename,
        labels=row.labels,
        reason=row.reason,
        by=row.by,
        time=row.time,
    )


def to_job(row: ledger.JobRow) -> JobInfo:
    """A job on a frame."""
    return JobInfo.model_validate(asdict(row))
