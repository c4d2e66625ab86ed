"""Which rows exist for whom: one rule, used by every query."""

from typing import Any

from sqlalchemy import ColumnElement, exists, true
from sqlalchemy.orm import aliased

from scatterlens_service.ledger.records import Principal
from scatterlens_service.ledger.tables import Submission


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
    if sees is None or (sees.proposal is None and sees.beamline is None):
        return true()
    submission = aliased(Submission)
    return exists().where(submission.frame_id == frame_id, submission_is_visible(submission, sees))
