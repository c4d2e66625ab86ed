"""What people say about one frame: taking their labels, and telling them."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from scatterlens.schemas import FrameLabels, LabelsIn
from scatterlens_service import ledger
from scatterlens_service.comparing.consensus import find_consensus
from scatterlens_service.gateway.caching import answer_unchanged, make_etag, private
from scatterlens_service.gateway.deps import GatewayDep, Labeller, VisibleFrame
from scatterlens_service.gateway.errors import InvalidError, OutdatedError, problem_responses
from scatterlens_service.gateway.resources import Gateway

router = APIRouter(prefix="/frames/{frame_id}", tags=["labels"])


@router.put("/labels", responses=problem_responses(401, 403, 404, 412, 422, 500, 503))
def put_labels(
    response: Response,
    gateway: GatewayDep,
    caller: Labeller,
    frame: VisibleFrame,
    said: LabelsIn,
    if_match: Annotated[
        str | None,
        Header(max_length=1000, description="`ETag` of the labels that the caller has read."),
    ] = None,
) -> FrameLabels:
    """Say which attributes a frame has, as the caller; nothing said before is lost.

    It is said within the frame's proposal: who sends the same bytes for another does not see it.

    Attributes that are not named keep their labels, those of other authors stay as they are, and
    the same request again changes nothing. `If-Match` refuses it where anybody labelled the frame
    since.
    """
    _check_attributes(gateway, said)
    _check_regions(frame, said)
    judgements = {
        attribute: ledger.Judgement(label.value, label.region, label.note)
        for attribute, label in said.labels.items()
    }
    shown = None if said.shown is None else said.shown.model_dump(mode="json")
    with ledger.writing(gateway.engine) as session:
        newest = ledger.hold_labels(session, frame.frame_id, frame.within)
        _check_unchanged(if_match, _etag(frame, newest))
        ledger.put_labels(session, frame.frame_id, frame.within, caller, judgements, shown)
    answer, etag = _read(gateway, frame, history=False)
    response.headers.update(private(etag))
    return answer


@router.get(
    "/labels",
    responses={
        304: {"description": "Not modified"},
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
    response_model=FrameLabels,
)
def read_labels(
    request: Request,
    response: Response,
    gateway: GatewayDep,
    frame: VisibleFrame,
    history: Annotated[bool, Query(description="Tell all that was ever said, too.")] = False,
) -> FrameLabels | Response:
    """Tell what each author says about a frame now, within its proposal, and what it comes to."""
    answer, etag = _read(gateway, frame, history)
    if unchanged := answer_unchanged(request, etag):
        return unchanged
    response.headers.update(private(etag))
    return answer


def _read(gateway: Gateway, frame: ledger.FrameRow, history: bool) -> tuple[FrameLabels, str]:
    with ledger.reading(gateway.engine) as session:
        newest = ledger.newest_label(session, frame.frame_id, frame.within)
        current = ledger.current_labels(session, frame.frame_id, frame.within)
        entries = None
        if history:
            entries = ledger.label_history(session, frame.frame_id, frame.within)
    answer = FrameLabels(
        frame_id=frame.frame_id,
        labels=[ledger.to_label(row) for row in current],
        consensus=find_consensus(current),
        history=None if entries is None else [ledger.to_label(row) for row in entries],
    )
    return answer, _etag(frame, newest)


def _etag(frame: ledger.FrameRow, newest: int) -> str:
    return make_etag("labels", frame.frame_id, frame.within, newest)


def _check_unchanged(if_match: str | None, etag: str) -> None:
    wanted = [tag.strip() for tag in (if_match or "*").split(",")]
    if "*" not in wanted and etag not in wanted:
        raise OutdatedError(
            "labels_changed",
            "The labels changed meanwhile",
            "Somebody labelled this frame after the version that `If-Match` names.",
            "Read the frame's labels again, then send yours with their `ETag`, or without"
            " `If-Match`.",
        )


def _check_attributes(gateway: Gateway, said: LabelsIn) -> None:
    active = gateway.catalogue.active
    known = list(dict.fromkeys(one for bundle in active for one in bundle.vocabulary.ids))
    unknown = [attribute for attribute in said.labels if attribute not in known]
    if unknown:
        raise InvalidError(
            "unknown_attribute",
            "Unknown attribute",
            f"No active model has an attribute {unknown[0]!r}.",
            f"Choose among {', '.join(known)}.",
            known=known,
        )


def _check_regions(frame: ledger.FrameRow, said: LabelsIn) -> None:
    if frame.shape is None:  # no worker has decoded it yet
        return
    height, width = frame.shape
    for attribute, label in said.labels.items():
        for row, col in label.region or ():
            # Pixel centres lie at integers.
            if not (-0.5 <= row <= height - 0.5 and -0.5 <= col <= width - 0.5):
                raise InvalidError(
                    "region_outside",
                    "The region reaches beyond the frame",
                    f"({row:g}, {col:g}) of {attribute} is not on {height} x {width} pixels.",
                    f"Give points (row, col) with rows up to {height - 0.5:g} and columns up to"
                    f" {width - 0.5:g}.",
                )
