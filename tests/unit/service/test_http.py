"""What every route does alike: HEAD, other methods, bodies that nobody can read."""

import json
import re
import socket
from contextlib import closing

import httpx2
import pytest
from starlette.testclient import TestClient

from scatterlens_service.gateway.app import create_app
from scatterlens_service.settings import Settings
from support.gateway import assert_refused, picture


def operations() -> list[tuple[str, str, dict]]:
    return [
        (method, path, operation)
        for path, methods in create_app(Settings()).openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def filled(path: str, frame_id: str) -> str:
    values = {"frame_id": frame_id, "version": "0123456789ab", "search_id": "1", "job_id": "1"}
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "ring"), path)


@pytest.fixture
def frame(service, work) -> str:
    frame_id = service.post(picture(1), scan="7").json()["items"][0]["frame_id"]
    work()
    return frame_id


def test_head_is_answered_wherever_get_is_without_a_body(service, frame):
    needed = "?scan=7&attributes=ring&wait=0"
    walked = 0
    for method, path, operation in operations():
        if method != "get" or path.endswith("/events"):
            continue
        asked = [one["name"] for one in operation.get("parameters", ()) if one.get("required")]
        address = filled(path, frame) + (needed.partition("&wait")[0] if "scan" in asked else "")
        head, got = service.http.head(address), service.http.get(address)
        assert head.status_code == got.status_code, address
        assert head.content == b""
        assert head.headers["content-type"] == got.headers["content-type"]
        walked += 1
    assert walked > 30
    for page in ("/", "/frames/x", "/api/v1/openapi.json"):
        assert service.http.head(page).status_code == service.http.get(page).status_code


def test_the_head_of_a_stream_without_end_comes_at_once(service):
    answer = service.http.head("/api/v1/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_other_methods_are_refused_with_those_that_there_are(service):
    by_path: dict[str, set[str]] = {}
    for method, path, _ in operations():
        by_path.setdefault(path, set()).add(method.upper())
    for path, methods in by_path.items():
        allowed = methods | ({"HEAD"} if "GET" in methods else set())
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - methods:
            answer = service.http.request(method, filled(path, "ab" * 32))
            assert_refused(answer, 405, "method_not_allowed")
            assert set(answer.headers["allow"].split(", ")) == allowed, (method, path)
    for page in ("/", "/assets/index.js"):
        assert service.http.post(page).headers["allow"] == "GET, HEAD"


UNREADABLE = {
    "no UTF-8": b'{"name": "\xff\xfe"}',
    "nested without end": b"[" * 100_000 + b"]" * 100_000,
    "a number of thousands of digits": b'{"passes": ' + b"9" * 10_000 + b"}",
    "cut off": b'{"name": ',
    "nothing": b"",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_nobody_can_read_is_refused_as_the_description_says(service, frame, body):
    walked = 0
    for method, path, operation in operations():
        if "application/json" not in operation.get("requestBody", {}).get("content", {}):
            continue
        headers = {"Content-Type": "application/json"}
        answer = service.http.request(method, filled(path, frame), content=body, headers=headers)
        assert answer.status_code in (400, 422), (path, answer.text)
        assert_refused(answer, answer.status_code, answer.json()["type"])
        assert f"{answer.status_code}" in operation["responses"], path
        walked += 1
    assert walked >= 9


def test_times_are_written_and_no_numbers(service):
    for path in ("frames", "frames.csv", "labels.ndjson"):
        assert_refused(service.get(path, since="0.5"), 422, "invalid_request")
        assert_refused(service.get(path, since="1700000000"), 422, "invalid_request")
        assert service.get(path, since="2026-11-30").status_code == 200
        assert service.get(path, since="2026-11-30T12:00:00+01:00").status_code == 200


GARBAGE = {
    "no HTTP": b"HELLO THERE\r\n\r\n",
    "no version": b"GET /api/v1/frames\r\nHost: x\r\n\r\n",
    "a line of binary": bytes(range(128, 256)) * 4 + b"\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "a bad length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE)
def test_a_request_that_is_no_http_gets_a_problem_document(live, sent):
    host, port = live.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)), timeout=60)) as connection:
        connection.sendall(sent)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head.lower()
    problem = json.loads(body)
    assert problem["type"] == "invalid_http"
    assert problem["status"] == 400
    assert problem["remedy"]


def test_the_probes_refuse_what_they_do_not_know_as_they_declare(make_settings):
    with TestClient(create_app(make_settings())) as http:
        assert_refused(http.get("/health/live?verbose=1"), 422, "unknown_parameter")
        assert http.head("/health/live").status_code == 200


def test_browsers_are_told_to_keep_to_what_the_pages_need(live):
    """By https, that is by a proxy that says so, also to come back by https alone."""
    for path in ("/", "/api/v1/frames", "/nowhere"):
        plain = httpx2.get(f"{live}{path}").headers
        assert "camera=()" in plain["permissions-policy"]
        assert plain["cross-origin-opener-policy"] == "same-origin"
        assert plain["x-content-type-options"] == "nosniff"
        assert plain["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in plain["content-security-policy"]
        assert "strict-transport-security" not in plain
        safe = httpx2.get(f"{live}{path}", headers={"X-Forwarded-Proto": "https"}).headers
        assert safe["strict-transport-security"] == "max-age=31536000"
