"""The life of a job: queued -> leased -> done | failed | quarantined.

A lease is a promise to decide within `lease_seconds`, by the database's clock. Every verdict names
the attempt it was leased under; where a job has been leased again since, the verdict is refused.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, and_, case, delete, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from scatterlens.schemas import Reason, State
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.doubts import record_spread, uncertainty
from scatterlens_service.ledger.events import add_events, training_event
from scatterlens_service.ledger.findings import add_features, add_findings
from scatterlens_service.ledger.records import (
    Lease,
    LeasedJob,
    ModelVersion,
    NewAnnotation,
    WorkerReport,
)
from scatterlens_service.ledger.submissions import QUEUES, TRAIN
from scatterlens_service.ledger.tables import (
    Annotation,
    Event,
    Frame,
    Job,
    Score,
    Submission,
    Worker,
)

MAX_LOST_LEASES = 3
MAX_CRASHES = 2
_FORGET_WORKER_SECONDS = 3600.0
_CLOCK_SLACK_SECONDS = 1.0
_TOLD = "annotate"
"""The kind of job whose end is an event: a picture that fails says nothing about its frame."""


def lease(
    session: Session,
    worker_id: str,
    limit: int,
    lease_seconds: float,
    *,
    queues: Sequence[str] = QUEUES,
    versions: Collection[str] | None = None,
) -> list[LeasedJob]:
    """Take up to `limit` queued jobs on frames, oldest first, earlier queues before later ones.

    A job whose lease was lost before is taken alone: if it ends its worker again, it is the only
    one that is blamed. With `versions`, only jobs for these model versions, and those that need
    no model.
    """
    jobs: list[LeasedJob] = []
    for queue in queues:
        if len(jobs) < limit:
            jobs += _lease_from(
                session, queue, worker_id, limit - len(jobs), lease_seconds, versions
            )
    return jobs


def _lease_from(
    session: Session,
    queue: str,
    worker_id: str,
    limit: int,
    lease_seconds: float,
    versions: Collection[str] | None,
) -> list[LeasedJob]:
    wanted = (
        select(Job.id, Job.lost_leases)
        .where(Job.state == State.QUEUED, Job.queue == queue)
        .order_by(Job.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    if versions is not None:
        wanted = wanted.where(_is_within(versions))
    # Locked by a statement of its own: PostgreSQL may run a sub-select more than once.
    ids: list[int] = []
    for job_id, lost_leases in session.execute(wanted).all():
        if lost_leases and ids:
            break
        ids.append(job_id)
        if lost_leases:
            break
    if not ids:
        return []
    session.execute(
        update(Job)
        .where(Job.id.in_(ids))
        .values(
            state=State.LEASED,
            attempt=Job.attempt + 1,
            worker_id=worker_id,
            lease_until=Clock() + lease_seconds,
        )
        .execution_options(synchronize_session=False)
    )
    rows = session.execute(
        select(Job, Frame.sha256, Frame.index)
        .join(Frame, Frame.id == Job.frame_id)
        .where(Job.id.in_(ids))
        .order_by(Job.id)
        .execution_options(populate_existing=True)
    )
    return [
        LeasedJob(
            id=job.id,
            attempt=job.attempt,
            kind=job.kind,
            key=job.key,
            queue=job.queue,
            frame_id=job.frame_id or "",
            sha256=sha256,
            index=index,
            model=ModelVersion(job.model_name or "", job.model_version or ""),
            crashes=job.crashes,
            parameters=job.parameters or {},
        )
        for job, sha256, index in rows
    ]


def has_queued(
    session: Session,
    queues: Sequence[str] = QUEUES,
    *,
    versions: Collection[str] | None = None,
) -> bool:
    """Whether a lease would find something; a look that takes no lock."""
    row = select(Job.id).where(Job.state == State.QUEUED, Job.queue.in_(queues)).limit(1)
    if versions is not None:
        row = row.where(_is_within(versions))
    return session.scalar(row) is not None


def _is_near(time: InstrumentedAttribute[float], seconds: float) -> ColumnElement[bool]:
    """Condition: a time is no longer ago; nor further ahead, where the clock was set back."""
    return time.between(Clock() - seconds, Clock() + seconds)


def _is_within(versions: Collection[str]) -> ColumnElement[bool]:
    """Condition: a worker that holds these model versions can do the job."""
    return or_(Job.model_version.in_(list(versions)), Job.model_version.is_(None))


def heartbeat(
    session: Session, worker: WorkerReport, held: Collection[Lease], lease_seconds: float
) -> int:
    """Report a worker and prolong the leases it still holds; returns how many those are."""
    report = {
        **asdict(worker),
        "models": list(worker.models),
        "refused": dict(worker.refused) or None,
    }
    seen = session.merge(Worker(**report, seen=0.0))
    session.flush()
    session.execute(update(Worker).where(Worker.id == seen.id).values(seen=Clock()))
    # Those that were killed never said goodbye.
    session.execute(delete(Worker).where(~_is_near(Worker.seen, _FORGET_WORKER_SECONDS)))
    if not held:
        return 0
    prolonged = session.execute(
        update(Job)
        .where(is_ours(held))
        .values(lease_until=Clock() + lease_seconds)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return len(prolonged.all())


def lose_workers(session: Session, worker_ids: Collection[str]) -> int:
    """Workers have ended without a goodbye: the leases on frames that they held are over.

    Returns how many those were; the next sweep returns them to the queue.
    """
    session.execute(delete(Worker).where(Worker.id.in_(worker_ids)))
    over = session.execute(
        update(Job)
        .where(Job.state == State.LEASED, Job.worker_id.in_(worker_ids), Job.queue.in_(QUEUES))
        .values(lease_until=0.0)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return len(over.all())


def has_endless_leases(session: Session, lease_seconds: float) -> bool:
    """Whether a lease reaches further than any may: the clock was set back since it was given."""
    row = select(Job.id).where(
        Job.state == State.LEASED, Job.lease_until > Clock() + lease_seconds + _CLOCK_SLACK_SECONDS
    )
    return session.scalar(row.limit(1)) is not None


def renew_leases(session: Session, lease_seconds: float) -> None:
    """The clock was set: every lease that was not given up lasts from now on as if given now."""
    session.execute(
        update(Job)
        .where(Job.state == State.LEASED, Job.lease_until > 0.0)
        .values(lease_until=Clock() + lease_seconds)
        .execution_options(synchronize_session=False)
    )


def complete(session: Session, job: LeasedJob, result: NewAnnotation) -> bool:
    """Store the annotation and finish the job; False, and nothing stored, if it was fenced off."""
    if not decide(session, job, State.DONE):
        return False
    session.execute(
        update(Frame)
        .where(Frame.id == job.frame_id)
        .values(
            height=result.shape[0],
            width=result.shape[1],
            detector=result.detector,
            header=dict(result.header),
            geometry=None if result.geometry is None else dict(result.geometry),
            motors=None if result.motors is None else dict(result.motors),
        )
    )
    if result.frame_number is not None:
        session.execute(
            update(Submission)
            .where(Submission.frame_id == job.frame_id, Submission.frame_number.is_(None))
            .values(frame_number=result.frame_number)
        )
    annotation = Annotation(
        frame_id=job.frame_id,
        model_name=job.model.name,
        model_version=job.model.version,
        time=session.scalar(select(Clock())) or 0.0,
        novelty=result.novelty,
        mask_fraction=result.mask_fraction,
        timings_ms=dict(result.timings_ms),
        provider=result.provider,
        blob=result.blob,
    )
    session.add(annotation)
    session.flush()
    doubts = [uncertainty(score.probability, score.threshold) for score in result.scores]
    session.add_all(
        Score(
            annotation_id=annotation.id,
            position=position,
            attribute=score.id,
            probability=score.probability,
            threshold=score.threshold,
            tag=score.tag,
            uncertainty=doubt,
        )
        for position, (score, doubt) in enumerate(zip(result.scores, doubts, strict=True))
    )
    session.flush()
    probabilities = [score.probability for score in result.scores]
    add_findings(session, annotation, probabilities, max(doubts, default=0.0))
    if result.features is not None:
        add_features(session, annotation, result.features)
    record_spread(session, job.frame_id)
    _tell(session, "done", job, [score.id for score in result.scores if score.tag])
    return True


def complete_render(session: Session, job: LeasedJob, blob: str) -> bool:
    """Say where the drawing lies and finish the job; False if it was fenced off."""
    return decide(session, job, State.DONE, blob=blob)


def fail(session: Session, job: LeasedJob, verdict: Reason) -> bool:
    """End the job with a typed verdict on its file; False if it was fenced off."""
    if not decide(session, job, State.FAILED, verdict):
        return False
    _tell(session, "failed", job)
    return True


def crashed(session: Session, job: LeasedJob, verdict: Reason) -> State | None:
    """The decode child died over this frame: once more, or quarantine the second time.

    Returns the new state, or None if the job was fenced off.
    """
    again = job.crashes + 1 < MAX_CRASHES
    state = State.QUEUED if again else State.QUARANTINED
    if not decide(session, job, state, None if again else verdict, crashes=job.crashes + 1):
        return None
    if not again:
        _tell(session, "quarantined", job)
    return state


def release(session: Session, jobs: Collection[Lease]) -> int:
    """Give back jobs that were not begun, without prejudice; returns how many were still ours."""
    if not jobs:
        return 0
    released = session.execute(
        update(Job)
        .where(is_ours(jobs))
        .values(state=State.QUEUED, worker_id=None, lease_until=None)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return len(released.all())


def abandon(session: Session, job: LeasedJob) -> None:
    """Something unforeseen happened over this job: its lease ends now, without a verdict."""
    session.execute(update(Job).where(is_ours([job])).values(lease_until=0.0))


def has_expired(session: Session) -> bool:
    """Whether a sweep would find something; a look that takes no lock."""
    row = select(Job.id).where(Job.state == State.LEASED, Job.lease_until < Clock()).limit(1)
    return session.scalar(row) is not None


def sweep(session: Session) -> int:
    """Return expired leases to the queue, or quarantine after the third; how many had expired."""
    expired = session.execute(
        update(Job)
        .where(Job.state == State.LEASED, Job.lease_until < Clock())
        .values(
            state=case(
                (Job.lost_leases + 1 >= MAX_LOST_LEASES, State.QUARANTINED.value),
                else_=State.QUEUED.value,
            ),
            lost_leases=Job.lost_leases + 1,
            worker_id=None,
            lease_until=None,
            finished=case((Job.lost_leases + 1 >= MAX_LOST_LEASES, Clock()), else_=None),
        )
        .returning(Job)
        .execution_options(synchronize_session=False)
    ).all()
    dead = [job for (job,) in expired if job.state == State.QUARANTINED]
    for kind, verdict in (("train", _NO_END), (None, _NO_VERDICT)):
        ids = [job.id for job in dead if (job.kind == "train") == (kind == "train")]
        if ids:
            session.execute(
                update(Job)
                .where(Job.id.in_(ids))
                .values(reason=verdict.model_dump())
                .execution_options(synchronize_session=False)
            )
    add_events(session, [event for job in dead if (event := _event_of_death(job))])
    return len(expired)


def _event_of_death(job: Job) -> Event | None:
    if job.kind == "train":
        return training_event(job.key, State.QUARANTINED)
    if job.kind != _TOLD:
        return None
    return Event(
        kind="quarantined",
        frame_id=job.frame_id,
        model_name=job.model_name,
        model_version=job.model_version,
        tags=[],
    )


_NO_VERDICT = Reason(
    type="no_verdict",
    title="Three workers took this frame and none came back",
    detail="Each lease ran out before a result or a verdict was written.",
    remedy="Look into the worker's log at that time; then send the frame to a worker alone.",
)
_NO_END = Reason(
    type="no_verdict",
    title="Three trainers took this run and none came further than the one before",
    detail="Each lease ran out before the run advanced.",
    remedy="Look into the trainer's log and the run's `job.log`; then start another run.",
)


def queues_to_ring(session: Session, older_than_seconds: float) -> list[str]:
    """Queues with a job that nobody took for so long: their bell may have been lost."""

    def is_forgotten(queue: str) -> bool:
        # The job with the lowest id is the oldest: one look at the index, however long the queue.
        # One that was queued in the future was queued before the clock was set back.
        oldest = select(~_is_near(Job.queued, older_than_seconds)).where(
            Job.state == State.QUEUED, Job.queue == queue
        )
        return bool(session.scalar(oldest.order_by(Job.id).limit(1)))

    return [queue for queue in (*QUEUES, TRAIN) if is_forgotten(queue)]


def is_ours(jobs: Collection[Lease]):
    """Condition: these leases still hold the jobs."""
    return and_(
        Job.state == State.LEASED,
        or_(*(and_(Job.id == job.id, Job.attempt == job.attempt) for job in jobs)),
    )


def decide(
    session: Session,
    job: Lease,
    state: State,
    verdict: Reason | None = None,
    **columns: int | str,
) -> bool:
    """Move a leased job on, where this attempt still holds it."""
    moved = session.execute(
        update(Job)
        .where(is_ours([job]))
        .values(
            state=state,
            worker_id=None,
            lease_until=None,
            finished=Clock() if state.is_final else None,
            reason=None if verdict is None else verdict.model_dump(),
            **columns,
        )
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return moved.first() is not None


def _tell(session: Session, kind: str, job: LeasedJob, tags: Sequence[str] = ()) -> None:
    if job.kind != _TOLD:
        return
    add_events(
        session,
        [
            Event(
                kind=kind,
                frame_id=job.frame_id,
                model_name=job.model.name,
                model_version=job.model.version,
                tags=list(tags),
            )
        ],
    )
