"""Reading what models said about frames. Visibility is the caller's: ask `get_frame` first."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from scatterlens.schemas import AttributeResult, Reason, State
from scatterlens_service.ledger.records import (
    ModelVersion,
    StoredAnnotation,
    StoredRender,
    to_datetime,
)
from scatterlens_service.ledger.submissions import render_key
from scatterlens_service.ledger.tables import Annotation, Job, Score


def get_annotation(session: Session, frame_id: str, version: str) -> StoredAnnotation | None:
    """Where the frame stands with that model version; None if it was never asked for."""
    return annotations_of(session, [frame_id], version).get(frame_id)


def annotations_of(
    session: Session, frame_ids: Collection[str], version: str
) -> dict[str, StoredAnnotation]:
    """Where many frames stand with one model version; frames never asked for are absent."""
    asked = _asked().where(Job.model_version == version, Job.frame_id.in_(list(frame_ids)))
    return {one.frame_id: one for one in _records(session, session.execute(asked).all())}


def all_annotations(session: Session, frame_id: str) -> list[StoredAnnotation]:
    """Where one frame stands with each model version that was asked about it, first asked first."""
    asked = _asked().where(Job.frame_id == frame_id).order_by(Job.id)
    return _records(session, session.execute(asked).all())


def asked_versions(session: Session, frame_id: str) -> list[str]:
    """Model versions that were asked about this frame, first asked first, decided or not."""
    rows = session.scalars(
        select(Job.model_version)
        .where(Job.frame_id == frame_id, Job.kind == "annotate")
        .order_by(Job.id)
    )
    return [version for version in rows if version is not None]


def models_of(session: Session, frame_id: str) -> list[ModelVersion]:
    """Model versions with an annotation of this frame, oldest annotation first."""
    rows = session.execute(
        select(Annotation.model_name, Annotation.model_version)
        .where(Annotation.frame_id == frame_id)
        .order_by(Annotation.id)
    )
    return [ModelVersion(name, version) for name, version in rows]


def get_render(
    session: Session, frame_id: str, model: ModelVersion | None, parameters: Mapping[str, str]
) -> StoredRender | None:
    """Where the drawing of these parameters stands; None if it was never asked for."""
    key = render_key(frame_id, model, parameters)
    job = session.scalar(select(Job).where(Job.key == key))
    return None if job is None else StoredRender(State(job.state), job.blob, _reason(job))


def _asked():
    return (
        select(Job, Annotation)
        .outerjoin(
            Annotation,
            and_(
                Annotation.frame_id == Job.frame_id,
                Annotation.model_version == Job.model_version,
            ),
        )
        .where(Job.kind == "annotate")
    )


def _records(session: Session, rows: Sequence[Any]) -> list[StoredAnnotation]:
    scores = _scores(session, [row.id for _, row in rows if row is not None])
    return [
        _record(job, row, scores.get(row.id, ()) if row is not None else ()) for job, row in rows
    ]


def _scores(
    session: Session, annotation_ids: Collection[int]
) -> dict[int, tuple[AttributeResult, ...]]:
    found: dict[int, tuple[AttributeResult, ...]] = {}
    for row in session.scalars(
        select(Score)
        .where(Score.annotation_id.in_(annotation_ids))
        .order_by(Score.annotation_id, Score.position)
    ):
        score = AttributeResult.model_construct(
            id=row.attribute,
            probability=row.probability,
            threshold=row.threshold,
            tag=row.tag,
        )
        found[row.annotation_id] = (*found.get(row.annotation_id, ()), score)
    return found


def _record(
    job: Job, row: Annotation | None, scores: tuple[AttributeResult, ...]
) -> StoredAnnotation:
    model = ModelVersion(job.model_name or "", job.model_version or "")
    reason = _reason(job)
    frame_id = job.frame_id or ""
    if row is None:
        return StoredAnnotation(frame_id, model, State(job.state), reason=reason)
    return StoredAnnotation(
        frame_id=frame_id,
        model=model,
        state=State(job.state),
        scores=scores,
        novelty=row.novelty,
        mask_fraction=row.mask_fraction,
        timings_ms=row.timings_ms,
        provider=row.provider,
        blob=row.blob,
        time=to_datetime(row.time),
        reason=reason,
    )


def _reason(job: Job) -> Reason | None:
    return None if job.reason is None else Reason(**job.reason)
