"""What is wrong with the service, in words for whoever runs it."""

from scatterlens_models.decoding import missing_confinement
from scatterlens_service import ledger
from scatterlens_service.gateway.errors import ProblemError
from scatterlens_service.gateway.resources import Gateway

_OLD_SECONDS = 60.0
_PROVIDER_OF = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def find_problems(gateway: Gateway, status: ledger.QueueStatus) -> list[str]:
    """Of workers, queue, models and disk; empty while all is well."""
    problems = [*_problems(status), *gateway.catalogue.problems]
    missing = missing_confinement()
    if missing:
        problems.append(
            f"Files are decoded less confined than they should be: the kernel of the gateway has"
            f" no {' and no '.join(missing)}."
        )
    try:
        gateway.admission.check()
    except ProblemError as refusal:
        problems.append(f"No frames are taken: {refusal.reason.detail}")
    return problems


def _problems(status: ledger.QueueStatus) -> list[str]:
    problems = []
    if not status.workers:
        problems.append("No worker has reported; frames wait until one does.")
    for seen in status.workers:
        wanted = _PROVIDER_OF.get(seen.report.device)
        if wanted is not None and set(seen.report.provider.split(",")) != {wanted}:
            problems.append(
                f"Worker {seen.report.id} was asked to run on {seen.report.device},"
                f" it runs on {seen.report.provider}."
            )
    problems += [
        f"Worker {seen.report.id} cannot load model {version}: {reason}"
        for seen in status.workers
        for version, reason in seen.report.refused.items()
    ]
    if status.oldest_queued_seconds is not None and status.oldest_queued_seconds > _OLD_SECONDS:
        problems.append(f"A frame has been waiting for {status.oldest_queued_seconds:.0f} s.")
    return problems
