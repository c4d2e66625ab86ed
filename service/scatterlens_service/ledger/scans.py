"""Scans: which there are, and how a model's answers go along one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from scatterlens_service.ledger.findings import unpack_probability
from scatterlens_service.ledger.records import Principal, to_datetime
from scatterlens_service.ledger.search_tables import Finding, Scan
from scatterlens_service.ledger.tables import Frame, Submission
from scatterlens_service.ledger.visibility import is_named

FRAME_NUMBER = "frame_number"


@dataclass(frozen=True)
class ScanRow:
    """A scan of one proposal at one beamline."""

    scan: str
    proposal: str | None
    beamline: str | None
    frames: int
    first: datetime
    last: datetime
    newest: int
    """Id of its newest submission."""

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Proposal and beamline."""
        return self.proposal, self.beamline


class AmbiguousScanError(ValueError):
    """Several proposals or beamlines have a scan of that name; the message names them."""

    def __init__(self, scan: str, places: Sequence[tuple[str | None, str | None]]) -> None:
        named = "; ".join(
            f"proposal {proposal or '(none)'} at {beamline or '(no beamline)'}"
            for proposal, beamline in places
        )
        super().__init__(f"there are {len(places)} scans {scan!r}: {named}")
        self.places = places


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
    wanted = [
        column == value
        for column, value in ((Scan.proposal, proposal), (Scan.beamline, beamline))
        if value is not None
    ]
    if before is not None:
        wanted.append(Scan.newest < before)
    found = _visible(session, sees, *wanted, limit=limit + 1)
    return ScanRows(tuple(found[:limit]), found[limit - 1].newest if len(found) > limit else None)


def _visible(
    session: Session, sees: Principal | None, *wanted: ColumnElement[bool], limit: int | None = None
) -> list[ScanRow]:
    query = select(Scan).where(*wanted)
    if sees is not None and sees.proposal is not None:
        query = query.where(Scan.proposal == sees.proposal)
    if sees is not None and sees.beamline is not None:
        query = query.where(Scan.beamline == sees.beamline)
    return [
        ScanRow(
            scan=row.scan,
            proposal=row.proposal or None,
            beamline=row.beamline or None,
            frames=row.frames,
            first=to_datetime(row.first),
            last=to_datetime(row.last),
            newest=row.newest,
        )
        for row in session.scalars(query.order_by(Scan.newest.desc()).limit(limit))
    ]


def find_scan(
    session: Session,
    scan: str,
    *,
    proposal: str | None = None,
    beamline: str | None = None,
    sees: Principal | None = None,
) -> ScanRow | None:
    """The scan of that name that `sees` may see; None if there is none.

    Raises:
        AmbiguousScanError: several proposals or beamlines have one; empty names none.
    """
    named = (proposal, beamline)
    found = [
        row
        for row in _visible(session, sees, Scan.scan == scan)
        if all(want in (None, has or "") for want, has in zip(named, row.place, strict=True))
    ]
    if len(found) > 1:
        raise AmbiguousScanError(scan, [row.place for row in found])
    return found[0] if found else None


def scan_timeline(
    session: Session,
    scan: ScanRow,
    positions: Sequence[int],
    *,
    production: str,
    against: str = FRAME_NUMBER,
    limit: int,
) -> list[TimelinePoint]:
    """What a model says along the newest `limit` frames of a scan, in the order of x.

    `positions` are those of the attributes in the vocabulary; `against` is the frame number or the
    name of a motor. Frames that have no such number, or no annotation yet, are left out.
    """
    columns = [Submission.frame_id, Submission.frame_number, Finding.probabilities]
    query = select(*columns)
    if against != FRAME_NUMBER:
        query = query.add_columns(Submission.details, Frame.motors)
        query = query.join(Frame, Frame.id == Submission.frame_id)
    rows = session.execute(
        query.join(
            Finding,
            and_(Finding.submission_id == Submission.id, Finding.model_version == production),
        )
        .where(
            Submission.scan == scan.scan,
            is_named(Submission.proposal, scan.proposal or ""),
            is_named(Submission.beamline, scan.beamline or ""),
        )
        .order_by(Submission.id.desc())
        .limit(limit)
    )
    points = []
    for row in rows:
        if against == FRAME_NUMBER:
            x = row.frame_number
        else:
            x = row.details.get("motors", {}).get(against, (row.motors or {}).get(against))
        if x is not None:
            found = tuple(unpack_probability(row.probabilities, at) for at in positions)
            points.append(TimelinePoint(x, row.frame_id, found))
    return sorted(points, key=lambda point: (point.x, point.frame_id))
