"""Keys by the API: made, listed, ended, by those who may and by nobody else."""

import pytest

SHOWN = {"name": "ada", "role": "trainer", "scopes": ["results:read"], "proposal": "P1"}


@pytest.fixture
def admin(service):
    """Call the API as an administrator: `admin("get", "keys")`."""
    return lambda method, path, **options: service.http.request(
        method, f"/api/v1/{path}", **options
    )


def header(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_is_made_shown_once_and_works_as_asked(service, admin):
    answer = admin("post", "keys", json={**SHOWN, "beamline": "B1", "expires_days": 2})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    assert made.items() >= {**SHOWN, "beamline": "B1", "revoked": None}.items()
    told = service.http.get("/api/v1/session", headers=header(made["key"])).json()
    assert told.items() >= {**SHOWN, "beamline": "B1", "expires": made["expires"]}.items()
    listed = admin("get", "keys")
    roles = {one["role"]: one["scopes"] for one in listed.json()["roles"]}
    assert roles["viewer"] == ["results:read"]
    assert set(roles) == {"viewer", "annotator", "scientist", "trainer", "admin"}
    assert made["key"].split("_", 2)[2] not in listed.text
    kept = next(key for key in listed.json()["items"] if key["id"] == made["id"])
    assert kept == {name: made[name] for name in made if name not in ("key", "used")} | {
        "used": kept["used"]
    }


def test_a_revoked_key_and_its_sessions_end_and_it_stays_in_the_list(service, admin):
    made = admin("post", "keys", json={"name": "bo", "role": "viewer"}).json()
    again = admin("post", f"keys/{made['id']}/revoke").json()
    assert again["revoked"] is not None
    assert admin("post", f"keys/{made['id']}/revoke").json()["revoked"] == again["revoked"]
    assert service.http.get("/api/v1/session", headers=header(made["key"])).status_code == 401
    assert again["id"] in [key["id"] for key in admin("get", "keys").json()["items"]]


@pytest.mark.parametrize(
    ("wanted", "type_"),
    [
        ({"name": "x", "role": "king"}, "invalid_request"),
        ({"name": "x", "role": "viewer", "scopes": ["admin"]}, "bad_key"),
        ({"name": "", "role": "viewer"}, "invalid_request"),
        ({"name": "a\nb", "role": "viewer"}, "invalid_request"),
        ({"name": "x", "role": "viewer", "expires_days": 0}, "invalid_request"),
    ],
)
def test_a_key_that_cannot_be_is_refused_and_not_made(admin, wanted, type_):
    before = len(admin("get", "keys").json()["items"])
    answer = admin("post", "keys", json=wanted)
    assert (answer.status_code, answer.json()["type"]) == (422, type_)
    assert answer.json()["remedy"]
    assert len(admin("get", "keys").json()["items"]) == before


def test_the_last_admin_cannot_be_revoked(service, admin):
    """Keys that are bound, or have fewer scopes, are none of an admin who could go on."""
    (mine,) = [key["id"] for key in admin("get", "keys").json()["items"]]
    for fewer in ({"proposal": "P1"}, {"beamline": "B1"}, {"scopes": ["results:read"]}):
        admin("post", "keys", json={"name": "x", "role": "admin", **fewer})
    answer = admin("post", f"keys/{mine}/revoke")
    assert (answer.status_code, answer.json()["type"]) == (409, "last_admin")
    assert "role admin" in answer.json()["remedy"]
    made = admin("post", "keys", json={"name": "y", "role": "admin"}).json()
    assert admin("post", f"keys/{mine}/revoke").status_code == 200
    answer = admin("post", f"keys/{made['id']}/revoke", headers=header(made["key"]))
    assert answer.status_code == 409


def test_a_key_that_is_not_there_cannot_be_revoked(admin):
    assert admin("post", "keys/000000000000/revoke").json()["type"] == "unknown_key"
    for key_id in ("%00", "x" * 100):
        assert admin("post", f"keys/{key_id}/revoke").status_code == 422


def test_nobody_else_runs_the_service(service, subtests):
    places = [
        ("GET", "keys", None),
        ("POST", "keys", {"name": "me", "role": "admin"}),
        ("POST", "keys/000000000000/revoke", None),
        ("GET", "operations", None),
        ("GET", "jobs?state=failed", None),
        ("POST", "jobs/1/retry", None),
        ("POST", "jobs/retry", {"ids": [1]}),
    ]
    callers = [
        (service.new_key(role="trainer"), "missing_scope"),
        (service.new_key(role="admin", scopes=["models:write"]), "missing_scope"),
        (service.new_key(role="admin", proposal="P1"), "bound_key"),
        (service.new_key(role="admin", beamline="B1"), "bound_key"),
    ]
    for method, path, body in places:
        for key, type_ in callers:
            with subtests.test(path=path, type_=type_):
                answer = service.http.request(method, f"/api/v1/{path}", headers=key, json=body)
                assert (answer.status_code, answer.json()["type"]) == (403, type_)
