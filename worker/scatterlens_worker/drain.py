"""The drain: lease a batch, decode, prepare and infer, commit, until nothing is left.

A batch is of one queue. Between two frames of one, a drawing that a person waits for is put in: so
nobody waits for more than the frame in work, and frames go on however many drawings are asked for.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from scatterlens_models.annotate import FrameAnnotation, annotate_frames
from scatterlens_models.decoding import DecodeCrashed, FrameRejected
from scatterlens_models.frame import Frame
from scatterlens_models.gradients import NoGradientsError
from scatterlens_models.reasons import reason_of
from scatterlens_models.session import ModelSession
from scatterlens_models.stored import pack
from scatterlens_service import ledger
from scatterlens_service.keeping.blobs import BlobDamagedError, BlobMissingError
from scatterlens_service.ledger import LeasedJob
from scatterlens_worker import results
from scatterlens_worker.rendering import draw
from scatterlens_worker.runtime import Runtime

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
"""How often a batch of frames looks whether somebody waits for a drawing."""


@dataclass(frozen=True, eq=False)
class _Work:
    job: LeasedJob
    frame: Frame
    decode_ms: float


def drain(runtime: Runtime, queues: Sequence[str] = ledger.QUEUES) -> bool:
    """Work until the queues are empty, the runtime stops, or `drain_seconds` are over.

    Returns whether rows may be left.
    """
    end = time.monotonic() + runtime.settings.drain_seconds
    while not runtime.stop.is_set() and time.monotonic() < end:
        if work_one_batch(runtime, queues) == 0:
            return False
    return True


def work_one_batch(runtime: Runtime, queues: Sequence[str] = ledger.QUEUES) -> int:
    """Lease and decide one batch; returns how many jobs it had."""
    runtime.follow_models()
    with ledger.reading(runtime.engine) as session:
        ours = ledger.has_queued(session, queues, versions=runtime.sessions.keys())
        anyones = ours or ledger.has_queued(session, queues)
    if anyones and not ours:
        runtime.follow_models(waiting=True)
        with ledger.reading(runtime.engine) as session:
            ours = ledger.has_queued(session, queues, versions=runtime.sessions.keys())
    if not ours:
        return 0
    limit = max(session.batch for session in runtime.sessions.values())
    jobs: list[LeasedJob] = []
    for queue in queues:
        jobs = jobs or _lease(runtime, queue, limit)
    with _held(runtime, jobs):
        _decide_all(runtime, jobs)
    return len(jobs)


def _lease(runtime: Runtime, queue: str, limit: int) -> list[LeasedJob]:
    with ledger.writing(runtime.engine) as session:
        return ledger.lease(
            session,
            runtime.id,
            limit,
            runtime.settings.lease_seconds,
            queues=[queue],
            versions=runtime.sessions.keys(),
        )


@contextmanager
def _held(runtime: Runtime, jobs: Sequence[LeasedJob]) -> Iterator[None]:
    """Prolong the leases during the block; give back what it leaves undecided."""
    try:
        with runtime.heartbeat.holding(jobs):
            yield
    except BaseException:
        # The database or the disk is away: that says nothing about the frames.
        with suppress(SQLAlchemyError), ledger.writing(runtime.engine) as session:
            ledger.release(session, jobs)
        raise


def _decide_all(runtime: Runtime, jobs: Sequence[LeasedJob]) -> None:
    decoded: dict[str, tuple[Frame, float]] = {}
    by_version: dict[str, list[LeasedJob]] = {}
    renders: list[LeasedJob] = []
    looked = float("-inf")
    for position, job in enumerate(jobs):
        if runtime.stop.is_set():
            # On the way out: what is not begun goes back at once, not when its lease ends.
            with ledger.writing(runtime.engine) as session:
                ledger.release(session, jobs[position:])
            break
        if job.kind != "render" and time.monotonic() - looked > _LOOK_SECONDS:
            _draw_for_a_person(runtime)
            looked = time.monotonic()
        if job.frame_id not in decoded:
            started = time.perf_counter()
            frame = _decode(runtime, job)
            if frame is None:
                continue
            decoded[job.frame_id] = (frame, 1e3 * (time.perf_counter() - started))
        if job.kind == "render":
            renders.append(job)
        else:
            by_version.setdefault(job.model.version, []).append(job)
    for version, group in by_version.items():
        work = [_Work(job, *decoded[job.frame_id]) for job in group]
        _annotate(runtime, runtime.sessions[version], work)
    for job in renders:
        _render(runtime, job, decoded[job.frame_id][0])


def _draw_for_a_person(runtime: Runtime) -> None:
    """Draw one thing that waits, if any does, in the midst of a batch of frames."""
    with ledger.reading(runtime.engine) as session:
        if not ledger.has_queued(session, [ledger.RENDER], versions=runtime.sessions.keys()):
            return
    jobs = _lease(runtime, ledger.RENDER, 1)
    try:
        with _held(runtime, jobs):
            _decide_all(runtime, jobs)
    except OSError as error:
        runtime.troubles.meet("drawings", f"a drawing waits, the frames go on: {error}")
    else:
        runtime.troubles.end("drawings")


def _decode(runtime: Runtime, job: LeasedJob) -> Frame | None:
    """The job's frame; None where the job was decided or given up instead."""
    try:
        path = runtime.blobs.verified_path(job.sha256)
        return runtime.decoder.decode(path, job.index or 0)
    except FrameRejected as error:
        verdict = reason_of(error)
    except (BlobMissingError, BlobDamagedError) as error:
        verdict = results.lost_file(error)
    except DecodeCrashed as error:
        _log.warning("decoding %s: %s", job.frame_id, error)
        with ledger.writing(runtime.engine) as session:
            ledger.crashed(session, job, reason_of(error))
        return None
    except OSError:
        raise
    except Exception:
        _abandon(runtime, job)
        return None
    with ledger.writing(runtime.engine) as session:
        ledger.fail(session, job, verdict)
    return None


