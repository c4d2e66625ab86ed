"""Browsers that log in: what the cookie does, what it does not, and how it ends."""

import json
import time
from collections.abc import Iterator

import httpx2
import pytest
from sqlalchemy import text

from scatterlens_service import ledger
from scatterlens_service.tending.attendance import Attendance
from scatterlens_service.tending.bell import NoBell
from scatterlens_service.tending.sweeping import sweep_once
from support.gateway import make_key, picture

SESSION = "/api/v1/session"
COOKIE = "scatterlens_session"


@pytest.fixture
def browser(live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live, timeout=60) as client:
        yield client


@pytest.fixture
def other(live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live, timeout=60) as client:
        yield client


def log_in(browser: httpx2.Client, service, **options: object) -> dict[str, str]:
    """Log in with a new key; returns the header for changes."""
    answer = browser.post(SESSION, json={"key": make_key(service.settings, **options)})
    assert answer.status_code == 200, answer.text
    return {"X-CSRF-Token": answer.json()["csrf"]}


def execute(service, statement: str) -> None:
    engine = ledger.open_engine(service.settings.database)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_key_logs_in_and_the_cookie_does_what_the_key_would(browser, service, work):
    csrf = log_in(browser, service, name="ada", role="scientist", proposal="P1")
    told = browser.get(SESSION).json()
    assert (told["name"], told["role"], told["proposal"]) == ("ada", "scientist", "P1")
    assert told["scopes"] == ["frames:write", "results:read", "labels:write"]
    assert {"X-CSRF-Token": told["csrf"]} == csrf
    sent = browser.post("/api/v1/frames", content=picture(1), headers=csrf)
    frame_id = sent.json()["items"][0]["frame_id"]
    work()
    assert browser.get(f"/api/v1/frames/{frame_id}/preview.png").status_code == 200
    assert browser.get(f"/api/v1/frames/{frame_id}").json()["proposal"] == "P1"
    assert browser.get("/api/v1/training").json()["type"] == "missing_scope"


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(browser, service):
    key = {"key": make_key(service.settings)}
    plain = browser.post(SESSION, json=key).headers["set-cookie"].lower()
    assert "httponly" in plain
    assert "samesite=strict" in plain
    assert "secure" not in plain
    safe = browser.post(SESSION, json=key, headers={"X-Forwarded-Proto": "https"})
    assert "; secure" in safe.headers["set-cookie"].lower()
    token = safe.headers["set-cookie"].split("=")[1].split(";")[0].encode()
    kept = [path.read_bytes() for path in service.settings.home.glob("ledger.sqlite*")]
    assert not any(token in content for content in kept)


def test_what_changes_something_must_prove_that_our_page_sent_it(browser, other, service):
    csrf = log_in(browser, service)
    foreign = log_in(other, service)
    for headers in ({}, {"X-CSRF-Token": ""}, {b"X-CSRF-Token": b"\xff"}, foreign):
        answer = browser.post("/api/v1/frames", content=picture(1), headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "csrf")
        assert "GET /api/v1/session" in answer.json()["remedy"]
        assert browser.delete(SESSION, headers=headers).status_code == 403
    assert service.kept()["files"] == 0
    assert browser.post("/api/v1/frames", content=picture(1), headers=csrf).status_code == 202


def test_a_wrong_key_logs_nobody_in(browser, service):
    right = make_key(service.settings)
    for wrong in ("", "nonsense", right[:-1], right + "x"):
        answer = browser.post(SESSION, json={"key": wrong})
        assert (answer.status_code, answer.json()["type"]) == (401, "unauthenticated")
        assert "set-cookie" not in answer.headers
    assert browser.get(SESSION).status_code == 401


