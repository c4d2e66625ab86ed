"""The browser interface, and the headers that keep browsers from doing more than it needs.

Its source is `clients/web`; `make ui` and the build of the package put what is made of it into
`static`.
"""

from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FOLDER = Path(__file__).parents[1] / "static"
_PAGES = ("frames", "search", "review", "models", "training", "admin", "login")
"""First parts of the addresses that the interface answers by itself, beside `/`."""
_NOT_BUILT = """<!doctype html><title>Scatterlens</title><h1>The service runs</h1>
<p>Its browser interface was not built. In a checkout: <code>make ui</code>, then reload.</p>"""
_HEADERS = {
    # `blob:` for files made in the page; styles of single elements are set by scripts.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        f"{feature}=()"
        for feature in (
            *("accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "hid"),
            *("magnetometer", "microphone", "midi", "payment", "serial", "usb"),
        )
    ),
}
_HTTPS_ONLY = "max-age=31536000"
"""For a year; of other names below this one nothing is known."""
router = APIRouter(include_in_schema=False)


def show_page() -> Response:
    """Give the interface; it reads in the address which of its pages is meant."""
    return _page("index.html")


def _page(name: str) -> Response:
    path = _FOLDER / name
    if not path.exists():
        return HTMLResponse(_NOT_BUILT, status_code=503)
    return FileResponse(path, headers={"Cache-Control": "no-cache"})


@router.get("/docs")
def show_reference() -> Response:
    """Give the page on which the API is read and tried."""
    return _page("docs.html")


for _address in ("/", *(f"/{page}" for page in _PAGES), *(f"/{page}/{{rest}}" for page in _PAGES)):
    router.add_api_route(_address, show_page)


class _HashedFiles(StaticFiles):
    """Files whose names change with their content: a browser need not ask for them again."""

    def file_response(self, *args, **kwargs) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def add_page(app: FastAPI) -> None:
    """Serve the interface and its parts."""
    app.include_router(router)
    if _FOLDER.is_dir():
        app.mount("/assets", _HashedFiles(directory=_FOLDER / "assets"))
        app.mount("/public", StaticFiles(directory=_FOLDER / "public"))


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
                # The server has read `X-Forwarded-Proto` where it trusts the proxy.
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", _HTTPS_ONLY)
            await send(message)

        await self._app(scope, receive, send_guarded if scope["type"] == "http" else send)
