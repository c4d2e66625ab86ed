"""Records of the ledger as wire models."""

from collections.abc import Mapping, Sequence
from typing import Any

from scatterlens.schemas import (
    Annotation,
    Event,
    FrameDetail,
    FramePlace,
    FrameSummary,
    GeometryIn,
    MetadataChange,
    ModelRef,
    ScanSummary,
    Training,
)
from scatterlens_service import ledger

_SUMMARY = tuple(name for name in FrameSummary.model_fields if name != "tags")


def to_model_ref(model: ledger.ModelVersion) -> ModelRef:
    """Name and version."""
    return ModelRef(name=model.name, version=model.version)


def to_summary(row: ledger.FrameRow) -> FrameSummary:
    """A frame in a list."""
    return FrameSummary(**_summary_fields(row))


def to_detail(
    row: ledger.FrameRow,
    models: list[ledger.ModelVersion],
    places: Sequence[tuple[str | None, str | None]],
    history: Sequence[ledger.MetadataChangeRow] | None,
) -> FrameDetail:
    """A frame with all that is known of it."""
    return FrameDetail(
        **_summary_fields(row),
        motors=row.motors,
        geometry=to_geometry(row),
        extra=dict(row.details.get("extra", {})),
        header=dict(row.header),
        shape=row.shape,
        models=[to_model_ref(model) for model in models],
        places=[FramePlace(proposal=proposal, beamline=beamline) for proposal, beamline in places],
        history=None if history is None else [_to_change(change) for change in history],
    )


def _to_change(row: ledger.MetadataChangeRow) -> MetadataChange:
    return MetadataChange(
        time=row.time,
        author=row.author,
        changes={name: (before, after) for name, (before, after) in row.changes.items()},
    )


def to_scan(row: ledger.ScanRow) -> ScanSummary:
    """A scan in a list."""
    return ScanSummary(**{name: getattr(row, name) for name in ScanSummary.model_fields})


def to_geometry(row: ledger.FrameRow) -> GeometryIn | None:
    """Geometry as the sender tells it, else as the file does."""
    told: Mapping[str, Any] | None = row.details.get("geometry") or row.file_geometry
    return None if told is None else GeometryIn.model_validate(told)


def to_annotation(frame: ledger.FrameRow, stored: ledger.StoredAnnotation) -> Annotation:
    """What a model says about a frame, or why it says nothing."""
    return Annotation(
        frame_id=stored.frame_id,
        state=stored.state,
        model=to_model_ref(stored.model),
        attributes=list(stored.scores),
        geometry=to_geometry(frame),
        mask_fraction=stored.mask_fraction,
        novelty=stored.novelty,
        timings_ms=dict(stored.timings_ms),
        reason=stored.reason,
    )


def to_event(row: ledger.EventRow) -> Event:
    """A change of a frame's state or labels, of a training run, or of the models."""
    return Event.model_validate(
        {
            "id": row.id,
            "kind": row.kind,
            "frame_id": row.frame_id,
            "model": None if row.model is None else to_model_ref(row.model),
            "tags": list(row.tags),
            "time": row.time,
            "training": row.details,
            "change": row.change,
        }
    )


def to_training(row: ledger.RunRow) -> Training:
    """A training run."""
    return Training.model_validate(
        {
            "id": row.id,
            "by": row.by,
            "trigger": row.trigger,
            "time": row.time,
            "finished": row.finished,
            "state": row.state,
            "request": row.description,
            "progress": row.progress,
            "result": row.result,
            "reason": row.reason,
        }
    )


def _summary_fields(row: ledger.FrameRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _SUMMARY} | {"tags": list(row.tags)}
