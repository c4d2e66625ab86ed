"""Keeping the list of scans: counted when frames come and go, not when it is asked for."""

from collections.abc import Collection

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.orm import Session

from scatterlens_service.ledger.inserting import insert_into
from scatterlens_service.ledger.records import Sender
from scatterlens_service.ledger.search_tables import Scan
from scatterlens_service.ledger.tables import Submission

ScanKey = tuple[str, str, str]
"""Proposal and beamline, empty where none was told, and the scan's name."""


def scan_of(row: Submission) -> ScanKey | None:
    """The scan that a frame belongs to."""
    return None if row.scan is None else (row.proposal or "", row.beamline or "", row.scan)


def count_in_scan(
    session: Session, sender: Sender, frames: int, newest: int, now: float | None
) -> None:
    """Add new frames to their scan, which is new or grows."""
    adding = insert_into(session)(Scan).values(
        proposal=sender.proposal or "",
        beamline=sender.beamline or "",
        scan=sender.scan,
        frames=frames,
        first=now,
        last=now,
        newest=newest,
    )
    session.execute(
        adding.on_conflict_do_update(
            index_elements=["proposal", "beamline", "scan"],
            set_={
                "frames": Scan.frames + adding.excluded.frames,
                "last": adding.excluded.last,
                # Of two that come at once, the later commit may hold the earlier ids.
                "newest": case(
                    (Scan.newest > adding.excluded.newest, Scan.newest),
                    else_=adding.excluded.newest,
                ),
            },
        )
    )


def recount(session: Session, scans: Collection[ScanKey]) -> None:
    """Count scans anew that frames left or came to; one without frames is no more."""
    for key in sorted(scans):
        _recount(session, key)


def _recount(session: Session, key: ScanKey) -> None:
    proposal, beamline, scan = key
    empty = {"frames": 0, "first": 0.0, "last": 0.0, "newest": 0}
    named = {"proposal": proposal, "beamline": beamline, "scan": scan}
    # Whoever adds frames at the same time waits for this row, or is waited for.
    session.execute(insert_into(session)(Scan).values(**named, **empty).on_conflict_do_nothing())
    is_it = (Scan.proposal == proposal) & (Scan.beamline == beamline) & (Scan.scan == scan)
    session.execute(select(Scan.id).where(is_it).with_for_update()).all()
    frames, first, last, newest = session.execute(
        select(
            func.count(),
            func.min(Submission.time),
            func.max(Submission.time),
            func.max(Submission.id),
        ).where(
            Submission.scan == scan,
            func.coalesce(Submission.proposal, "") == proposal,
            func.coalesce(Submission.beamline, "") == beamline,
        )
    ).one()
    if frames == 0:
        session.execute(delete(Scan).where(is_it))
        return
    counted = {"frames": frames, "first": first, "last": last, "newest": newest}
    session.execute(
        update(Scan).where(is_it).values(counted).execution_options(synchronize_session=False)
    )
