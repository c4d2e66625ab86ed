"""Methods of HTTP: HEAD is answered wherever GET is, and a refusal says which ones there are."""

import asyncio
import re

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def allowed_methods(request: Request) -> list[str]:
    """Methods that the address of a request takes, as the description of the API tells them."""
    told: dict[str, dict[str, object]] = request.app.openapi()["paths"]
    matching = [path for path in told if _is_of(path, request.url.path)]
    if not matching:
        return ["GET", "HEAD"]  # a page, or a file of one
    # `/models/rollback` is no model of that version.
    found = [method.upper() for method in told[min(matching, key=lambda path: path.count("{"))]]
    return [*found, *(["HEAD"] if "GET" in found else [])]


def _is_of(path: str, address: str) -> bool:
    parts, asked = path.split("/"), address.split("/")
    return len(parts) == len(asked) and all(
        re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(part)), one)
        for part, one in zip(parts, asked, strict=True)
    )


class AnswerHead:
    """ASGI middleware: answers HEAD as GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and of the answer its head."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        told = asyncio.Event()

        async def send_head(message: Message) -> None:
            if told.is_set():
                return
            if message["type"] == "http.response.body":
                told.set()
                message = {**message, "body": b"", "more_body": False}
            await send(message)

        async def receive_or_leave() -> Message:
            # Whoever asked for the head is content with it: a stream need not go on.
            if told.is_set():
                return {"type": "http.disconnect"}
            waiting = asyncio.ensure_future(receive())
            leaving = asyncio.ensure_future(told.wait())
            await asyncio.wait((waiting, leaving), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            if waiting.done():
                return waiting.result()
            waiting.cancel()
            return {"type": "http.disconnect"}

        await self._app({**scope, "method": "GET"}, receive_or_leave, send_head)
