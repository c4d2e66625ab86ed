"""Training runs of a gateway: asking for them, following them, ending them."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from scatterlens.errors import StillTraining, TrainingFailed
from scatterlens.schemas import State, Training, TrainingList, TrainingRequest
from scatterlens.transport import Transport, read, unexpected

_BETWEEN_LOOKS_S = 1.0


class GatewayTraining:
    """Training runs that a gateway keeps."""

    def __init__(self, transport: Transport):
        self._transport = transport

    def start(self, request: TrainingRequest) -> Training:
        """As `Client.train`."""
        # Of this very wish: tried again after a broken connection, it stays one run.
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return read(Training, self._transport.send("POST", "training", request, headers))

    def get(self, run_id: str) -> Training:
        """As `Client.training`."""
        return self._transport.get(Training, f"training/{run_id}")

    def newest(self) -> list[Training]:
        """As `Client.trainings`."""
        return self._transport.get(TrainingList, "training").items

    def cancel(self, run_id: str) -> Training:
        """As `Client.cancel_training`."""
        return read(Training, self._transport.request("POST", f"training/{run_id}/cancel"))

    def metrics(self, run_id: str) -> list[Mapping[str, Any]]:
        """As `Client.training_metrics`."""
        response = self._transport.request("GET", f"training/{run_id}/metrics")
        try:
            return [dict(json.loads(line)) for line in response.text.splitlines()]
        except (ValueError, TypeError) as error:
            raise unexpected(response, f"points of a curve: {error}") from error

    def wait(
        self, run_id: str, wait: float | None, report: Callable[[Training], None] | None
    ) -> Training:
        """As `Client.wait_for_training`."""
        ends = None if wait is None else time.monotonic() + wait
        while True:
            run = self.get(run_id)
            if report is not None:
                report(run)
            if run.state is State.DONE:
                return run
            if run.state.is_final:
                raise TrainingFailed(run.id, run.state, run.reason)
            if ends is not None and time.monotonic() >= ends:
                raise StillTraining(run_id, wait or 0.0)
            time.sleep(_BETWEEN_LOOKS_S)
