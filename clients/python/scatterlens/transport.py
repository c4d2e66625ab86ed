"""One HTTP conversation with the gateway: the key, the retries, and errors as exceptions.

Nearly every request of the SDK is safe to send twice: reads are reads, and a frame is known by the
digest of its bytes. So a broken connection and an answer "not now" are tried again until time is
up; what would be done twice is sent `once`.
"""

import io
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from scatterlens.connection import DEFAULT_URL, Connection
from scatterlens.errors import (
    ApiError,
    BadArgument,
    Busy,
    CannotRead,
    CannotWrite,
    TransportError,
    api_error,
)
from scatterlens.schemas import FramePlace, Problem

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_LONGEST_RETRY_AFTER_S = 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
_SHOWN = 80
"""Characters of an unexpected answer that are repeated."""

ACCEPTED = 202
"""Status of an answer that says: not yet, ask again."""

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
_LIST = TypeAdapter(list[Any])
Body = Callable[[], BinaryIO]
"""Opens the body at its start; called anew for each try."""


class Transport:
    """A connection pool to one gateway, safe to share between threads.

    `retry_s` is how long one request may be tried in all, `timeout_s` how long the gateway may be
    silent within one try.
    """

    def __init__(self, connection: Connection, retry_s: float, timeout_s: float):
        url = _address(connection.url)
        headers = {"Authorization": f"Bearer {_checked_key(connection.key)}"}
        self.url = connection.url
        self._retry_s = retry_s
        self._http = httpx2.Client(
            base_url=url.join(url.path.rstrip("/") + "/api/v1/"),
            headers=headers if connection.key else {},
            timeout=httpx2.Timeout(timeout_s, connect=5.0),
            # A facility's proxy settings are not meant for a gateway on this machine.
            trust_env=url.host not in _LOOPBACK,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        body: Body | None = None,
    ) -> httpx2.Response:
        """Send until the gateway answers or time is up; errors are raised as `ScatterlensError`.

        Parameters that are None are left out.
        """
        return self._until_answered(
            lambda: self._send(method, path, _given(params or {}), headers or {}, body)
        )

    def _until_answered(self, ask: Callable[[], T]) -> T:
        started = time.monotonic()
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return ask()
            except (TransportError, Busy) as error:
                asked = error.retry_after if isinstance(error, Busy) else None
                # Jitter keeps clients that were refused together from coming back together.
                wait = asked if asked is not None else pause * random.uniform(0.5, 1.0)
                if time.monotonic() - started + wait > self._retry_s:
                    raise
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def get(self, shape: type[M], path: str, /, **params: Any) -> M:
        """GET one document."""
        return read(shape, self.request("GET", path, params=params))

    def send(
        self,
        method: str,
        path: str,
        said: BaseModel,
        headers: dict[str, str] | None = None,
        *,
        params: dict[str, str] | None = None,
        once: bool = False,
    ) -> httpx2.Response:
        """Send a document; `once` where sending it twice would do it twice."""
        content = said.model_dump_json().encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        if once:
            return self._send(method, path, params or {}, headers, lambda: io.BytesIO(content))
        return self.request(
            method, path, params=params, headers=headers, body=lambda: io.BytesIO(content)
        )

    def save(self, path: str, params: dict[str, Any], file: Path) -> bool:
        """Write an answer to a file, which appears when it is complete; False where it is a 202."""
        return self._until_answered(lambda: self._save(path, _given(params), file))

    def _save(self, path: str, params: dict[str, Any], file: Path) -> bool:
        partial = file.with_name(f"{file.name}.partial")
        with self._as_ours(), self._http.stream("GET", path, params=params) as response:
            _raise_for_status(response)
            if response.status_code == ACCEPTED:
                return False
            try:
                with partial.open("wb") as stream:
                    stream.writelines(response.iter_bytes())
                partial.replace(file)
            except OSError as error:
                raise CannotWrite(
                    error.errno, f"{error.strerror or error}. Name another place", str(file)
                ) from error
            finally:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)
        return True

    @contextmanager
    def event_source(
        self, path: str, headers: dict[str, str]
    ) -> Iterator[Iterator[httpx2.ServerSentEvent]]:
        """Open a stream of server-sent events; a break of the stream is a `TransportError`."""
        with self._as_ours(), self._http.stream("GET", path, headers=headers) as response:
            _raise_for_status(response)
            kind = response.headers.get("Content-Type", "")
            if not kind.startswith("text/event-stream"):
                raise unexpected(response, f"{kind or 'nothing'} instead of a stream of events")
            yield iter(httpx2.EventSource(response))

    @contextmanager
    def lines(self, path: str, params: dict[str, Any]) -> Iterator[Iterator[str]]:
        """Open a stream of lines; a break of the stream is a `TransportError`."""
        with self._as_ours(), self._http.stream("GET", path, params=_given(params)) as response:
            _raise_for_status(response)
            yield response.iter_lines()

    def _send(
        self,
        method: str,
        path: str,
        params: dict[str, Any],
        headers: dict[str, str],
        body: Body | None,
    ) -> httpx2.Response:
        with body() if body else nullcontext() as content, self._as_ours():
            try:
                response = self._http.request(
                    method, path, params=params, headers=headers, content=content
                )
            except OSError as error:  # of the file; those of the connection are httpx2's
                name = str(getattr(content, "name", ""))
                raise CannotRead(error.errno, error.strerror or str(error), name) from error
        _raise_for_status(response)
        return response

    @contextmanager
    def _as_ours(self) -> Iterator[None]:
        """Raise what goes wrong with a connection, an address or an answer as errors of the SDK."""
        try:
            yield
        except (httpx2.RequestError, httpx2.StreamError) as error:
            raise self._unreached(error) from error
        except (httpx2.InvalidURL, UnicodeEncodeError) as error:
            raise BadArgument(f"This cannot stand in an address or a header: {error}") from error

    def _unreached(self, error: Exception) -> TransportError:
        return TransportError(
            f"No answer from {self.url} ({error or type(error).__name__}). "
            "Start a gateway with `scatterlens serve`, or give another address (SCATTERLENS_URL)."
        )


