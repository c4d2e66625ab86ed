"""A real HTTP server in this process that says what a test tells it to say."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from support.cli import runner

FRAME_ID = "ab" * 32


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class ScriptedGateway:
    """Answers each request with the next of its answers; the last one stays."""

    frame_id: ClassVar[str] = FRAME_ID
    url: str = ""
    answers: deque[Answer] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)

    def say(self, status: int, document: Any, **headers: str) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.append(Answer(status, body, named))

    def refuse(self, status: int, **headers: str) -> None:
        self.say(status, self.problem(status), **headers)

    def next(self) -> Answer:
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    @staticmethod
    def problem(status: int, type_: str = "some_problem") -> dict[str, Any]:
        return {
            "type": type_,
            "title": "It went wrong",
            "status": status,
            "detail": "In this way",
            "remedy": "Do that",
        }

    @staticmethod
    def submission(**changes: Any) -> dict[str, Any]:
        item = {"filename": "a.cbf", "frame_id": FRAME_ID, "state": "queued", "duplicate": False}
        return {"items": [item | changes]}

    @staticmethod
    def annotation(state: str = "done", **changes: Any) -> dict[str, Any]:
        attributes = [
            {"id": "halo", "probability": 0.1, "threshold": 0.5, "tag": False},
            {"id": "ring", "probability": 0.9, "threshold": 0.5, "tag": True},
        ]
        return {
            "frame_id": FRAME_ID,
            "state": state,
            "model": {"name": "slim", "version": "0123456789ab"},
            "attributes": attributes if state == "done" else [],
            "novelty": 0.25,
        } | changes


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[ScriptedGateway]:
    script = ScriptedGateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.requests.append(Request(self.command, self.path, dict(self.headers), body))
            answer = script.next()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("SCATTERLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SCATTERLENS_URL", script.url)
    monkeypatch.setenv("SCATTERLENS_KEY", "sl_test_secret")
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def dead_url() -> str:
    """An address where nobody listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = server.server_address[1]
    server.server_close()
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def run_cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process; return exit code, stdout and stderr."""

    return runner(monkeypatch, capsys)
