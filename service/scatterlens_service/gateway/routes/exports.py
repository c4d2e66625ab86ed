"""All that a search finds, as one stream."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from scatterlens.schemas import FrameSummary
from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger
from scatterlens_service.gateway.asking import Filter, Ordering
from scatterlens_service.gateway.deps import ChosenModel, GatewayDep, Reader
from scatterlens_service.gateway.errors import problem_responses
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.routes.walking import walk
from scatterlens_service.gateway.wire import to_annotation, to_summary

router = APIRouter(tags=["search"])

_COLUMNS = tuple(name for name in FrameSummary.model_fields if name != "tags")

Found = Iterator[tuple[ledger.FrameRow, ledger.StoredAnnotation | None]]


@router.get(
    "/annotations.ndjson",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One Annotation as JSON on each line, in the order asked for",
            "content": {
                "application/x-ndjson": {"schema": {"$ref": "#/components/schemas/Annotation"}}
            },
        },
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
def stream_annotations(
    gateway: GatewayDep, caller: Reader, model: ChosenModel, wanted: Filter, order: Ordering
) -> StreamingResponse:
    """Stream the annotations of all frames that the filter finds; undecided ones are left out."""
    lines = (
        to_annotation(row, stored).model_dump_json() + "\n"
        for row, stored in _found(gateway, caller, model, wanted, order)
        if stored is not None and stored.state.is_final
    )
    return _stream(lines, "application/x-ndjson")


@router.get(
    "/frames.csv",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A line for each frame: what is known of it, tags, probabilities, motors"
            " (`motors.<name>`) and free keys (`extra.<name>`)",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        },
        **problem_responses(401, 403, 404, 422, 500, 503),
    },
)
def stream_table(
    gateway: GatewayDep, caller: Reader, model: ChosenModel, wanted: Filter, order: Ordering
) -> StreamingResponse:
    """Stream the frames that the filter finds as a table, with the model's probabilities."""
    return _stream(_table(gateway, caller, model, wanted, order), "text/csv; charset=utf-8")


def _table(
    gateway: Gateway,
    caller: ledger.Principal,
    model: Bundle,
    wanted: ledger.FrameFilter,
    order: ledger.Order,
) -> Iterator[str]:
    line = _csv_writer()
    own = _own_columns(gateway, caller, model, wanted, order)
    yield line([*_COLUMNS, "tags", *model.vocabulary.ids, *own])
    for row, stored in _found(gateway, caller, model, wanted, order):
        summary = to_summary(row).model_dump(mode="json")
        scores = () if stored is None else stored.scores
        said = {score.id: score.probability for score in scores}
        told = _own_values(row)
        yield line(
            [
                *(_harmless(summary[name]) for name in _COLUMNS),
                " ".join(row.tags),
                *(said.get(attribute, "") for attribute in model.vocabulary.ids),
                *(_harmless(told.get(name, "")) for name in own),
            ]
        )


def _own_columns(
    gateway: Gateway,
    caller: ledger.Principal,
    model: Bundle,
    wanted: ledger.FrameFilter,
    order: ledger.Order,
) -> list[str]:
    """Motors and free keys of all frames that are found: a header comes before the lines."""
    found = walk(gateway, caller, model, wanted, order, lambda _session, _rows: {})
    names: set[str] = set()
    for row, _ in found:
        names.update(_own_values(row))
    return sorted(names, key=lambda name: (not name.startswith("motors."), name))


def _own_values(row: ledger.FrameRow) -> dict[str, object]:
    motors = {f"motors.{name}": value for name, value in row.motors.items()}
    extra = {
        f"extra.{name}": value if isinstance(value, str | int | float) else json.dumps(value)
        for name, value in row.details.get("extra", {}).items()
    }
    return {**motors, **extra}


def _csv_writer() -> Callable[[list[object]], str]:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")

    def line(cells: list[object]) -> str:
        stream.seek(0)
        stream.truncate()
        writer.writerow(cells)
        return stream.getvalue()

    return line


def _harmless(value: object) -> object:
    """A name that a spreadsheet would take for a formula is only a name."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _found(
    gateway: Gateway,
    caller: ledger.Principal,
    model: Bundle,
    wanted: ledger.FrameFilter,
    order: ledger.Order,
) -> Found:
    def look(
        session: Session, rows: Sequence[ledger.FrameRow]
    ) -> dict[str, ledger.StoredAnnotation]:
        return ledger.annotations_of(session, [row.frame_id for row in rows], model.version)

    return walk(gateway, caller, model, wanted, order, look)


def _stream(lines: Iterator[str], media_type: str) -> StreamingResponse:
    return StreamingResponse(lines, media_type=media_type, headers={"Cache-Control": "no-store"})
