"""Keys: who may do what, and what does not exist for whom. Errors of every kind are problems."""

import re
from pathlib import Path

import pytest
from sqlalchemy import text

from scatterlens_service import ledger
from scatterlens_service.gateway import browser
from support.gateway import picture

NOBODY = {"Authorization": ""}
PATHS = ["frames", "annotations.ndjson", "events", "attributes", "models", "health"]


def assert_problem(response, status: int, type_: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == type_
    assert response.json()["status"] == status
    assert response.json()["remedy"]


NO_KEYS = ["", "Bearer", "Bearer nonsense", "Basic eDp5", "Bearer sl_x_y", "Bearer sl_\xff_1"]


def test_without_a_valid_key_nothing_is_told(service, subtests):
    for header in NO_KEYS:
        with subtests.test(header=header):
            value = header.encode("latin-1")
            for path in [*PATHS, f"frames/{'0' * 64}"]:
                response = service.http.get(f"/api/v1/{path}", headers={"Authorization": value})
                assert_problem(response, 401, "unauthenticated")
                assert response.headers["www-authenticate"] == "Bearer"
            response = service.post(picture(1), {"Authorization": header.encode("latin-1")})
            assert_problem(response, 401, "unauthenticated")
            assert service.kept()["files"] == 0


def test_an_expired_or_revoked_key_is_no_key(service):
    key = service.new_key(role="viewer")
    assert service.http.get("/api/v1/frames", headers=key).status_code == 200
    engine = ledger.open_engine(service.settings.database)
    key_id = key["Authorization"].split("_")[1]
    with ledger.writing(engine) as session:
        assert ledger.revoke_key(session, key_id)
    assert_problem(service.http.get("/api/v1/frames", headers=key), 401, "unauthenticated")
    ended = service.new_key(role="viewer", days=1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE keys SET expires = 1 WHERE expires IS NOT NULL"))
    engine.dispose()
    assert_problem(service.http.get("/api/v1/frames", headers=ended), 401, "unauthenticated")


def test_a_viewer_may_read_and_not_send(service):
    key = service.new_key(role="viewer")
    for path in PATHS:
        if path != "events":  # never ends
            assert service.http.get(f"/api/v1/{path}", headers=key).status_code == 200
    assert_problem(service.post(picture(1), key), 403, "missing_scope")
    assert service.kept()["files"] == 0


def test_a_sender_without_the_scope_to_read_may_not_read(service):
    key = service.new_key(role="scientist", scopes=["frames:write"])
    frame_id = service.post(picture(1), key).json()["items"][0]["frame_id"]
    for path in ("frames", f"frames/{frame_id}", f"frames/{frame_id}/raw"):
        response = service.http.get(f"/api/v1/{path}", headers=key)
        assert_problem(response, 403, "missing_scope")


def test_what_one_may_not_see_does_not_exist(service, work):
    mine = service.new_key(role="scientist", proposal="P1")
    theirs = service.new_key(role="scientist", proposal="P2")
    frame_id = service.post(picture(1), mine).json()["items"][0]["frame_id"]
    work()
    for rest in ("", "/annotation", "/raw", "/preview.png", "/overlays/ring.npy"):
        path = f"/api/v1/frames/{frame_id}{rest}"
        assert service.http.get(path, headers=mine).status_code == 200
        assert_problem(service.http.get(path, headers=theirs), 404, "unknown_frame")
    assert service.http.get("/api/v1/frames", headers=theirs).json()["items"] == []
    assert service.http.get("/api/v1/annotations.ndjson", headers=theirs).text == ""
    assert service.get(f"frames/{frame_id}").json()["proposal"] == "P1"


def test_a_bound_key_speaks_for_no_other_proposal(service):
    key = service.new_key(role="scientist", proposal="P1", beamline="B1")
    assert_problem(service.post(picture(1), key, proposal="P2"), 403, "other_proposal")
    assert_problem(service.post(picture(1), key, beamline="B2"), 403, "other_beamline")
    assert service.kept()["files"] == 0
    assert service.post(picture(1), key, proposal="P1").status_code == 202


OF_FRAMES = ("/api/v1/frames", "/api/v1/session", "/api/v1/searches")
"""What changes something there speaks of frames that the caller sees, or of the caller."""


@pytest.mark.parametrize("bound", [{"proposal": "P1"}, {"beamline": "B1"}])
def test_a_bound_admin_changes_nothing_beyond_what_the_key_is_bound_to(service, subtests, bound):
    key = service.new_key(role="admin", **bound)
    paths = service.get("openapi.json").json()["paths"]
    changing = [
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if method in ("post", "put", "patch", "delete") and not path.startswith(OF_FRAMES)
    ]
    assert len(changing) > 8
    values = {"version": "0" * 12, "run_id": "run-1", "key_id": "0" * 12, "job_id": "1"}
    for method, path in changing:
        with subtests.test(method=method, path=path):
            answer = service.http.request(method, path.format(**values), headers=key, json={})
            assert_problem(answer, 403, "bound_key")


def test_errors_of_the_framework_are_problems_too(service):
    assert_problem(service.http.get("/api/v1/nothing"), 404, "not_found")
    assert_problem(service.http.get("/nothing"), 404, "not_found")
    assert_problem(service.http.get("/assets/nothing.js"), 404, "not_found")
    assert_problem(service.http.get("/assets/%2e%2e/%2e%2e/app.py"), 404, "not_found")
    wrong = service.http.delete("/api/v1/frames")
    assert_problem(wrong, 405, "method_not_allowed")


def test_a_fault_of_the_service_tells_nothing_of_its_inside(service, monkeypatch):
    def fail(*_args, **_options):
        raise RuntimeError("secret /path/inside")

    monkeypatch.setattr("scatterlens_service.ledger.list_frames", fail)
    response = service.get("frames")
    assert_problem(response, 500, "internal_error")
    assert "secret" not in response.text


def test_every_answer_keeps_browsers_in_bounds(service):
    for path in ("/", "/assets/nothing.js", "/api/v1/frames", "/nothing"):
        response = service.http.get(path)
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"


STATIC = Path(browser.__file__).parents[1] / "static"


@pytest.mark.skipif(not STATIC.exists(), reason="the interface is not built: `make ui`")
def test_the_interface_needs_nothing_from_elsewhere(service):
    page = service.http.get("/", headers=NOBODY)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(parts) >= 3
    for part in parts:
        assert part.startswith("/")
        assert service.http.get(part, headers=NOBODY).status_code == 200, part
    assert "immutable" in service.http.get(parts[-1]).headers["cache-control"]


def test_every_page_of_the_interface_has_its_address(service):
    first = service.http.get("/", headers=NOBODY)
    for path in ("/frames/abc?map=ring", "/search?query=x", "/models/123", "/training/1", "/admin"):
        page = service.http.get(path, headers=NOBODY)
        assert (page.status_code, page.text) == (first.status_code, first.text)
