"""The pixels of one frame at full resolution: read by a worker when they are first asked for."""

import gzip

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from scatterlens_service.gateway.caching import answer_unchanged, lasting, make_etag
from scatterlens_service.gateway.deps import GatewayDep, VisibleFrame
from scatterlens_service.gateway.routes.drawing import NPY
from scatterlens_service.gateway.routes.rendering import PENDING, find_rendered
from scatterlens_service.gateway.waiting import Wait
from scatterlens_service.keeping.renders import PIXELS

router = APIRouter(prefix="/frames/{frame_id}", tags=["pictures"])


@router.get("/pixels.npy", response_class=Response, responses={**NPY, **PENDING})
async def read_pixels(
    request: Request, gateway: GatewayDep, frame: VisibleFrame, wait: Wait = 0.0
) -> Response:
    """Give the counts of every detector pixel: float32 (H, W), NaN where masked.

    The first request has a worker read them and is answered 202, unless `wait` suffices.
    """
    blob = await find_rendered(gateway, frame.frame_id, PIXELS, wait)
    if isinstance(blob, Response):
        return blob
    etag = make_etag("pixels", blob)
    if unchanged := answer_unchanged(request, etag):
        return unchanged
    packed = await run_in_threadpool(gateway.renders.read, blob)
    headers = lasting(etag)
    if _takes_gzip(request):
        return Response(
            packed, media_type="application/x-npy", headers={**headers, "Content-Encoding": "gzip"}
        )
    unpacked = await run_in_threadpool(gzip.decompress, packed)
    return Response(unpacked, media_type="application/x-npy", headers=headers)


def _takes_gzip(request: Request) -> bool:
    codings = request.headers.get("accept-encoding", "").replace(" ", "").split(",")
    return any(coding in ("gzip", "*") or coding.startswith("gzip;q=1") for coding in codings)
