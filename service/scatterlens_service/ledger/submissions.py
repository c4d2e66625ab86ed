"""Taking frames in: frames, submissions and jobs in one transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from scatterlens.schemas import State
from scatterlens_service.ledger.clock import Clock
from scatterlens_service.ledger.events import add_events
from scatterlens_service.ledger.findings import copy_findings
from scatterlens_service.ledger.inserting import insert_into
from scatterlens_service.ledger.metadata import fingerprint, hold_frames, tell
from scatterlens_service.ledger.records import ModelVersion, NewFrame, Sender, Submitted
from scatterlens_service.ledger.scan_counts import ScanKey, count_in_scan, recount
from scatterlens_service.ledger.tables import Event, Frame, Job, Request, Submission, Table

LIVE = "annotate.live"
RENDER = "render"
BATCH = "annotate.batch"
QUEUES = (LIVE, RENDER, BATCH)
"""All that annotating workers drain, the most urgent first."""
TRAIN = "train"
"""What trainers lease from, and nobody else."""


class IdempotencyConflictError(ValueError):
    """The Idempotency-Key was used before for another body: send this one under a new key."""


def submit(
    session: Session,
    frames: Sequence[NewFrame],
    sender: Sender,
    models: Sequence[ModelVersion],
    *,
    queue: str = LIVE,
) -> list[Submitted]:
    """Record frames and queue one job for each frame and model; answers in the frames' order.

    What is known already is not recorded again: neither frame, nor job. A frame that was sent
    before, as far as the sender can see, is the same one: what is told now counts, and what is not
    told stays as it was. Call it in a `writing` transaction, once the files are on disk;
    acknowledge after the commit.
    """
    # One order for all writers, so that two submissions of the same frames cannot deadlock.
    unique = {frame.id: frame for frame in sorted(frames, key=lambda frame: frame.id)}
    now = session.scalar(select(Clock()))
    new_frames = _insert_new(
        session,
        Frame,
        "id",
        (
            {
                "id": frame.id,
                "sha256": frame.sha256,
                "index": frame.index,
                "format": frame.format,
                "size_bytes": frame.size_bytes,
                "created": now,
            }
            for frame in unique.values()
        ),
    )
    told = _find_told(session, sorted(unique.keys() - new_frames), sender)
    spoken_of = {
        fingerprint(frame.id, sender.proposal, sender.beamline): frame
        for frame in unique.values()
        if frame.id not in told
    }
    new_submissions = _insert_new(
        session,
        Submission,
        "fingerprint",
        (
            {"fingerprint": key, "frame_id": frame.id, "time": now, **_new_told(frame, sender)}
            for key, frame in spoken_of.items()
        ),
    )
    described: dict[str, set[ScanKey]] = {}
    for frame_id, row in told.items():
        said = _said(unique[frame_id], sender, row)
        scans = tell(session, row, said, sender.key_id, sender.author)
        if scans is not None:
            described[frame_id] = scans
    if len(new_frames) < len(unique):
        _note_files(session, {frame.sha256 for frame in unique.values()})
    known = sorted(unique.keys() - new_frames - told.keys())
    if known and new_submissions:
        copy_findings(session, known, new_submissions)
    if sender.scan is not None and new_submissions:
        newest = session.scalar(
            select(func.max(Submission.id)).where(Submission.fingerprint.in_(new_submissions))
        )
        count_in_scan(session, sender, len(new_submissions), newest or 0, now)
    recount(session, set().union(*described.values()))
    queue_jobs(session, unique, models, queue=queue)
    states = job_states(session, unique, models[0].version)
    add_events(
        session,
        [
            Event(
                kind="submitted",
                frame_id=spoken_of[key].id,
                proposal=sender.proposal or "",
                tags=[],
            )
            for key in spoken_of
            if key in new_submissions
        ]
        + [
            Event(
                kind="described",
                frame_id=frame_id,
                proposal=told[frame_id].proposal or "",
                tags=[],
            )
            for frame_id in described
        ],
    )
    answers: list[Submitted] = []
    known_to_sender = set(told)
    for frame in frames:
        duplicate = frame.id in known_to_sender
        answers.append(Submitted(frame.id, states[frame.id], duplicate))
        known_to_sender.add(frame.id)  # the second time in one submission it is known
    return answers


def _find_told(session: Session, frame_ids: Sequence[str], sender: Sender) -> dict[str, Submission]:
    """What is told so far of frames that the sender means; nobody changes it until the commit."""
    if not frame_ids:
        return {}
    hold_frames(session, frame_ids)
    found = select(Submission).where(Submission.frame_id.in_(frame_ids))
    for column, named in (
        (Submission.proposal, sender.proposal),
        (Submission.beamline, sender.beamline),
    ):
        if named is not None:
            found = found.where(column == named)
    rows: dict[str, list[Submission]] = {}
    for row in session.scalars(
        found.order_by(Submission.id).execution_options(populate_existing=True)
    ):
        rows.setdefault(row.frame_id, []).append(row)
    meant = {frame_id: _meant(places, sender) for frame_id, places in rows.items()}
    return {frame_id: row for frame_id, row in meant.items() if row is not None}


def _meant(places: Sequence[Submission], sender: Sender) -> Submission | None:
    """Where a frame is meant of which its sender names no proposal, or no beamline.

    In the only place there is, else where none was told: what several proposals tell of a frame
    is changed by none who does not name one of them.
    """
    if len(places) == 1:
        return places[0]
    named = (sender.proposal, sender.beamline)
    return next((row for row in places if (row.proposal, row.beamline) == named), None)


def _new_told(frame: NewFrame, sender: Sender) -> dict[str, Any]:
    row = asdict(sender)
    del row["author"]
    number = frame.frame_number if frame.frame_number is not None else sender.frame_number
    if number is None:
        number = frame.likely_number
    return {**row, "filename": frame.filename, "frame_number": number}


def _said(frame: NewFrame, sender: Sender, known: Submission) -> dict[str, Any]:
    """What a frame that is sent again is told to be, without what is not told."""
    said: dict[str, Any] = {
        "filename": frame.filename,
        "scan": sender.scan,
        "sample": sender.sample,
        "technique": sender.technique,
        "frame_number": frame.frame_number
        if frame.frame_number is not None
        else sender.frame_number,
        **sender.details,
    }
    if said["frame_number"] is None and known.frame_number is None:
        said["frame_number"] = frame.likely_number
    return {name: value for name, value in said.items() if value is not None}


def _note_files(session: Session, files: Collection[str]) -> None:
    """Files that retention had removed are here again, for all frames of theirs."""
    session.execute(
        update(Frame)
        .where(Frame.sha256.in_(files), Frame.raw_removed.is_not(None))
        .values(raw_kept=Clock(), raw_removed=None)
        .execution_options(synchronize_session=False)
    )


def queue_jobs(
    session: Session,
    frame_ids: Iterable[str],
    models: Iterable[ModelVersion],
    *,
    queue: str = LIVE,
) -> None:
    """Queue one annotate job for each frame and model that has none yet."""
    now = session.scalar(select(Clock()))
    models = tuple(models)
    _insert_new(
        session,
        Job,
        "key",
        (
            {
                **_new_job("annotate", frame_id, model, now),
                "key": f"annotate:{frame_id}:{model.version}",
                "queue": queue,
            }
            for frame_id in sorted(frame_ids)
            for model in models
        ),
    )


def queue_render(
    session: Session, frame_id: str, model: ModelVersion | None, parameters: Mapping[str, str]
) -> None:
    """Queue the drawing of these parameters of a frame, unless that was done before.

    Without a model, any worker may draw it.
    """
    row = {
        **_new_job("render", frame_id, model, session.scalar(select(Clock()))),
        "key": render_key(frame_id, model, parameters),
        "queue": RENDER,
        "parameters": dict(parameters),
    }
    _insert_new(session, Job, "key", [row])


def queue_render_anew(
    session: Session, frame_id: str, model: ModelVersion | None, parameters: Mapping[str, str]
) -> None:
    """Queue a drawing once more that was done and is no longer kept."""
    session.execute(
        update(Job)
        .where(Job.key == render_key(frame_id, model, parameters), Job.state == State.DONE)
        .values(
            state=State.QUEUED,
            blob=None,
            lost_leases=0,
            crashes=0,
            queued=Clock(),
            finished=None,
        )
        .execution_options(synchronize_session=False)
    )


def render_key(frame_id: str, model: ModelVersion | None, parameters: Mapping[str, str]) -> str:
    """The unique key of a render job."""
    said = ",".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    return f"render:{frame_id}:{'' if model is None else model.version}:{said}"


def _new_job(
    kind: str, frame_id: str, model: ModelVersion | None, now: float | None
) -> dict[str, Any]:
    return {
        "kind": kind,
        "frame_id": frame_id,
        "model_name": None if model is None else model.name,
        "model_version": None if model is None else model.version,
        "state": State.QUEUED.value,
        "attempt": 0,
        "lost_leases": 0,
        "crashes": 0,
        "queued": now,
    }


def job_states(session: Session, frame_ids: Iterable[str], version: str) -> dict[str, State]:
    """State of each frame's annotate job with one model version; frames without one are absent."""
    rows = session.execute(
        select(Job.frame_id, Job.state).where(
            Job.kind == "annotate",
            Job.model_version == version,
            Job.frame_id.in_(list(frame_ids)),
        )
    )
    return {frame_id: State(state) for frame_id, state in rows if frame_id is not None}


def remember_request(session: Session, key_id: str, token: str, digest: str) -> bool:
    """Record an Idempotency-Key with its body's digest; False if this very request came before.

    Raises:
        IdempotencyConflictError: the key was used for another body.
    """
    now = session.scalar(select(Clock()))
    row = {"key_id": key_id, "token": token, "digest": digest, "time": now}
    insert = insert_into(session)(Request).on_conflict_do_nothing().returning(Request.token)
    if session.scalar(insert.values(row)) is not None:
        return True
    if session.get_one(Request, (key_id, token)).digest != digest:
        raise IdempotencyConflictError(
            f"Idempotency-Key {token!r} was used for another body; choose a new one"
        )
    return False


def _insert_new(
    session: Session, table: type[Table], unique: str, rows: Iterable[dict[str, Any]]
) -> set[str]:
    """Insert the rows whose `unique` column is new; those that another writer adds meanwhile
    count as known. Returns the unique values that were inserted.
    """
    values = list(rows)
    if not values:
        return set()
    column = getattr(table, unique)
    insert = insert_into(session)(table).on_conflict_do_nothing(index_elements=[unique])
    return set(session.scalars(insert.returning(column), values))
