"""The frames that a search finds as a dataset, which training takes as it is."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from scatterlens.schemas import State
from scatterlens_models.bundle import Bundle
from scatterlens_models.datasets.corrections import divide_frames
from scatterlens_models.datasets.importing.rows import consensus
from scatterlens_models.datasets.importing.words import VALUES
from scatterlens_models.datasets.manifest import Manifest, write_manifest
from scatterlens_models.datasets.members import FrameMember, Split, experiment_of
from scatterlens_models.vocabulary import Vocabulary
from scatterlens_service import ledger
from scatterlens_service.gateway.asking import Filter, Ordering
from scatterlens_service.gateway.deps import ChosenModel, GatewayDep, Reader
from scatterlens_service.gateway.errors import InvalidError, problem_responses
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.routes.walking import walk

router = APIRouter(tags=["search"])

_MEDIA_TYPE = "application/x-ndjson"
_SOURCE = "service"
_BROKEN = (State.FAILED, State.QUARANTINED)
"""Training would stop at a frame that cannot be decoded."""
_CHUNK_BYTES = 2**16


@router.get(
    "/dataset.jsonl",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A dataset: a header with its hash, then a frame on each line",
            "content": {_MEDIA_TYPE: {"schema": {"type": "string"}}},
        },
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
def export_dataset(
    gateway: GatewayDep,
    caller: Reader,
    model: ChosenModel,
    wanted: Filter,
    order: Ordering,
    split: Annotated[
        Split | None,
        Query(description="All frames belong to it; without it they are divided by experiment."),
    ] = None,
) -> StreamingResponse:
    """Give the frames that the filter finds as a dataset, with what people say of them.

    Labels are by the vocabulary of the model; what nobody judged, and over what people differ, is
    unknown. Frames that failed are left out. Experiments are scans of proposals: of three or more,
    70 % of the frames are to learn from, 15 % to calibrate and 15 % to judge by; fewer are learned
    from as a whole. It is put together before it is sent, for its header holds the hash of the
    rest.
    """
    frames = _members(gateway, caller, model, wanted, order)
    if split is None:
        members = divide_frames(frames, others_judge=True)
    else:
        members = [replace(frame, split=split) for frame in frames]
    with tempfile.TemporaryDirectory(prefix="scatterlens-dataset-") as folder:
        path = Path(folder, "dataset.jsonl")
        made = write_manifest(path, model.vocabulary, members, "experiment")
        size = path.stat().st_size
        stream = path.open("rb")  # its content lives on without its name, until it is closed
    return StreamingResponse(
        _chunks(stream),
        media_type=_MEDIA_TYPE,
        headers=_headers(made, size),
        background=BackgroundTask(stream.close),  # also where nobody reads it
    )


def _members(
    gateway: Gateway,
    caller: ledger.Principal,
    model: Bundle,
    wanted: ledger.FrameFilter,
    order: ledger.Order,
) -> list[FrameMember]:
    most = gateway.settings.max_dataset_frames
    members: dict[str, FrameMember] = {}
    for row, labels in walk(gateway, caller, model, wanted, order, ledger.labels_of):
        if row.state in _BROKEN:
            continue
        # A frame that is sent again meanwhile may come twice.
        members.setdefault(row.frame_id, _member(row, labels or (), model.vocabulary))
        if len(members) > most:
            raise InvalidError(
                "too_many_frames",
                "The search finds too many frames",
                f"A dataset exported at once holds at most {most:,} frames.",
                "Narrow the search, as by `labelled=true`, or export it in parts by `since` and"
                " `until`, and join them by `scatterlens datasets join`.",
            )
    if not members:
        raise InvalidError(
            "no_frames",
            "The search finds no frame",
            "A dataset of no frames is of no use.",
            "Take a filter away, or ask for lower probabilities.",
        )
    return list(members.values())


def _member(
    row: ledger.FrameRow, labels: Sequence[ledger.LabelRow], vocabulary: Vocabulary
) -> FrameMember:
    judged: dict[str, dict[int, int]] = {}
    names: dict[str, str] = {}
    for label in labels:
        if label.attribute in vocabulary.ids and label.value is not None:
            names[label.person] = label.author
            said = judged.setdefault(label.person, {})
            said[vocabulary.index(label.attribute)] = VALUES[label.value]
    return FrameMember(
        frame_id=row.frame_id,
        path=None,
        labels=consensus(list(judged.values()), len(vocabulary.ids)),
        source=_SOURCE,
        experiment=experiment_of(row.proposal, row.scan),
        author=" + ".join(sorted(names.values())),
    )


def _headers(made: Manifest, size: int) -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "Content-Length": f"{size}",
        "Content-Disposition": f'attachment; filename="dataset-{made.id[:12]}.jsonl"',
    }


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk
