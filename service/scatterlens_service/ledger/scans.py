"""Scans: which there are, and how a model's answers go along one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from scatterlens_service.ledger.findings import unpack_probability
from scatterlens_service.ledger.records import Principal, to_datetime
from scatterlens_service.ledger.search_tables import Finding, Scan
from scatterlens_service.ledger.tables import Submission
from scatterlens_service.ledger.visibility import submission_is_visible

FRAME_NUMBER = "frame_number"


@dataclass(frozen=True)
class ScanRow:
    """A scan of one proposal at one beamline."""

    scan: str
    proposal: str | None
    beamline: str | None
    frames: int
    """A frame that was sent twice counts twice."""
    first: datetime
    last: datetime


@dataclass(frozen=True)
class ScanRows:
    """One page of scans, the one with the newest frame first."""

    items: tuple[ScanRow, ...]
    following: int | None
    """Give it back as `before` for the next page."""


@dataclass(frozen=True)
class TimelinePoint:
    """One frame of a scan."""

    x: float
    frame_id: str
    probabilities: tuple[float, ...]
    """Of the attributes that were asked for, in their order."""


def list_scans(
    session: Session,
    *,
    proposal: str | None = None,
    beamline: str | None = None,
    sees: Principal | None = None,
    before: int | None = None,
    limit: int = 50,
) -> ScanRows:
    """Scans that `sees` may see."""
    query = select(Scan)
    limits = (
        (Scan.proposal, (proposal, sees and sees.proposal)),
        (Scan.beamline, (beamline, sees and sees.beamline)),
    )
    for column, values in limits:
        for value in values:
            if value is not None:
                query = query.where(column == value)
    if before is not None:
        query = query.where(Scan.newest < before)
    found = session.scalars(query.order_by(Scan.newest.desc()).limit(limit + 1)).all()
    items = tuple(
        ScanRow(
            scan=row.scan,
            proposal=row.proposal or None,
            beamline=row.beamline or None,
            frames=row.frames,
            first=to_datetime(row.first),
            last=to_datetime(row.last),
        )
        for row in found[:limit]
    )
    return ScanRows(items, found[limit - 1].newest if len(found) > limit else None)


def scan_timeline(
    session: Session,
    scan: str,
    positions: Sequence[int],
    *,
    production: str,
    against: str = FRAME_NUMBER,
    limit: int,
    sees: Principal | None = None,
) -> list[TimelinePoint]:
    """What a model says along the newest `limit` submissions of a scan, in the order of x.

    `positions` are those of the attributes in the vocabulary; `against` is the frame number or the
    name of a motor. Frames that have no such number, or no annotation yet, are left out; one that
    was sent several times with the same x stands there once.
    """
    columns = [Submission.frame_id, Submission.frame_number, Finding.probabilities]
    if against != FRAME_NUMBER:
        columns.append(Submission.details)
    rows = session.execute(
        select(*columns)
        .join(
            Finding,
            and_(Finding.submission_id == Submission.id, Finding.model_version == production),
        )
        .where(Submission.scan == scan, submission_is_visible(Submission, sees))
        .order_by(Submission.id.desc())
        .limit(limit)
    )
    points: dict[tuple[float, str], TimelinePoint] = {}
    for row in rows:
        if against == FRAME_NUMBER:
            x = row.frame_number
        else:
            x = row.details.get("motors", {}).get(against)
        if x is not None:
            found = tuple(unpack_probability(row.probabilities, at) for at in positions)
            points.setdefault((x, row.frame_id), TimelinePoint(x, row.frame_id, found))
    return [points[key] for key in sorted(points)]
