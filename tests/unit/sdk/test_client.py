"""What the client sends, tries again, waits for and raises."""

import base64
import hashlib
import io
import time
from urllib.parse import parse_qs, urlsplit

import httpx2
import numpy as np
import pytest

from scatterlens import Client
from scatterlens.errors import (
    ApiError,
    BadArgument,
    Forbidden,
    FrameRejected,
    NotFound,
    RateLimited,
    ScatterlensError,
    StillPending,
    TransportError,
    Unauthorized,
    Unavailable,
    UnknownAttribute,
)
from scatterlens.schemas import ModelRef
from scatterlens.transport import read


@pytest.fixture
def client(gateway):
    with Client(retry_s=5) as client:
        yield client


def test_a_frame_travels_with_its_digest_its_key_and_its_metadata(gateway, client, tmp_path):
    file = tmp_path / "a frame.cbf"
    file.write_bytes(b"pixels")
    gateway.say(202, gateway.submission())
    (item,) = client.submit(file, sample="LaB6", motors={"x": 1.5})
    assert item.frame_id == gateway.frame_id
    (request,) = gateway.requests
    digest = base64.b64encode(hashlib.sha256(b"pixels").digest()).decode()
    assert request.body == b"pixels"
    assert request.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert request.headers["Authorization"] == "Bearer sl_test_secret"
    query = {name: value for name, (value,) in parse_qs(urlsplit(request.path).query).items()}
    assert query == {
        "frames": "0",
        "filename": "a frame.cbf",
        "sample": "LaB6",
        "motors": '{"x": 1.5}',
    }


def test_metadata_that_the_gateway_does_not_know_is_refused_before_sending(gateway, client):
    with pytest.raises(ValueError, match="sampel"):
        client.submit(b"pixels", sampel="LaB6")
    assert gateway.requests == []


def test_a_busy_gateway_is_asked_again_after_the_time_it_names(gateway, client):
    gateway.refuse(503, Retry_After="0.3")
    gateway.refuse(429, Retry_After="0.3")
    gateway.say(202, gateway.submission())
    started = time.monotonic()
    client.submit(b"pixels")
    assert time.monotonic() - started >= 0.6
    assert [request.body for request in gateway.requests] == [b"pixels"] * 3


def test_a_gateway_that_stays_busy_is_given_up_in_time(gateway):
    gateway.refuse(503, Retry_After="60")
    with Client(retry_s=0.5) as client, pytest.raises(Unavailable) as caught:
        client.health()
    assert caught.value.retry_after == 60
    assert len(gateway.requests) == 1


def test_a_gateway_that_is_away_is_tried_until_time_is_up(dead_url):
    started = time.monotonic()
    with Client(dead_url, retry_s=1) as client, pytest.raises(TransportError, match="serve"):
        client.health()
    assert 0.3 < time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("status", "error", "builtin"),
    [
        (401, Unauthorized, PermissionError),
        (403, Forbidden, PermissionError),
        (404, NotFound, LookupError),
        (429, RateLimited, ScatterlensError),
        (500, ApiError, ScatterlensError),
        (507, Unavailable, ScatterlensError),
    ],
)
def test_each_refusal_has_its_class_and_says_the_remedy(gateway, status, error, builtin):
    gateway.refuse(status)
    with Client(retry_s=0) as client, pytest.raises(error, match="Do that") as caught:
        client.health()
    assert isinstance(caught.value, builtin)
    assert caught.value.status == status
    assert caught.value.problem.type == "some_problem"


def test_a_page_of_another_server_is_an_error_that_names_the_address(gateway, client):
    gateway.say(200, b"<html>hello</html>")
    gateway.say(404, b"<html>no</html>")
    with pytest.raises(ApiError, match="address"):
        client.health()
    with pytest.raises(NotFound, match=gateway.url):
        client.health()


@pytest.mark.parametrize("status", [413, 415, 422])
def test_a_refused_file_raises_the_reason_of_the_gateway(gateway, client, status):
    gateway.refuse(status)
    with pytest.raises(FrameRejected, match="Do that") as caught:
        client.annotate(b"not pixels")
    assert isinstance(caught.value, ValueError)
    assert caught.value.reason.type == "some_problem"


def test_a_wrong_request_is_no_verdict_on_the_file(gateway, client):
    gateway.say(422, gateway.problem(422, "invalid_request"))
    with pytest.raises(ApiError):
        client.submit(b"pixels")


def test_a_file_that_arrives_damaged_is_sent_again(gateway, client):
    gateway.say(422, gateway.problem(422, "wrong_digest"))
    gateway.say(202, gateway.submission())
    client.submit(b"pixels")
    assert [request.body for request in gateway.requests] == [b"pixels"] * 2


def test_a_file_that_always_arrives_damaged_is_refused(gateway, client):
    gateway.say(422, gateway.problem(422, "wrong_digest"))
    with pytest.raises(FrameRejected):
        client.submit(b"pixels")
    assert len(gateway.requests) == 3