def address_of(place: FramePlace | None) -> dict[str, str]:
    """Return the parameters that name a place, empty where nothing was told; none for None."""
    if place is None:
        return {}
    if not isinstance(place, FramePlace):
        raise BadArgument("`within` is one of the `places` of the frame: client.frame(id).places")
    return {"proposal": place.proposal or "", "beamline": place.beamline or ""}


def read(shape: type[M], response: httpx2.Response) -> M:
    """Return the answer as a wire model."""
    try:
        return shape.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        raise unexpected(
            response, f"{shape.__name__}: {error.error_count()} differences"
        ) from error


def read_list(shape: type[M], response: httpx2.Response) -> list[M]:
    """Return the answer as a list of wire models."""
    try:
        found = _LIST.validate_json(response.content)
        return [shape.model_validate(one, extra="ignore") for one in found]
    except ValidationError as error:
        raise unexpected(
            response, f"{shape.__name__}: {error.error_count()} differences"
        ) from error


def read_line(shape: type[M], line: str, address: str) -> M:
    """Return a line of a stream as a wire model."""
    try:
        return shape.model_validate_json(line, extra="ignore")
    except ValidationError as error:
        raise _unexpected(200, address, f"{shape.__name__}: {line[:_SHOWN]!r}") from error


def _misshapen(shape: type, response: httpx2.Response, error: ValidationError) -> ApiError:
    return unexpected(response, f"{shape.__name__}: {error.error_count()} differences")


def unexpected(response: httpx2.Response, detail: str) -> ApiError:
    """Make the error of an answer that no gateway of this version gives."""
    return _unexpected(response.status_code, str(response.url), detail)


def _unexpected(status: int, address: str, detail: str) -> ApiError:
    return ApiError(
        Problem(
            type="unexpected_answer",
            title="The answer has another shape than this client expects",
            status=status,
            detail=f"{address} as {detail}",
            remedy="Use a client of the same version as the gateway, and check the address",
        )
    )


def _address(url: str) -> httpx2.URL:
    try:
        found = httpx2.URL(url)
    except (httpx2.InvalidURL, TypeError) as error:
        raise BadArgument(f"{url!r} is no address of a gateway: {error}") from error
    if found.scheme not in ("http", "https") or not found.host or "%" in found.host:
        raise BadArgument(f"{url!r} is no address of a gateway: write it like {DEFAULT_URL}")
    return found


def _checked_key(key: str | None) -> str:
    if key is not None and not (key.isascii() and key.isprintable()):
        raise BadArgument("The key holds characters that no key has: copy it again (sl_...)")
    return key or ""


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _raise_for_status(response: httpx2.Response) -> None:
    if response.is_success:
        return
    response.read()
    raise api_error(_problem(response), _retry_after(response))


def _problem(response: httpx2.Response) -> Problem:
    try:
        return Problem.model_validate_json(response.content)
    except ValidationError:  # a proxy's page, or another server altogether
        return Problem(
            type="unexpected_answer",
            title=f"{response.status_code} {response.reason_phrase}",
            status=response.status_code,
            detail=f"{response.url} did not answer as a Scatterlens gateway does",
            remedy="Check the address (SCATTERLENS_URL)",
        )


def _retry_after(response: httpx2.Response) -> float | None:
    try:
        seconds = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    if not math.isfinite(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)
