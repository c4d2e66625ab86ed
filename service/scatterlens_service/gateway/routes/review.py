"""Which frames a person should look at next."""

from typing import Annotated

from fastapi import APIRouter, Query

from scatterlens.schemas import ReviewItem, ReviewPage, ReviewProgress, ReviewQueue
from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger
from scatterlens_service.gateway.cursors import read_cursor, write_cursor
from scatterlens_service.gateway.deps import ChosenModel, GatewayDep, Reader
from scatterlens_service.gateway.errors import InvalidError, problem_responses
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.wire import to_summary

router = APIRouter(tags=["labels"])

_FIGURE = r"0x[01]\.[0-9a-f]{1,13}p(?:\+0|-\d{1,4})"
_FRAME_ID = r"[0-9a-f]{64}(?:\.\d{1,9})?"

Queue = Annotated[
    ReviewQueue,
    Query(
        description="`uncertain`: near the threshold; `disagreement`: between all models that"
        " annotated the frame; `model_vs_human`: tags against what people say;"
        " `novel`: unlike the model's validation frames."
    ),
]
OfAttribute = Annotated[str | None, Query(max_length=64, description="Only doubts about this one.")]


@router.get("/review", responses=problem_responses(401, 403, 404, 422, 500, 503))
def list_review(
    gateway: GatewayDep,
    caller: Reader,
    model: ChosenModel,
    by: Queue = "uncertain",
    attribute: OfAttribute = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ReviewPage:
    """List frames that a person should look at, the greatest doubt first, each once.

    Left out are those that the caller has judged: for the attribute in doubt, of `novel` ones for
    the attribute asked for or else for any. `model_vs_human` leaves none out.
    """
    if attribute is not None:
        _check_attribute(gateway, model, by, attribute)
    with ledger.reading(gateway.engine) as session:
        rows = ledger.list_review(
            session,
            by,
            caller,
            model_version=model.version,
            attribute=attribute,
            after=None if cursor is None else _read_place(by, cursor),
            limit=limit,
        )
    return ReviewPage(
        items=[
            ReviewItem(frame=to_summary(row.frame), attribute=row.attribute, figure=row.figure)
            for row in rows.items
        ],
        next_cursor=None if rows.following is None else _write_place(by, *rows.following),
    )


@router.get("/review/progress", responses=problem_responses(401, 403, 404, 422, 500, 503))
def read_review_progress(
    gateway: GatewayDep,
    caller: Reader,
    model: ChosenModel,
    by: Queue = "uncertain",
    attribute: OfAttribute = None,
) -> ReviewProgress:
    """Tell how many frames a queue is drawn from, and over how many the caller said something."""
    if attribute is not None:
        _check_attribute(gateway, model, by, attribute)
    with ledger.reading(gateway.engine) as session:
        found = ledger.count_review(
            session, by, caller, model_version=model.version, attribute=attribute
        )
    return ReviewProgress(
        judged=found.judged, frames=found.frames, more=found.frames == ledger.COUNTED
    )


def _check_attribute(gateway: Gateway, model: Bundle, by: ReviewQueue, attribute: str) -> None:
    asked = gateway.catalogue.bundles if by == "disagreement" else (model,)
    known = list(dict.fromkeys(one for bundle in asked for one in bundle.vocabulary.ids))
    if attribute not in known:
        raise InvalidError(
            "unknown_attribute",
            "Unknown attribute",
            f"There is no attribute {attribute!r} to have doubts about.",
            f"Choose one of {', '.join(known)}.",
            known=known,
        )


def _write_place(by: ReviewQueue, figure: float, frame_id: str) -> str:
    # Hexadecimal, so that the figure comes back to the last bit.
    return write_cursor(f"{by}:{figure.hex()}:{frame_id}")


def _read_place(by: ReviewQueue, cursor: str) -> tuple[float, str]:
    found = read_cursor(cursor, f"{by}:({_FIGURE}):({_FRAME_ID})")
    return float.fromhex(found[1]), found[2]
