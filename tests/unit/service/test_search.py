"""Finding frames through the gateway: queries, orders, pages, similar ones, scans, exports."""

import csv
import io
import json
from urllib.parse import urlencode

import pytest

from support.gateway import picture

NUMBERS = range(6)


@pytest.fixture
def scanned(service, work) -> list[dict]:
    """Annotations of the frames of a scan, one of them sent twice, as the gateway tells them."""
    for number in NUMBERS:
        motors = json.dumps({"temperature": number})
        told = {"scan": "7", "frame_number": 5 - number, "motors": motors}
        assert service.post(picture(number), **told).status_code == 202
    work()
    service.post(picture(0), scan="8", proposal="p2", sample="glass")
    found = service.get("frames", scan="7").json()["items"]
    return [service.get(f"frames/{item['frame_id']}/annotation").json() for item in found]


def probability(annotation: dict, attribute: str) -> float:
    return next(one["probability"] for one in annotation["attributes"] if one["id"] == attribute)


def ids(response) -> list[str]:
    assert response.status_code == 200, response.text
    return [item["frame_id"] for item in response.json()["items"]]


def test_a_query_finds_what_the_annotations_say(service, scanned):
    bound = sorted(probability(one, "halo") for one in scanned)[3]
    wanted = {
        one["frame_id"]
        for one in scanned
        if probability(one, "halo") > bound or probability(one, "ring") < 0.3
    }
    text = f"Halo > {bound!r} or (ring < 0.3)"
    assert set(ids(service.get("frames", query=text))) == wanted
    left = {one["frame_id"] for one in scanned} - wanted
    assert set(ids(service.get("frames", query=f"not ({text})"))) == left
    assert service.get("frames.count", query=text).json() == {"count": len(wanted), "exact": True}


def test_a_tag_is_what_the_annotation_calls_one(service, scanned):
    for attribute in ("ring", "halo", "textured"):
        tagged = {
            one["frame_id"]
            for one in scanned
            for result in one["attributes"]
            if result["id"] == attribute and result["tag"]
        }
        assert set(ids(service.get("frames", tag=attribute))) == tagged
        assert set(ids(service.get("frames", **{"not": attribute}))).isdisjoint(tagged)


def test_a_query_that_cannot_be_read_says_where(service):
    answer = service.get("frames", query="ring > 0.8 and nothing")
    assert answer.status_code == 422
    assert "at character 16 'nothing' stands; expected an attribute" in answer.json()["detail"]


def in_pages(service, **asked: object) -> list[str]:
    seen, cursor = [], {}
    while True:
        page = service.get("frames", limit=2, **asked, **cursor)
        seen += ids(page)
        if page.json()["next_cursor"] is None:
            return seen
        cursor = {"cursor": page.json()["next_cursor"]}


def test_pages_in_every_order_hold_each_frame_once(service, scanned):
    by_number = [one["frame_id"] for one in scanned]
    # The first frame was sent again last of all.
    oldest = [*by_number[-2::-1], by_number[-1]]

    def by(figure) -> list[str]:
        return [one["frame_id"] for one in sorted(scanned, key=figure, reverse=True)]

    orders = [
        ({}, oldest[::-1]),
        ({"order": "oldest"}, oldest),
        ({"order": "frame_number", "scan": "7"}, by_number),
        ({"order": "novelty"}, by(lambda one: one["novelty"])),
        ({"order": "probability", "of": "halo"}, by(lambda one: probability(one, "halo"))),
    ]
    # With lower bounds the few frames that fit are taken from an index, else it is a walk.
    for narrow in ({}, {"query": "halo >= 0"}, {"query": "not halo > 1"}, {"labelled": False}):
        for order, expected in orders:
            assert in_pages(service, **order, **narrow) == expected, (order, narrow)


def neighbours(service, frame_id: str, **asked: object) -> list[str | None]:
    """What stands before and after a frame of a list."""
    return [
        next(iter(in_pages(service, **{way: frame_id}, **asked)), None)
        for way in ("before", "after")
    ]


def test_neighbours_are_those_of_the_list_in_every_order(service, scanned):
    orders = [
        {},
        {"order": "oldest"},
        {"order": "frame_number", "scan": "7"},
        {"order": "novelty"},
        {"order": "probability", "of": "halo"},
    ]
    narrows = ({}, {"query": "halo >= 0"}, {"query": "not halo > 1"}, {"labelled": False})
    for asked in ({**order, **narrow} for order in orders for narrow in narrows):
        whole = in_pages(service, **asked)
        assert len(whole) == len(scanned)
        for place, frame_id in enumerate(whole):
            around = [None, *whole, None][place : place + 3 : 2]
            assert neighbours(service, frame_id, **asked) == around, asked
        # Pages go on in the same way from there.
        middle = whole[3]
        assert in_pages(service, before=middle, **asked) == whole[2::-1]
        assert in_pages(service, after=middle, **asked) == whole[4:]