def _annotate(runtime: Runtime, model: ModelSession, work: Sequence[_Work]) -> None:
    """Annotate and commit; a frame that breaks its batch is found by halving."""
    try:
        annotations = annotate_frames([one.frame for one in work], model)
    except Exception:
        if len(work) == 1:
            _abandon(runtime, work[0].job)
            return
        half = len(work) // 2
        _annotate(runtime, model, work[:half])
        _annotate(runtime, model, work[half:])
        return
    for one, annotation in zip(work, annotations, strict=True):
        _commit(runtime, model, one, annotation)


def _commit(
    runtime: Runtime, model: ModelSession, work: _Work, annotation: FrameAnnotation
) -> None:
    job = work.job
    with _blaming(runtime, job):
        packed = pack(annotation.stored)
        blob = runtime.blobs.put_bytes(packed)
        row = results.to_row(work.frame, annotation, model, blob, work.decode_ms)
        with ledger.writing(runtime.engine) as session:
            ledger.share_files(session)
            if not runtime.blobs.path(blob).is_file():
                # It was that of a frame, too, that was deleted at this moment.
                runtime.blobs.put_bytes(packed)
            if not ledger.complete(session, job, row):
                ledger.add_removals(session, ledger.BLOBS, [blob])
                _warn_of_fencing(job)


def _render(runtime: Runtime, job: LeasedJob, frame: Frame) -> None:
    """Draw what a render job asks for, and commit it."""
    with _blaming(runtime, job):
        try:
            drawn = draw(runtime, job, frame)
        except NoGradientsError as error:
            with ledger.writing(runtime.engine) as session:
                ledger.fail(session, job, results.no_gradients(error))
            return
        blob = runtime.renders.put_bytes(drawn)
        with ledger.writing(runtime.engine) as session:
            if not ledger.complete_render(session, job, blob):
                ledger.add_removals(session, ledger.RENDERS, [blob])
                _warn_of_fencing(job)


@contextmanager
def _blaming(runtime: Runtime, job: LeasedJob) -> Iterator[None]:
    """What goes wrong in the block speaks against the job, unless database or disk are away."""
    try:
        yield
    except (OperationalError, OSError):
        raise
    except Exception:
        _abandon(runtime, job)


def _warn_of_fencing(job: LeasedJob) -> None:
    _log.warning("late result for %s refused: leased again since", job.frame_id)


def _abandon(runtime: Runtime, job: LeasedJob) -> None:
    """End a lease over something unforeseen; the third time the sweep quarantines the job."""
    _log.exception("job %d on %s ended without a verdict", job.id, job.frame_id)
    with ledger.writing(runtime.engine) as session:
        ledger.abandon(session, job)
