"""All that people say about frames, as one stream: what a data set is made from."""

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from scatterlens.schemas import ExportedLabel
from scatterlens_service import ledger
from scatterlens_service.gateway.deps import GatewayDep, Reader, Since
from scatterlens_service.gateway.errors import problem_responses
from scatterlens_service.gateway.resources import Gateway

router = APIRouter(tags=["labels"])


@router.get(
    "/labels.ndjson",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One ExportedLabel as JSON on each line, oldest entry first",
            "content": {
                "application/x-ndjson": {"schema": {"$ref": "#/components/schemas/ExportedLabel"}}
            },
        },
        **problem_responses(401, 403, 422, 500, 503),
    },
)
def stream_labels(gateway: GatewayDep, caller: Reader, since: Since = None) -> StreamingResponse:
    """Stream what every author says now, each with what was told of its frame.

    With `since`, only what was said at that time or later, and withdrawals too (`value` null). A
    label that changes while the stream runs may come twice: the later line counts.
    """
    lines = (label.model_dump_json() + "\n" for label in _export(gateway, caller, since))
    return StreamingResponse(
        lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"}
    )


def _export(gateway: Gateway, caller: ledger.Principal, since: Since) -> Iterator[ExportedLabel]:
    after: int | None = 0
    while after is not None:
        # Each page has its own short transaction: a slow reader holds no connection.
        with ledger.reading(gateway.engine) as session:
            labels, after = ledger.export_page(session, since=since, sees=caller, after=after)
        yield from labels
