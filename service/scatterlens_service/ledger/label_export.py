"""What people say about frames, each entry with what a data set needs to know of its frame."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from scatterlens.schemas import ExportedLabel, LabelEntry
from scatterlens_service.ledger.frames import frames_within
from scatterlens_service.ledger.labels import LabelRow, export_labels
from scatterlens_service.ledger.records import Principal

_OF_ENTRY = tuple(LabelEntry.model_fields)
_OF_FRAME = tuple(set(ExportedLabel.model_fields) - set(LabelEntry.model_fields))


def to_label(row: LabelRow) -> LabelEntry:
    """An entry as everybody may read it."""
    return LabelEntry.model_validate(_fields_of(row))


def export_page(
    session: Session,
    *,
    since: datetime | None = None,
    sees: Principal | None = None,
    after: int = 0,
    limit: int = 500,
) -> tuple[list[ExportedLabel], int | None]:
    """A page as `export_labels` chooses it, and the `after` of the next one, None at the end."""
    rows = export_labels(session, since=since, sees=sees, after=after, limit=limit)
    places = {(row.frame_id, row.within) for row in rows}
    # No model is named, as none of its answers is part of a label.
    frames = frames_within(session, places, production="", sees=sees)
    labels = [
        ExportedLabel.model_validate(
            _fields_of(row)
            | {name: getattr(frames[row.frame_id, row.within], name) for name in _OF_FRAME}
        )
        for row in rows
    ]
    return labels, rows[-1].id if len(rows) == limit else None


def _fields_of(row: LabelRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _OF_ENTRY}
