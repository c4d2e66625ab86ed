"""What a worker draws when it is first asked for: found, or queued and waited for."""

from collections.abc import Mapping

from fastapi import Response
from fastapi.responses import JSONResponse

from scatterlens.schemas import Rendering, State
from scatterlens_service import ledger
from scatterlens_service.gateway.errors import GoneError, NotReadyError, problem_responses
from scatterlens_service.gateway.resources import Gateway
from scatterlens_service.gateway.routes.drawing import Responses
from scatterlens_service.gateway.waiting import wait_for
from scatterlens_service.gateway.wire import to_model_ref

_RECHECK_S = 0.1
"""Render jobs make no events: they change nothing of the frame."""
_RETRY_AFTER_S = 1
PENDING: Responses = {
    202: {"model": Rendering, "description": "A worker has yet to compute it"},
    **problem_responses(410, 507),
}


async def find_rendered(
    gateway: Gateway,
    frame_id: str,
    parameters: Mapping[str, str],
    wait: float,
    model: ledger.ModelVersion | None = None,
) -> str | Response:
    """sha256 of what a worker drew, or the answer that it has yet to; read it by `gateway.renders`.

    Raises:
        NotReadyError: the job failed or was quarantined.
    """
    render = await wait_for(
        gateway.feed,
        frame_id,
        lambda: _find_or_queue(gateway, frame_id, model, parameters),
        lambda one: one.state.is_final,
        wait,
        _RECHECK_S,
    )
    if not render.state.is_final:
        pending = Rendering(
            frame_id=frame_id,
            state=render.state,
            model=None if model is None else to_model_ref(model),
        )
        headers = {"Retry-After": f"{_RETRY_AFTER_S}", "Cache-Control": "no-store"}
        return JSONResponse(pending.model_dump(mode="json"), 202, headers=headers)
    if render.blob is None:
        raise _failed(frame_id, render)
    return render.blob


def _find_or_queue(
    gateway: Gateway,
    frame_id: str,
    model: ledger.ModelVersion | None,
    parameters: Mapping[str, str],
) -> ledger.StoredRender:
    with ledger.reading(gateway.engine) as session:
        found = ledger.get_render(session, frame_id, model, parameters)
    if found is not None and (found.blob is None or gateway.renders.use(found.blob)):
        return found
    with ledger.reading(gateway.engine) as session:
        if ledger.is_raw_removed(session, frame_id):
            raise raw_removed(frame_id)
    gateway.admission.check()
    with ledger.writing(gateway.engine) as session:
        if found is None:
            ledger.queue_render(session, frame_id, model, parameters)
        else:
            ledger.queue_render_anew(session, frame_id, model, parameters)
    gateway.bell.ring(ledger.RENDER)
    return ledger.StoredRender(State.QUEUED, None, None)


def raw_removed(frame_id: str) -> GoneError:
    """Make the refusal of what would need a file that retention removed."""
    return GoneError(
        "raw_removed",
        "The file is no longer kept",
        "It was older than SCATTERLENS_RETAIN_RAW_DAYS allows, and nobody had labelled the frame.",
        "Send the file again: what was said of the frame is kept, and its pixels are here again.",
        frame_id=frame_id,
    )


def _failed(frame_id: str, render: ledger.StoredRender) -> NotReadyError:
    state = render.state.value
    if render.reason is None:
        return NotReadyError(
            state,
            f"The picture was {state}",
            "No reason was written down.",
            "Ask the operator of the service, naming the frame.",
            frame_id=frame_id,
            state=state,
        )
    said = render.reason
    return NotReadyError(
        said.type, said.title, said.detail, said.remedy, frame_id=frame_id, state=state
    )
