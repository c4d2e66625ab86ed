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
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from scatterlens.connection import Connection
from scatterlens.errors import ApiError, Busy, TransportError, api_error
from scatterlens.schemas import Problem

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_LONGEST_RETRY_AFTER_S = 60.0
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")

ACCEPTED = 202
"""Status of an answer that says: not yet, ask again."""

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
Body = Callable[[], BinaryIO]
"""Opens the body at its start; called anew for each try."""


class Transport:
    """A connection pool to one gateway, safe to share between threads.

    `retry_s` is how long one request may be tried in all, `timeout_s` how long the gateway may be
    silent within one try.
    """

    def __init__(self, connection: Connection, retry_s: float, timeout_s: float):
        url = httpx2.URL(connection.url)
        headers = {"Authorization": f"Bearer {connection.key}"} if connection.key else {}
        self.url = connection.url
        self._retry_s = retry_s
        self._http = httpx2.Client(
            base_url=url.join(url.path.rstrip("/") + "/api/v1/"),
            headers=headers,
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
        once: bool = False,
    ) -> httpx2.Response:
        """Send a document; `once` where sending it twice would do it twice."""
        content = said.model_dump_json().encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        if once:
            return self._send(method, path, {}, headers, lambda: io.BytesIO(content))
        return self.request(method, path, headers=headers, body=lambda: io.BytesIO(content))

    def save(self, path: str, params: dict[str, Any], file: Path) -> bool:
        """Write an answer to a file, which appears when it is complete; False where it is a 202."""
        return self._until_answered(lambda: self._save(path, _given(params), file))

    def _save(self, path: str, params: dict[str, Any], file: Path) -> bool:
        partial = file.with_name(f"{file.name}.partial")
        try:
            with self._http.stream("GET", path, params=params) as response:
                _raise_for_status(response)
                if response.status_code == ACCEPTED:
                    return False
                with partial.open("wb") as stream:
                    stream.writelines(response.iter_bytes())
            partial.replace(file)
            return True
        except httpx2.TransportError as error:
            raise self._unreached(error) from error
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def event_source(
        self, path: str, headers: dict[str, str]
    ) -> Iterator[Iterator[httpx2.ServerSentEvent]]:
        """Open a stream of server-sent events; a break of the stream is a `TransportError`."""
        try:
            with self._http.stream("GET", path, headers=headers) as response:
                _raise_for_status(response)
                yield iter(httpx2.EventSource(response))
        except httpx2.TransportError as error:
            raise self._unreached(error) from error

    @contextmanager
    def lines(self, path: str, params: dict[str, Any]) -> Iterator[Iterator[str]]:
        """Open a stream of lines; a break of the stream is a `TransportError`."""
        try:
            with self._http.stream("GET", path, params=_given(params)) as response:
                _raise_for_status(response)
                yield response.iter_lines()
        except httpx2.TransportError as error:
            raise self._unreached(error) from error

    def _send(
        self,
        method: str,
        path: str,
        params: dict[str, Any],
        headers: dict[str, str],
        body: Body | None,
    ) -> httpx2.Response:
        with body() if body else nullcontext() as content:
            try:
                response = self._http.request(
                    method, path, params=params, headers=headers, content=content
                )
            except httpx2.TransportError as error:
                raise self._unreached(error) from error
        _raise_for_status(response)
        return response

    def _unreached(self, error: httpx2.TransportError) -> TransportError:
        return TransportError(
            f"No answer from {self.url} ({error or type(error).__name__}). "
            "Start a gateway with `scatterlens serve`, or give another address (SCATTERLENS_URL)."
        )


def read(shape: type[M], response: httpx2.Response) -> M:
    """Return the answer as a wire model."""
    try:
        return shape.model_validate_json(response.content, extra="ignore")
    except ValidationError as error:
        problem = Problem(
            type="unexpected_answer",
            title="The answer has another shape than this client expects",
            status=response.status_code,
            detail=f"{response.url} as {shape.__name__}: {error.error_count()} differences",
            remedy="Use a client of the same version as the gateway, and check the address",
        )
        raise ApiError(problem) from error


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