def test_a_result_is_waited_for_and_ranked(gateway, client):
    gateway.say(202, gateway.submission())
    gateway.say(202, gateway.annotation("queued"))
    gateway.say(202, gateway.annotation("leased"))
    gateway.say(200, gateway.annotation())
    result = client.annotate(b"pixels")
    assert list(result.probabilities.items()) == [("ring", 0.9), ("halo", 0.1)]
    assert result.tags == ["ring"]
    assert result.novelty == 0.25
    assert result.frame_id == gateway.frame_id
    assert "ring 0.90" in repr(result)


def test_without_a_verdict_in_time_the_frames_id_is_in_the_error(gateway, client):
    gateway.say(202, gateway.submission())
    gateway.say(202, gateway.annotation("queued"))
    with pytest.raises(StillPending, match=gateway.frame_id) as caught:
        client.annotate(b"pixels", wait=0)
    assert isinstance(caught.value, TimeoutError)
    assert len(gateway.requests) == 2


def test_a_failed_frame_raises_its_reason(gateway, client):
    reason = {"type": "unreadable", "title": "No", "detail": "Broken", "remedy": "Mend"}
    gateway.say(202, gateway.submission())
    gateway.say(200, gateway.annotation("quarantined", reason=reason))
    with pytest.raises(FrameRejected, match=r"No\. Broken\. Mend\.") as caught:
        client.annotate(b"pixels")
    assert caught.value.state == "quarantined"
    assert caught.value.frame_id == gateway.frame_id


def test_several_frames_come_as_a_list(gateway, client):
    items = [
        {**gateway.submission()["items"][0], "frame_id": f"{gateway.frame_id}.{i}"} for i in (0, 1)
    ]
    gateway.say(202, {"items": items})
    gateway.say(200, gateway.annotation(frame_id=f"{gateway.frame_id}.0"))
    gateway.say(200, gateway.annotation(frame_id=f"{gateway.frame_id}.1"))
    results = client.annotate(b"stack", "all")
    assert [result.frame_id for result in results] == [
        f"{gateway.frame_id}.0",
        f"{gateway.frame_id}.1",
    ]


def test_an_overlay_is_the_array_that_the_gateway_holds(gateway, client):
    array = np.array([[0.5, np.nan]], dtype=np.float32)
    stream = io.BytesIO()
    np.save(stream, array)
    gateway.say(200, gateway.annotation())
    gateway.say(200, stream.getvalue())
    overlay = client.result(gateway.frame_id).overlay("ring")
    np.testing.assert_array_equal(overlay, array)
    assert "slim%400123456789ab" in gateway.requests[-1].path


def test_all_annotations_are_waited_for(gateway, client):
    agreement = {
        "id": "ring",
        "models": 2,
        "mean_probability": 0.7,
        "spread": 0.4,
        "tags": 1,
        "agree": False,
        "map_overlap": None,
    }

    def said(*states):
        annotations = [gateway.annotation(state) for state in states]
        return {
            "frame_id": gateway.frame_id,
            "annotations": annotations,
            "agreement": [agreement],
        }

    gateway.say(202, said("done", "queued"))
    gateway.say(200, said("done", "failed"))
    answer = client.annotations(gateway.frame_id, wait=20)
    assert [one.state for one in answer.annotations] == ["done", "failed"]
    assert answer.agreement[0].model_dump() == agreement
    assert len(gateway.requests) == 2
    gateway.say(202, said("done", "queued"))
    gateway.answers.popleft()
    with pytest.raises(StillPending):
        client.annotations(gateway.frame_id, wait=0)


def test_a_gradient_map_is_waited_for_and_the_spread_is_there_at_once(gateway, client):
    stream = io.BytesIO()
    np.save(stream, np.array([[0.5, np.nan]], dtype=np.float32))
    model = {"name": "slim", "version": "0123456789ab"}
    pending = {"frame_id": gateway.frame_id, "state": "queued", "model": model}
    gateway.say(202, pending, Retry_After="1")
    gateway.say(200, stream.getvalue())
    found = client.gradients(gateway.frame_id, "gradcam", "ring", model="slim", wait=20)
    np.testing.assert_array_equal(found, [[0.5, np.nan]])
    path = f"/api/v1/frames/{gateway.frame_id}/gradients/gradcam/ring.npy"
    assert gateway.requests[-1].path.startswith(f"{path}?model=slim&wait=")
    np.testing.assert_array_equal(client.spread(gateway.frame_id, "ring"), [[0.5, np.nan]])
    assert gateway.requests[-1].path.endswith("/overlays/ring/spread.npy")
    gateway.say(202, pending)
    gateway.answers.popleft()
    with pytest.raises(StillPending):
        client.gradients(gateway.frame_id, "gradcam", "ring", wait=0)


def test_an_unknown_attribute_is_answered_with_those_that_are_known(gateway, client):
    gateway.say(200, gateway.annotation())
    with pytest.raises(UnknownAttribute, match="Known: ring, halo"):
        client.result(gateway.frame_id).overlay("rings")


