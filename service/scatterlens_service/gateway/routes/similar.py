"""Frames like one frame."""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query

from scatterlens.schemas import SimilarFrame, SimilarFrames
from scatterlens_service import ledger
from scatterlens_service.gateway.deps import ChosenModel, GatewayDep, Reader, VisibleFrame
from scatterlens_service.gateway.errors import NotReadyError, problem_responses
from scatterlens_service.gateway.wire import to_summary

router = APIRouter(prefix="/frames/{frame_id}", tags=["search"])

_PORTION = 500


@router.get("/similar", responses=problem_responses(401, 403, 404, 409, 422, 500, 503))
def list_similar(
    gateway: GatewayDep,
    caller: Reader,
    frame: VisibleFrame,
    model: ChosenModel,
    limit: Annotated[int, Query(ge=1, le=200)] = 24,
) -> SimilarFrames:
    """List the frames that the chosen model's network sees most alike; each is compared."""
    version = model.version
    with ledger.reading(gateway.engine) as session:
        stored = ledger.get_annotation(session, frame.frame_id, version)
    if stored is None or stored.blob is None:
        raise NotReadyError(
            "not_annotated",
            "The frame has no annotation yet",
            f"{model.name}@{version} has said nothing about it that others could be compared with.",
            "Wait for `GET /frames/{id}/annotation`, or ask for another model.",
            frame_id=frame.frame_id,
        )
    features = gateway.maps.load(stored.blob).features
    nearest, count = gateway.similar.nearest(version, features)
    items: list[SimilarFrame] = []
    while len(items) < limit and (portion := dict(islice(nearest, _PORTION))):
        with ledger.reading(gateway.engine) as session:
            rows = ledger.get_frames(session, portion, production=version, sees=caller)
        items += [
            SimilarFrame(frame=to_summary(rows[frame_id]), similarity=cosine)
            for frame_id, cosine in portion.items()
            if frame_id in rows and frame_id != frame.frame_id
        ]
    return SimilarFrames(items=items[:limit], compared=count)
