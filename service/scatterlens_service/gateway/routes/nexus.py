"""One frame with all that was said of it, as a file for other programs."""

from pathlib import PurePath
from urllib.parse import quote

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from scatterlens_service import ledger
from scatterlens_service.gateway.deps import GatewayDep, VisibleFrame
from scatterlens_service.gateway.errors import problem_responses
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.routes.rendering import PENDING, find_rendered
from scatterlens_service.gateway.waiting import Wait
from scatterlens_service.gateway.wire import to_geometry
from scatterlens_service.keeping.renders import PIXELS, unpack_pixels
from scatterlens_service.pictures.nexus import Said, write_nexus

router = APIRouter(prefix="/frames/{frame_id}", tags=["frames"])

_MEDIA_TYPE = "application/x-hdf5"


@router.get(
    "/nexus",
    response_class=Response,
    responses={
        200: {"content": {_MEDIA_TYPE: {}}, "description": "NeXus file (HDF5), laid out as NXsas"},
        **PENDING,
        **problem_responses(401, 403, 404, 409, 422, 500, 503),
    },
)
async def read_nexus(gateway: GatewayDep, frame: VisibleFrame, wait: Wait = 0.0) -> Response:
    """Give the frame's pixels and geometry, what each model says, and the labels of people.

    202 as long as a worker has yet to read the pixels, unless `wait` suffices.
    """
    blob = await find_rendered(gateway, frame.frame_id, PIXELS, wait)
    if isinstance(blob, Response):
        return blob
    content = await run_in_threadpool(_write, gateway, frame, blob)
    name = quote(PurePath(frame.filename or frame.frame_id[:12]).stem)
    return Response(
        content,
        media_type=_MEDIA_TYPE,
        headers={
            # Models and people may say more at any time.
            "Cache-Control": "no-store",
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}.nxs",
        },
    )


def _write(gateway: Gateway, frame: ledger.FrameRow, blob: str) -> bytes:
    with ledger.reading(gateway.engine) as session:
        annotations = ledger.all_annotations(session, frame.frame_id)
        labels = ledger.current_labels(session, frame.frame_id, frame.within)
    attention = {one.version: one.attention_names for one in gateway.catalogue.bundles}
    said = [
        Said(row, gateway.maps.load(row.blob), attention.get(row.model.version, ()))
        for row in annotations
        if row.blob is not None
    ]
    pixels = unpack_pixels(gateway.renders.read(blob))
    return write_nexus(frame, pixels, to_geometry(frame), said, labels)
