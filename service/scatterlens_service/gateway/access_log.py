"""One line for each request: who, what, how it ended, how long it took."""

import logging
import re
import time
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)

_CALLER = "scatterlens.caller"
_SECRET = re.compile(r"(sl_[0-9a-f]{1,32})_[^/]+")
_PROBES = ("/health/live", "/health/ready")
_NO_ANSWER = 499
"""As other servers write where the client went away before it was answered."""


def note_caller(scope: Scope, key_id: str) -> None:
    """Let the line of this request say whose key it came by."""
    scope[_CALLER]["key_id"] = key_id


class AccessLog:
    """ASGI middleware: writes the line once the answer is sent, or nobody waits for it any more.

    The query is left out, as searches are nobody else's business, and so is the secret of a key
    that stands in a path. Probes that succeed are of the level DEBUG.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and write its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, method, status = time.perf_counter(), scope["method"], _NO_ANSWER
        # A box: what stands further in may pass on a copy of the scope.
        caller: dict[str, str] = {}
        scope = {**scope, _CALLER: caller}

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            quiet = scope["path"] in _PROBES and status == 200
            _log.log(
                logging.DEBUG if quiet else logging.INFO,
                "key=%s method=%s path=%s status=%d ms=%.1f",
                caller.get("key_id", "-"),
                method,
                _shown(scope["path"]),
                status,
                1e3 * (time.perf_counter() - began),
            )


def _shown(path: str) -> str:
    # Quoted again: a line break in a path must not begin a line of its own.
    return quote(_SECRET.sub(r"\1_...", path), safe="/:@.,;=+!*'()~$&")
