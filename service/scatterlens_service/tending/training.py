"""Asking for a training: by a person, or by the policy of the settings."""

import hashlib
import importlib.util
import secrets

from sqlalchemy import Engine

from scatterlens.schemas import TrainingRequest
from scatterlens_service import ledger
from scatterlens_service.settings import Settings
from scatterlens_service.tending.bell import Bell

_HOUR_SECONDS = 3600.0
_BY_POLICY = "policy"


def can_train_here() -> bool:
    """Whether what trainers need is installed; nothing is imported for it."""
    try:
        return all(map(importlib.util.find_spec, ("torch", "safetensors", "onnxscript")))
    except ModuleNotFoundError:
        return False


def can_train(settings: Settings, engine: Engine) -> bool:
    """Whether somebody will take a training: a trainer reported, or `serve` keeps one here."""
    if settings.redis_url is None and can_train_here():
        return True
    with ledger.reading(engine) as session:
        return bool(ledger.seen_workers(session, "train"))


def start_training(
    engine: Engine,
    bell: Bell,
    caller: ledger.Principal,
    request: TrainingRequest,
    idempotency_key: str | None,
) -> ledger.RunRow:
    """Queue a training; the same request under the same key is the same run.

    Raises:
        IdempotencyConflictError: the key was used for another request.
    """
    run = ledger.NewRun(
        _run_id(caller.key_id, idempotency_key),
        caller.name,
        request.model_dump(mode="json"),
        note=request.note,
    )
    with ledger.writing(engine) as session:
        if idempotency_key is not None:
            digest = hashlib.sha256(f"training {request.model_dump_json()}".encode()).hexdigest()
            ledger.remember_request(session, caller.key_id, idempotency_key, digest)
        ledger.queue_run(session, run)
        row = ledger.get_run(session, run.id)
    assert row is not None
    bell.ring(ledger.TRAIN)
    return row


def train_by_policy(engine: Engine, bell: Bell, settings: Settings) -> bool:
    """Queue a training where the settings want one now; any number of gateways may ask."""
    limits = {
        "after_frames": settings.train_after_corrections,
        "every_seconds": settings.train_every_hours * _HOUR_SECONDS,
    }
    if not any(limits.values()):
        return False
    with ledger.reading(engine) as session:
        if not ledger.is_run_due(session, **limits):
            return False
    request = TrainingRequest().model_dump(mode="json")
    run = ledger.NewRun(_run_id("", None), _BY_POLICY, request, trigger="policy")
    with ledger.writing(engine) as session:
        queued = ledger.queue_run_by_policy(session, run, **limits)
    if queued:
        bell.ring(ledger.TRAIN)
    return queued


def _run_id(key_id: str, idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return f"run-{secrets.token_hex(6)}"
    said = f"{key_id}\n{idempotency_key}"
    return f"run-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
