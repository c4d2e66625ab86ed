"""Request bodies, bounded on every route: in bytes, in silence, and in the time that they take.

What a route does not say is decided for it: `limit_body` is for those that take files.
"""

import asyncio
import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scatterlens_service.gateway.errors import StalledError, TooLargeError

MAX_DOCUMENT_BYTES = 2**20
"""Of a body on a route that takes no files."""
_SILENCE_SECONDS = 60.0
"""A client that sends nothing for so long is gone."""
_GRACE_SECONDS = 60.0
"""Time for a body, whatever its size ..."""
_LEAST_BYTES_PER_SECOND = 2**14
"""... and for each of its bytes: a slow line is far quicker, one byte a minute is no upload."""
_BODY = "scatterlens.body"


class BoundBodies:
    """ASGI middleware: what an application reads of a body stays within bounds.

    Raises, where it is read:
        TooLargeError: it is larger than the route takes.
        StalledError: it stopped coming, or comes too slowly.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            body = _Body(scope, receive)
            scope, receive = {**scope, _BODY: body}, body.receive
        await self._app(scope, receive, send)


def limit_body(request: Request, max_bytes: int) -> None:
    """Take a body of so many bytes, instead of a document, on the route of this request.

    Raises:
        TooLargeError: its length is told, and is more.
    """
    body: _Body = request.scope[_BODY]
    body.limit_to_file(max_bytes)


class _Body:
    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._told = next(
            (value for name, value in scope["headers"] if name == b"content-length"), b""
        )
        self._max_bytes, self._takes_files = MAX_DOCUMENT_BYTES, False
        self._received = 0
        self._waited = 0.0
        """Seconds that the client let us wait; what we do with what came is not its fault."""
        self._ended = False

    def limit_to_file(self, max_bytes: int) -> None:
        self._max_bytes, self._takes_files = max_bytes, True
        self._check_told()

    async def receive(self) -> Message:
        if self._ended:
            # From here on it is waited for the client to go away, however long that takes.
            return await self._receive()
        self._check_told()
        message = await self._next()
        self._received += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._received > self._max_bytes:
            raise self._too_large()
        return message

    async def _next(self) -> Message:
        most = _GRACE_SECONDS + self._received / _LEAST_BYTES_PER_SECOND
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(_SILENCE_SECONDS, most - self._waited))):
                return await self._receive()
        except TimeoutError:
            raise StalledError(
                "body_timeout",
                "The body stopped coming",
                f"{self._received:,} bytes were received, and then none for {_SILENCE_SECONDS:g} s,"
                f" or fewer than {_LEAST_BYTES_PER_SECOND:,} a second.",
                "Send it again, over a line that is quick enough.",
            ) from None
        finally:
            self._waited += time.monotonic() - began

    def _check_told(self) -> None:
        if self._told.isdigit() and int(self._told) > self._max_bytes:
            raise self._too_large()

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            "too_large",
            "The body is too large",
            f"The service takes at most {self._max_bytes:,} bytes in one request of this kind.",
            "Compress the frame losslessly, split the stack, or raise"
            " SCATTERLENS_MAX_BODY_BYTES (for bundles: SCATTERLENS_MAX_BUNDLE_BYTES)."
            if self._takes_files
            else "Say less at once, in several requests; files are sent to POST /api/v1/frames.",
        )
