"""Scans, and how a model's answers go along one of them."""

from typing import Annotated

from fastapi import APIRouter, Query

from scatterlens.schemas import ScanPage, Timeline
from scatterlens_service import ledger
from scatterlens_service.gateway.asking import Line, find_position
from scatterlens_service.gateway.cursors import read_cursor, write_cursor
from scatterlens_service.gateway.deps import ChosenModel, GatewayDep, Reader
from scatterlens_service.gateway.errors import problem_responses
from scatterlens_service.gateway.wire import to_scan

router = APIRouter(prefix="/scans", tags=["search"])

MOST_POINTS = 2_000
MOST_FRAMES = 100_000


@router.get("", responses=problem_responses(401, 403, 422, 500, 503))
def list_scans(
    gateway: GatewayDep,
    caller: Reader,
    proposal: Line = None,
    beamline: Line = None,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ScanPage:
    """List scans, the one with the newest frame first."""
    with ledger.reading(gateway.engine) as session:
        rows = ledger.list_scans(
            session,
            proposal=proposal,
            beamline=beamline,
            sees=caller,
            before=None if cursor is None else int(read_cursor(cursor, r"scans:(\d{1,18})")[1]),
            limit=limit,
        )
    return ScanPage(
        items=[to_scan(row) for row in rows.items],
        next_cursor=None if rows.following is None else write_cursor(f"scans:{rows.following}"),
    )


@router.get("/timeline", responses=problem_responses(401, 403, 404, 422, 500, 503))
def read_timeline(
    gateway: GatewayDep,
    caller: Reader,
    model: ChosenModel,
    scan: Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")],
    attributes: Annotated[str, Query(max_length=1000, description="Ids, separated by commas.")],
    against: Annotated[
        str,
        Query(max_length=200, pattern=r"^[^\x00]*$", description="`frame_number` or a motor."),
    ] = "frame_number",
    proposal: Line = None,
    beamline: Line = None,
) -> Timeline:
    """Tell the probabilities of attributes along a scan.

    Of the newest 100,000 frames of the scan those that have an annotation and a value of `against`;
    of more than 2,000 such points each k-th, from the first on, and the last. Where several
    proposals or beamlines have a scan of that name, `proposal` and `beamline` say which.
    """
    chosen = list(dict.fromkeys(one.strip() for one in attributes.split(",") if one.strip()))
    positions = [find_position(model, attribute) for attribute in chosen]
    with ledger.reading(gateway.engine) as session:
        found = ledger.find_scan(session, scan, proposal=proposal, beamline=beamline, sees=caller)
        points = []
        if found is not None:
            points = ledger.scan_timeline(
                session,
                found,
                positions,
                production=model.version,
                against=against,
                limit=MOST_FRAMES,
            )
    every = max(1, -(-len(points) // MOST_POINTS))
    shown = points[::every]
    if points and shown[-1] is not points[-1]:
        shown.append(points[-1])
    return Timeline(
        scan=scan,
        proposal=None if found is None else found.proposal,
        beamline=None if found is None else found.beamline,
        against=against,
        frames=len(points),
        every=every,
        x=[point.x for point in shown],
        frame_ids=[point.frame_id for point in shown],
        probabilities={
            attribute: [point.probabilities[at] for point in shown]
            for at, attribute in enumerate(chosen)
        },
    )
