"""The page at `/`, and the headers that keep browsers from doing more than it needs."""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FOLDER = Path(__file__).parent / "page"
_HEADERS = {
    # Pictures are fetched with the key and shown from memory: `blob:`.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
router = APIRouter(include_in_schema=False)


@router.get("/")
async def show_page() -> FileResponse:
    """Give the page; it asks the API for everything else, with the reader's key."""
    return FileResponse(_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})


def add_page(app: FastAPI) -> None:
    """Serve the page and its parts."""
    app.include_router(router)
    app.mount("/page", StaticFiles(directory=_FOLDER))


class GuardHeaders:
    """ASGI middleware: adds the security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back with the headers."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_guarded if scope["type"] == "http" else send)