def test_many_files_keep_their_order_and_a_missing_one_stops_nothing(gateway, client, tmp_path):
    files = [tmp_path / name for name in ("a.cbf", "missing.cbf", "c.cbf")]
    for file in (files[0], files[2]):
        file.write_bytes(b"pixels")
    gateway.say(415, gateway.problem(415))
    outcomes = list(client.annotate_many(files))
    assert [outcome.file for outcome in outcomes] == [str(file) for file in files]
    assert isinstance(outcomes[1].error, FileNotFoundError)
    assert [outcome.state for outcome in outcomes] == ["failed", None, "failed"]


def test_a_search_reads_all_pages(gateway, client):
    def page(ids, cursor):
        shared = {"sha256": "s", "index": None, "filename": None, "format": "cbf", "tags": []}
        moment = {"size_bytes": 1, "submitted": "2026-01-01T00:00:00Z", "state": "done"}
        return {"items": [{"frame_id": i, **shared, **moment} for i in ids], "next_cursor": cursor}

    gateway.say(200, page("ab", "next"))
    gateway.say(200, page("c", None))
    found = client.search(["ring>0.8", "spotted"], without="halo", scan="7")
    assert [frame.frame_id for frame in found] == ["a", "b", "c"]
    queries = [parse_qs(urlsplit(request.path).query) for request in gateway.requests]
    assert queries[0] == {"tag": ["ring>0.8", "spotted"], "not": ["halo"], "scan": ["7"]}
    assert queries[1] == queries[0] | {"cursor": ["next"]}


def test_events_go_on_where_the_stream_broke(gateway, client):
    def stream(*ids):
        moment = "2026-01-01T00:00:00Z"
        lines = (
            f'id: {i}\ndata: {{"id": {i}, "kind": "done", "frame_id": "f", "time": "{moment}"}}\n\n'
            for i in ids
        )
        return (": hello\n\n" + "".join(lines)).encode()

    gateway.say(200, stream(4, 5), Content_Type="text/event-stream")
    gateway.say(200, stream(6), Content_Type="text/event-stream")
    events = client.events(after=3)
    assert [next(events).id for _ in range(3)] == [4, 5, 6]
    sent = [request.headers["Last-Event-ID"] for request in gateway.requests]
    assert sent == ["3", "5"]


def test_a_file_appears_only_once_it_is_complete(gateway, client, tmp_path):
    cut_off = {"Content_Length": "100", "Connection": "close"}
    gateway.say(200, b"frame_id", **cut_off)
    gateway.say(200, b"frame_id,tags")
    client.export_table(tmp_path / "all.csv")
    assert (tmp_path / "all.csv").read_bytes() == b"frame_id,tags"
    gateway.say(200, b"frame_id", **cut_off)
    gateway.next()
    with Client(retry_s=0) as hasty, pytest.raises(TransportError):
        hasty.export_table(tmp_path / "none.csv")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["all.csv"]


def test_what_would_be_done_twice_is_sent_once(gateway, client):
    gateway.refuse(503, Retry_After="0")
    with pytest.raises(Unavailable):
        client.create_key("an instrument", "viewer")
    assert len(gateway.requests) == 1


def test_keys_that_a_newer_gateway_adds_do_not_disturb():
    answer = httpx2.Response(200, json={"name": "slim-aam", "version": "0123", "colour": "new"})
    assert read(ModelRef, answer) == ModelRef(name="slim-aam", version="0123")


@pytest.mark.parametrize(
    ("method", "arguments", "filters", "meant"),
    [
        ("search", (), {"scna": "7"}, "scan"),
        ("count", (), {"labeled": True}, "labelled"),
        ("count", (), {"orders": "newest"}, None),
        ("save_search", ("rings",), {"propsal": "p1"}, "proposal"),
        ("export_table", ("out.csv",), {"smaple": "glass"}, "sample"),
        ("export_annotations", ("out.ndjson",), {"tag": "ring"}, "tags"),
        ("export_dataset", ("out.jsonl",), {"spilt": "train"}, None),
    ],
)
def test_an_unknown_filter_is_refused_before_anything_is_sent(
    gateway, client, monkeypatch, tmp_path, method, arguments, filters, meant
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadArgument, match=f"did you mean {meant!r}" if meant else "filter"):
        getattr(client, method)(*arguments, **filters)
    assert gateway.requests == []
    assert list(tmp_path.glob("out.*")) == []


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda client: client.submit(b"pixels", scna="7"), "scan"),
        (lambda client: client.annotate(b"pixels", smaple="glass"), "sample"),
        (lambda client: client.train(recpie="slim-aam"), "recipe"),
        (lambda client: client.create_key("me", "viewer", proposla="p"), "proposal"),
    ],
)
def test_an_unknown_field_is_refused_before_anything_is_sent(gateway, client, call, meant):
    with pytest.raises(BadArgument, match=f"did you mean {meant!r}"):
        call(client)
    assert gateway.requests == []