def test_beside_a_frame_that_is_not_in_the_list_there_is_nothing(service, scanned):
    one = scanned[2]["frame_id"]
    assert neighbours(service, one, scan="8") == [None, None]
    assert neighbours(service, one, order="frame_number", scan="9") == [None, None]
    assert neighbours(service, "0" * 64) == [None, None]
    key = service.new_key(proposal="p2")
    answer = service.http.get(f"/api/v1/frames?before={one}", headers=key)
    assert answer.json() == {"items": [], "next_cursor": None}
    both = service.get("frames", before=one, after=one)
    assert (both.status_code, both.json()["type"]) == (422, "two_ways")


def test_a_cursor_leads_on_only_the_way_it_came(service, scanned):
    one = scanned[2]["frame_id"]
    cursor = service.get("frames", before=one, limit=1).json()["next_cursor"]
    assert service.get("frames", before=one, cursor=cursor).status_code == 200
    assert service.get("frames", after=one, cursor=cursor).status_code == 422


def test_a_cursor_of_another_order_is_refused(service, scanned):
    cursor = service.get("frames", limit=2).json()["next_cursor"]
    assert service.get("frames", order="oldest", cursor=cursor).status_code == 422
    assert service.get("frames", order="frame_number").json()["type"] == "no_scan"
    assert service.get("frames", order="probability").json()["type"] == "no_attribute"


def test_a_frame_sent_again_is_found_as_what_it_was_sent_the_second_time(service, scanned):
    again = service.get("frames", sample="GLASS", query="halo >= 0").json()["items"]
    assert [item["scan"] for item in again] == ["8"]


def test_similar_frames_are_those_of_like_features_that_one_may_see(service, scanned):
    one = scanned[-1]["frame_id"]
    answer = service.get(f"frames/{one}/similar", limit=3)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["compared"] == len(scanned)
    cosines = [item["similarity"] for item in found["items"]]
    assert len(cosines) == 3
    assert cosines == sorted(cosines, reverse=True)
    assert one not in [item["frame"]["frame_id"] for item in found["items"]]
    key = service.new_key(proposal="p2")
    address = f"/api/v1/frames/{one}/similar"
    assert service.http.get(address, headers=key).json()["items"] == []
    # What is annotated later is found by the gateway that looked before.
    assert service.http.get(address).json()["compared"] == len(scanned)


def test_a_saved_search_is_its_authors(service):
    said = {"name": "rings", "query": urlencode({"query": "ring > 0.8"})}
    kept = service.http.post("/api/v1/searches", json=said)
    assert kept.status_code == 201, kept.text
    assert service.http.post("/api/v1/searches", json=said).status_code == 409
    (listed,) = service.get("searches").json()["items"]
    assert listed == kept.json()
    other = service.new_key(name="somebody else")
    assert service.http.get("/api/v1/searches", headers=other).json()["items"] == []
    address = f"/api/v1/searches/{listed['id']}"
    assert service.http.delete(address, headers=other).status_code == 404
    assert service.http.delete(address).status_code == 204
    assert service.get("searches").json()["items"] == []


def test_scans_are_listed_with_what_they_hold(service, scanned):
    items = service.get("scans").json()["items"]
    assert [(one["scan"], one["proposal"], one["frames"]) for one in items] == [
        ("8", "p2", 1),
        ("7", None, 6),
    ]
    first = service.get("scans", limit=1).json()
    (second,) = service.get("scans", cursor=first["next_cursor"]).json()["items"]
    assert second == items[1]
    seen = service.http.get("/api/v1/scans", headers=service.new_key(proposal="p2")).json()
    assert [one["scan"] for one in seen["items"]] == ["8"]


@pytest.mark.parametrize("against", ["frame_number", "temperature"])
def test_a_timeline_goes_along_a_scan(service, scanned, against):
    line = service.get("scans/timeline", scan="7", attributes="ring,halo", against=against).json()
    assert line["x"] == list(NUMBERS)
    frames = scanned if against == "frame_number" else scanned[::-1]
    assert line["frame_ids"] == [one["frame_id"] for one in frames]
    for attribute in ("ring", "halo"):
        expected = [probability(one, attribute) for one in frames]
        assert line["probabilities"][attribute] == pytest.approx(expected, abs=1e-6)
    nowhere = service.get("scans/timeline", scan="7", attributes="ring", against="pressure").json()
    assert (nowhere["frames"], nowhere["x"]) == (0, [])


def test_the_result_is_exported_as_a_table(service, scanned):
    service.post(picture(99), scan="=1+1", frame_number=1)
    answer = service.get("frames.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 7
    assert (rows[0]["scan"], rows[0]["halo"]) == ("'=1+1", "")
    last = scanned[0]
    row = next(row for row in rows if row["frame_id"] == last["frame_id"])
    assert float(row["halo"]) == pytest.approx(probability(last, "halo"))
    assert row["tags"].split() == [one["id"] for one in last["attributes"] if one["tag"]]