def test_a_new_login_of_a_browser_ends_the_session_it_had(browser, other, service):
    log_in(browser, service)
    before = browser.cookies[COOKIE]
    log_in(other, service)
    refused = browser.post(SESSION, json={"key": "sl_0_0"})
    assert refused.status_code == 401
    assert browser.get(SESSION).status_code == 200  # a login that fails changes nothing
    log_in(browser, service)
    after = browser.cookies[COOKIE]
    for client in (browser, other):
        assert client.get(SESSION).status_code == 200
    browser.cookies.clear()
    for token, status in ((before, 401), (after, 200)):
        answer = browser.get(SESSION, headers={"Cookie": f"{COOKIE}={token}"})
        assert answer.status_code == status


def test_logging_out_ends_the_session_and_no_other(browser, other, service):
    csrf = log_in(browser, service)
    token = browser.cookies[COOKIE]
    log_in(other, service)
    assert browser.delete(SESSION, headers=csrf).status_code == 204
    assert COOKIE not in browser.cookies
    answer = browser.get("/api/v1/frames", headers={"Cookie": f"{COOKIE}={token}"})
    assert (answer.status_code, answer.json()["title"]) == (401, "The session has ended")
    assert other.get(SESSION).status_code == 200


def test_a_key_that_is_sent_goes_before_the_cookie(browser, service):
    log_in(browser, service, name="ada")
    key = {"Authorization": f"Bearer {make_key(service.settings, name='bo', days=None)}"}
    told = browser.get(SESSION, headers=key).json()
    assert (told["name"], told["expires"], told["csrf"]) == ("bo", None, None)
    assert browser.post("/api/v1/frames", content=picture(1), headers=key).status_code == 202
    assert browser.delete(SESSION, headers=key).status_code == 204
    assert browser.get(SESSION).json()["name"] == "ada"


def test_events_are_followed_by_the_cookie_alone(browser, service):
    csrf = log_in(browser, service)
    with browser.stream("GET", "/api/v1/events", params={"after": 0}) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        browser.post("/api/v1/frames", content=picture(1), headers=csrf)
        told = next(json.loads(line[6:]) for line in lines if line.startswith("data: "))
    assert told["kind"] == "submitted"


@pytest.mark.parametrize("by", ["cookie", "key"])
def test_a_stream_of_events_ends_with_what_opened_it(browser, service, by):
    key = make_key(service.settings, role="viewer")
    headers = {"Authorization": f"Bearer {key}"} if by == "key" else {}
    if by == "cookie":
        browser.post(SESSION, json={"key": key})
    with browser.stream("GET", "/api/v1/events", headers=headers) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        service.post(picture(1))
        assert "submitted" in next(line for line in lines if line.startswith("event: "))
        revoked = service.http.post(f"/api/v1/keys/{key.split('_')[1]}/revoke")
        assert revoked.json()["revoked"] is not None
        service.post(picture(2))
        assert [line for line in lines if line.startswith("event: ")] == []


def test_an_expired_session_is_refused_and_then_forgotten(browser, service):
    log_in(browser, service)
    execute(service, "UPDATE sessions SET expires = 1")
    assert browser.get(SESSION).status_code == 401
    engine = ledger.open_engine(service.settings.database)
    sweep_once(engine, NoBell(), service.settings)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sessions")) == 0
    engine.dispose()


def test_the_use_of_keys_and_sessions_is_recorded_once_a_minute(service):
    engine = ledger.open_engine(service.settings.database)
    with ledger.writing(engine) as session:
        holder = ledger.authenticate(session, ledger.create_key(session, "ada"))
        assert holder is not None
        token = ledger.open_session(session, holder, 60)
        caller = ledger.find_session(session, token)
    assert caller is not None
    execute(service, "UPDATE sessions SET used = 1")
    attendance = Attendance()
    attendance.note(caller)
    attendance.record(engine)
    used = "SELECT keys.used, sessions.used FROM keys JOIN sessions ON keys.id = sessions.key_id"
    with engine.connect() as connection:
        first = connection.execute(text(used)).one()
    assert all(abs(at - time.time()) < 5 for at in first)
    attendance.note(caller)
    attendance.record(engine)
    with engine.connect() as connection:
        assert connection.execute(text(used)).one() == first
    engine.dispose()
