"""Embedded mode: the worker looks for work by itself."""

import logging

from scatterlens_service.tending.troubles import Troubles
from scatterlens_worker.drain import drain
from scatterlens_worker.runtime import Runtime

_log = logging.getLogger(__name__)

_RECOVERY_SECONDS = 1.0


def poll_forever(runtime: Runtime) -> None:
    """Drain whenever there is work, until `runtime.stop`; survives a database or disk away."""
    troubles = Troubles(_log)
    while not runtime.stop.is_set():
        try:
            left = drain(runtime)
        except Exception:
            troubles.meet("the drain", "the drain failed, trying again", trace=True)
            runtime.stop.wait(_RECOVERY_SECONDS)
            continue
        troubles.end("the drain")
        if not left:
            runtime.stop.wait(runtime.settings.poll_seconds)
