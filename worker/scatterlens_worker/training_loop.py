"""The trainer: leases one training at a time, runs its process, and writes down what comes of it.

It computes nothing itself and never imports torch.
"""

import logging
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from scatterlens.schemas import Reason, TrainingResult
from scatterlens_models.bundle import BundleError
from scatterlens_models.evaluation.curve import read_curve
from scatterlens_models.training.job_file import (
    BUNDLE_FOLDER,
    STAGES,
    TRAIN_FOLDER,
    Line,
)
from scatterlens_models.vocabulary import UnknownVocabularyError
from scatterlens_service import ledger, registry
from scatterlens_service.ledger import LeasedRun
from scatterlens_service.settings import Settings
from scatterlens_service.tending.troubles import Troubles
from scatterlens_worker.gating import UNMEASURED, gate_version
from scatterlens_worker.heartbeat import Heartbeat
from scatterlens_worker.results import to_json
from scatterlens_worker.training_job import TrainingJob
from scatterlens_worker.training_run import StartError, prepare_run, refusal

_log = logging.getLogger(__name__)

_LISTEN_SECONDS = 0.2
_RECORD_SECONDS = 1.0
_TELL_SECONDS = 5.0
"""Progress is recorded and told as events at most so often."""
_LOOK_SECONDS = 1.0
_RECOVERY_SECONDS = 2.0
_ALIVE_SECONDS = 30.0
"""A process whose trainer is silent for so long ends: longer than any wait for a database. It may
outlive the lease by that, for another process waits until the run's folder is free."""
_NICENESS = 10
"""Frames that arrive come before what is learned from them."""


