"""Which rows exist for whom: one rule, used by every query."""

from typing import Any

from sqlalchemy import ColumnElement, exists, func, true
from sqlalchemy.orm import aliased

from scatterlens_service.ledger.records import Principal
from scatterlens_service.ledger.tables import Submission


def is_named(column: Any, name: str) -> ColumnElement[bool]:
    """Condition on a column of a submission; the empty name is meant where none was told."""
    return column == name if name else column.is_(None)


def submission_is_visible(submission: Any, sees: Principal | None) -> ColumnElement[bool]:
    """Condition on (an alias of) `Submission`; None sees everything."""
    condition: ColumnElement[bool] = true()
    if sees is not None and sees.proposal is not None:
        condition &= submission.proposal == sees.proposal
    if sees is not None and sees.beamline is not None:
        condition &= submission.beamline == sees.beamline
    return condition


def frame_is_visible(frame_id: Any, sees: Principal | None) -> ColumnElement[bool]:
    """Condition: at least one submission of that frame may be seen."""
    if sees is None or not sees.is_bound:
        return true()
    submission = aliased(Submission)
    return exists().where(submission.frame_id == frame_id, submission_is_visible(submission, sees))


def label_is_visible(label: Any, sees: Principal | None) -> ColumnElement[bool]:
    """Condition on (an alias of) `Label`: its frame may be seen within the label's proposal."""
    return is_visible_within(label.frame_id, label.proposal, sees)


def is_visible_within(frame_id: Any, proposal: Any, sees: Principal | None) -> ColumnElement[bool]:
    """Condition: a frame may be seen within a proposal, which is empty where none was told."""
    if sees is None or not sees.is_bound:
        return true()
    submission = aliased(Submission)
    found = exists().where(
        submission.frame_id == frame_id,
        func.coalesce(submission.proposal, "") == proposal,
        submission_is_visible(submission, sees),
    )
    return found.correlate_except(submission)
