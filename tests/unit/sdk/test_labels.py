"""Labels through the client: what it sends, and what it makes of the answers."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from scatterlens import Client
from scatterlens.errors import ApiError, Forbidden, TransportError
from scatterlens.schemas import LabelIn

MOMENT = "2026-01-01T00:00:00Z"
ENTRY = {"attribute": "ring", "value": "present", "author": "ada", "person": "k1", "time": MOMENT}


@pytest.fixture
def client(gateway):
    with Client(retry_s=5) as client:
        yield client


def labels(**changes) -> dict:
    return {"frame_id": "f", "labels": [ENTRY], "consensus": [], **changes}


def exported(value: str | None) -> bytes:
    of_frame = {"frame_id": "f", "sha256": "f", "index": None}
    return json.dumps({**ENTRY, **of_frame, "value": value}).encode() + b"\n"


def query(request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.path).query)


def test_a_label_is_sent_with_its_note_and_what_was_shown(gateway, client):
    gateway.say(200, gateway.annotation())
    gateway.say(200, labels())
    result = client.result(gateway.frame_id)
    box = LabelIn(value="absent", region=[(1, 2), (3, 4)])
    said = {"ring": "present", "halo": box, "spotted": None}
    answer = client.label(result.frame_id, said, note="faint", shown=result)
    assert answer.labels[0].author == "ada"
    request = gateway.requests[-1]
    assert (request.method, request.path) == ("PUT", f"/api/v1/frames/{gateway.frame_id}/labels")
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "labels": {
            "ring": {"value": "present", "region": None, "note": "faint"},
            "halo": {"value": "absent", "region": [[1, 2], [3, 4]], "note": None},
            "spotted": {"value": None, "region": None, "note": "faint"},
        },
        "shown": {"model": "slim@0123456789ab", "probabilities": {"ring": 0.9, "halo": 0.1}},
    }


def test_a_label_that_cannot_be_is_refused_before_sending(gateway, client):
    with pytest.raises(ValueError, match="present"):
        client.label("f", {"ring": "yes"})
    with pytest.raises(ValueError, match="at least 1"):
        client.label("f", {})
    assert gateway.requests == []


def test_a_label_is_sent_again_where_the_gateway_is_busy(gateway, client):
    gateway.refuse(503, Retry_After="0.1")
    gateway.say(200, labels())
    client.label("f", {"ring": "present"})
    assert gateway.requests[0].body == gateway.requests[1].body != b""


def test_refusals_are_errors_with_their_remedy(gateway, client):
    gateway.say(403, gateway.problem(403, "missing_scope"))
    gateway.say(422, gateway.problem(422, "unknown_attribute"))
    with pytest.raises(Forbidden, match="Do that"):
        client.label("f", {"ring": "present"})
    with pytest.raises(ApiError, match="Do that") as caught:
        client.label("f", {"rings": "present"})
    assert caught.value.problem.type == "unknown_attribute"


def test_the_history_is_asked_for(gateway, client):
    gateway.say(200, labels(history=[ENTRY, ENTRY | {"value": None}]))
    found = client.labels("f", history=True)
    assert found.history is not None
    assert [entry.value for entry in found.history] == ["present", None]
    client.labels("f")
    assert [query(request) for request in gateway.requests] == [{"history": ["true"]}, {}]


def test_a_review_fetches_pages_as_they_are_needed(gateway, client):
    def page(names: str, cursor: str | None) -> dict:
        frame = {
            "sha256": "f",
            "index": None,
            "filename": None,
            "format": "edf",
            "size_bytes": 1,
            "submitted": MOMENT,
            "state": "done",
            "tags": [],
        }
        items = [
            {"frame": frame | {"frame_id": name}, "attribute": "ring", "figure": 0.5}
            for name in names
        ]
        return {"items": items, "next_cursor": cursor}

    gateway.say(200, page("ab", "next"))
    gateway.say(200, page("c", None))
    found = client.review("disagreement", attribute="ring")
    assert next(found).frame.frame_id == "a"
    assert len(gateway.requests) == 1
    assert [item.frame.frame_id for item in found] == ["b", "c"]
    asked = {"by": ["disagreement"], "attribute": ["ring"]}
    assert [query(one) for one in gateway.requests] == [asked, {**asked, "cursor": ["next"]}]


def test_exported_labels_come_line_by_line(gateway, client):
    gateway.say(200, exported("present") + exported(None))
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert [label.value for label in client.export_labels(since)] == ["present", None]
    assert query(gateway.requests[0]) == {"since": ["2026-01-01T00:00:00+00:00"]}


def test_an_export_without_a_gateway_is_a_transport_error(dead_url):
    with Client(dead_url, "sl_a_b") as client, pytest.raises(TransportError, match="serve"):
        list(client.export_labels())