class Trainer:
    """What a trainer process holds; use it in a `with` block."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.stop = threading.Event()
        """Set: give back what is begun, take nothing new."""
        self.wake = threading.Event()
        """Set: look for work now."""
        self.engine: Engine = ledger.open_engine(settings.database)
        report = ledger.WorkerReport(self.id, "cpu", "torch", role="train")
        self.heartbeat = Heartbeat(
            self.engine,
            lambda: report,
            settings.heartbeat_seconds,
            settings.lease_seconds,
            longest_seconds=float("inf"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heartbeat.close()
        self.engine.dispose()


def train_forever(trainer: Trainer, look_seconds: float = _LOOK_SECONDS) -> None:
    """Train whatever is queued until `trainer.stop`; survives a database or disk away."""
    troubles = Troubles(_log)
    while not trainer.stop.is_set():
        try:
            while train_one(trainer):
                if trainer.stop.is_set():
                    return
        except Exception:
            troubles.meet("training", "training failed, trying again", trace=True)
            trainer.stop.wait(_RECOVERY_SECONDS)
        else:
            troubles.end("training")
        trainer.wake.wait(look_seconds)
        trainer.wake.clear()


def train_one(trainer: Trainer) -> bool:
    """Lease one run and bring it to an end, or as far as it may go; False where none waits."""
    with ledger.reading(trainer.engine) as session:
        if not ledger.has_queued_run(session):
            return False
    with ledger.writing(trainer.engine) as session:
        leased = ledger.lease_run(session, trainer.id, trainer.settings.lease_seconds)
    if leased is None:
        return False
    _log.info("run %s, attempt %d", leased.run_id, leased.attempt)
    try:
        with trainer.heartbeat.holding([leased]):
            _work(trainer, leased)
    except (OSError, SQLAlchemyError):
        # The database or the disk is away: that says nothing about the run.
        with suppress(SQLAlchemyError), ledger.writing(trainer.engine) as session:
            ledger.release(session, [leased])
        raise
    return True


def _work(trainer: Trainer, leased: LeasedRun) -> None:
    try:
        folder = prepare_run(trainer.settings, trainer.engine, leased)
    except (StartError, BundleError, UnknownVocabularyError) as error:
        with ledger.writing(trainer.engine) as session:
            ledger.refuse_run(session, leased, refusal(error))
        return
    with TrainingJob(folder, _ALIVE_SECONDS) as job:
        _follow(trainer, leased, job, folder)


def _follow(trainer: Trainer, leased: LeasedRun, job: TrainingJob, folder: Path) -> None:
    """Listen to a process until it ends, its lease is lost, or the trainer stops."""
    recorded = told = float("-inf")
    stage, waiting = None, None
    troubles = Troubles(_log)
    while not job.has_ended:
        if trainer.heartbeat.lost.is_set():
            _log.warning("run %s is no longer ours: its process is ended", leased.run_id)
            return
        if trainer.stop.is_set():
            job.close()
            with ledger.writing(trainer.engine) as session:
                ledger.release(session, [leased])
            return
        line = job.next_line(_LISTEN_SECONDS)
        if line is not None and line.refusal is not None:
            with ledger.writing(trainer.engine) as session:
                ledger.refuse_run(session, leased, line.refusal)
            return
        if line is not None and line.result is not None:
            _record(trainer, leased, line, folder, tell=False)
            _finish(trainer, leased, line.result, folder)
            return
        waiting = line or waiting
        now = time.monotonic()
        if waiting is None or (waiting.stage == stage and now - recorded < _RECORD_SECONDS):
            continue
        tell = waiting.stage != stage or now - told > _TELL_SECONDS
        stage, recorded, told = waiting.stage, now, now if tell else told
        try:
            _record(trainer, leased, waiting, folder, tell)
        except SQLAlchemyError as error:
            troubles.meet("progress", f"progress of {leased.run_id} is not recorded: {error}")
        else:
            troubles.end("progress")
        waiting = None
    _log.error("the process of %s died: %s", leased.run_id, job.death())
    with ledger.writing(trainer.engine) as session:
        ledger.crash_run(session, leased, _crashed(job))


def _record(trainer: Trainer, leased: LeasedRun, line: Line, folder: Path, tell: bool) -> None:
    if line.stage is None:
        return
    progress = line.model_dump(exclude={"result", "refusal"})
    with ledger.writing(trainer.engine) as session:
        ledger.advance_run(
            session,
            leased,
            to_finite(progress),
            STAGES.index(line.stage) + line.share,
            _curve(folder),
            tell=tell,
        )


def _curve(folder: Path) -> list[dict] | None:
    """The curve so far; None while a point of it is being written."""
    try:
        return [to_finite(asdict(point)) for point in read_curve(folder / TRAIN_FOLDER)]
    except (ValueError, TypeError):
        return None


def _finish(trainer: Trainer, leased: LeasedRun, result: TrainingResult, folder: Path) -> None:
    try:
        version = hand_over(trainer, folder / BUNDLE_FOLDER, leased.run_id)
    except registry.RefusedModelError as error:
        with ledger.writing(trainer.engine) as session:
            ledger.refuse_run(session, leased, _unregistered(error))
        return
    content = {**result.model_dump(), "version": version}
    troubles = Troubles(_log)
    while not trainer.stop.is_set():
        try:
            with ledger.writing(trainer.engine) as session:
                if not ledger.complete_run(session, leased, to_finite(content)):
                    _log.warning("late end of %s refused: leased again since", leased.run_id)
            return
        except SQLAlchemyError as error:
            # Hours of work are not begun again because a database is away for a while.
            troubles.meet("the end", f"the end of {leased.run_id} cannot be recorded: {error}")
            trainer.stop.wait(_RECOVERY_SECONDS)


def hand_over(trainer: Trainer, bundle: Path, run_id: str) -> str:
    """Register a finished bundle as the candidate and let the gate judge it; its version.

    Where the settings name no frames to judge by, or these cannot be read, it waits for a gate.

    Raises:
        RefusedModelError: it speaks of other attributes than production.
    """
    settings, engine = trainer.settings, trainer.engine
    version = registry.register(settings, engine, bundle, run_id, "trainer")
    registry.set_candidate(engine, version)
    try:
        verdict = gate_version(settings, engine, version)
    except UNMEASURED as error:
        _log.warning("the gate has not judged %s: %s", version, error)
    else:
        _log.info("the gate %s %s", "passes" if verdict.passed else "refuses", version)
    return version


def _unregistered(error: registry.RefusedModelError) -> Reason:
    return Reason(
        type="not_registered",
        title="The model was trained, and is not registered",
        detail=str(error),
        remedy="Its bundle lies in the run's folder: register it by `scatterlens models register`"
        " with `--other-vocabulary`, or train by production's vocabulary.",
    )


def to_finite(value: dict) -> dict:
    """The same fields as JSON in a database takes them: None for what is no number."""
    return {k: None if v in ("nan", "inf", "-inf") else v for k, v in to_json(value).items()}


def _crashed(job: TrainingJob) -> Reason:
    return Reason(
        type="training_crashed",
        title="The process of this training died twice at the same place",
        detail=job.death(),
        remedy="Look into `job.log` in the run's folder; where memory was lacking, ask for a"
        " smaller `batch` or `simulated`.",
    )


def be_nice() -> None:
    """Leave the processor to the workers that annotate, on a machine that both share."""
    os.nice(_NICENESS)
