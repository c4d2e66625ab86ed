"""The event stream: live, resumable, and only of what the caller may see."""

import itertools

import pytest

from support.gateway import follow, picture


@pytest.fixture
def key(service) -> dict[str, str]:
    return {"Authorization": service.http.headers["Authorization"]}


def test_events_are_told_as_they_happen(service, work, live, key):
    with follow(live, key) as events:
        frame_id = service.post(picture(1)).json()["items"][0]["frame_id"]
        first = next(events)
        work()
        second = next(events)
    assert (first["kind"], first["frame_id"]) == ("submitted", frame_id)
    assert (second["kind"], second["frame_id"]) == ("done", frame_id)
    assert second["model"]["name"] == "linear"
    assert second["id"] > first["id"]


def test_a_broken_stream_goes_on_where_it_broke(service, live, key):
    ids = [service.post(picture(i)).json()["items"][0]["frame_id"] for i in range(4)]
    with follow(live, key, after=0) as events:
        head = list(itertools.islice(events, 2))
    resumed = {**key, "Last-Event-ID": str(head[-1]["id"])}
    # The header tells of a later place than the query of the first request.
    with follow(live, resumed, after=0) as events:
        tail = list(itertools.islice(events, 2))
    assert [event["frame_id"] for event in head + tail] == ids


def test_events_of_other_proposals_are_not_told(service, live):
    theirs = service.new_key(role="scientist", proposal="P2")
    mine = service.new_key(role="scientist", proposal="P1")
    with follow(live, mine, after=0) as events:
        service.post(picture(1), theirs)
        service.post(picture(2))
        frame_id = service.post(picture(3), mine).json()["items"][0]["frame_id"]
        assert next(events)["frame_id"] == frame_id


def test_a_place_in_the_stream_that_cannot_be_is_refused(service, subtests):
    for value in ("-1", "nan", str(2**63), "x"):
        with subtests.test(value=value):
            assert service.get("events", after=value).status_code == 422
            headers = {"Last-Event-ID": value}
            assert service.http.get("/api/v1/events", headers=headers).status_code == 422


def test_a_change_of_labels_is_told(service, live, key):
    frame_id = service.post(picture(1)).json()["items"][0]["frame_id"]
    with follow(live, key) as events:
        body = {"labels": {"ring": {"value": "unsure"}}}
        answer = service.http.put(f"/api/v1/frames/{frame_id}/labels", json=body)
        assert answer.status_code == 200
        # The feed may not have told of the submission yet when the stream begins.
        event = next(one for one in events if one["kind"] != "submitted")
    assert (event["kind"], event["frame_id"], event["model"]) == ("labelled", frame_id, None)
