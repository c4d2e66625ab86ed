"""Taking frames in: what is acknowledged is kept, what is refused leaves nothing behind."""

import base64
import gzip
import hashlib
import json
import select
import shlex
import shutil
import socket
import struct
import time
import zlib

import numpy as np
import pytest
from sqlalchemy import text

from scatterlens_service import ledger
from support.gateway import assert_refused, npy, picture
from support.waiting import wait_until


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def test_a_frame_is_kept_before_it_is_acknowledged(service):
    data = picture(1)
    response = service.post(data, {"Content-Digest": digest(data)}, filename="a.npy")
    assert response.status_code == 202
    (item,) = response.json()["items"]
    sha256 = hashlib.sha256(data).hexdigest()
    assert item == {
        "filename": "a.npy",
        "frame_id": sha256,
        "state": "queued",
        "duplicate": False,
        "error": None,
    }
    assert service.kept() == {
        "frames": 1,
        "submissions": 1,
        "jobs": 1,
        "events": 1,
        "annotations": 0,
        "files": 1,
    }
    assert service.get(f"frames/{sha256}/raw").content == data


def test_the_same_bytes_again_are_known_and_nothing_is_stored_twice(service):
    data = picture(1)
    service.post(data, filename="a.npy")
    before = service.kept()
    again = service.post(data, filename="a.npy")
    assert again.status_code == 200
    assert again.json()["items"][0]["duplicate"] is True
    assert service.kept() == before


def test_every_way_to_name_a_file_is_understood(service):
    disposition = "attachment; filename*=UTF-8''r%C3%B6ntgen.npy"
    cases = {
        "röntgen.npy": ({"Content-Disposition": disposition}, {}),
        "b.npy": ({"Content-Disposition": 'attachment; filename="../../etc/b.npy"'}, {}),
        "c.npy": ({}, {"filename": "C:\\data\\c.npy"}),
        None: ({}, {}),
    }
    for seed, (name, (headers, params)) in enumerate(cases.items()):
        response = service.post(picture(seed), headers, **params)
        assert response.json()["items"][0]["filename"] == name


def test_metadata_travels_in_the_query_the_header_and_comes_back(service):
    about = {"sample": "header", "scan": "7", "motors": {"th": 1.5}}
    response = service.post(
        picture(1),
        {"X-Scatterlens-Metadata": json.dumps(about)},
        sample="query",
        frame_number=3,
        geometry=json.dumps(
            {
                "distance_m": 2.5,
                "wavelength_m": 1e-10,
                "pixel_size_m": [172e-6, 172e-6],
                "beam_center_yx": [40.5, -3],
            }
        ),
    )
    frame = service.get(f"frames/{response.json()['items'][0]['frame_id']}").json()
    assert (frame["sample"], frame["scan"], frame["frame_number"]) == ("query", "7", 3)
    assert frame["motors"] == {"th": 1.5}
    assert frame["geometry"]["distance_m"] == 2.5


PONI = """poni_version: 2.1
Detector: Detector
Detector_config: {"pixel1": 0.000172, "pixel2": 0.000172, "orientation": 3}
Distance: 0.25
Poni1: 0.0172
Poni2: 0.0344
Rot1: 0.0
Rot2: 0.0
Rot3: 0.0
Wavelength: 1e-10
"""


def test_a_poni_text_gives_the_geometry(service):
    answer = service.post(picture(1), poni=PONI).json()
    frame = service.get(f"frames/{answer['items'][0]['frame_id']}").json()
    assert frame["geometry"]["distance_m"] == 0.25
    assert frame["geometry"]["beam_center_yx"] == pytest.approx([99.5, 199.5])


BAD_METADATA = [
    {"poni": "Distance: 0.25"},
    {"motors": "{not json"},
    {"motors": '{"th": NaN}'},
    {"motors": '{"th": "up"}'},
    {"motors": "[1]"},
    {"geometry": '{"distance_m": -1}'},
    {"frame_number": -1},
    {"frame_number": 2**63},
    {"frame_number": "nan"},
    {"sample": "x" * 501},
    {"scan": "a\x00b"},
]


def test_metadata_that_cannot_be_is_refused(service, subtests):
    for params in BAD_METADATA:
        with subtests.test(params=params):
            response = service.post(picture(1), **params)
            assert response.status_code == 422
            assert response.headers["content-type"] == "application/problem+json"
            assert service.kept()["frames"] == service.kept()["files"] == 0


BAD_HEADERS = ["[]", "7", '{"smaple": "x"}', "{"]


def test_a_metadata_header_that_cannot_be_read_is_refused(service, subtests):
    for header in BAD_HEADERS:
        with subtests.test(header=header):
            response = service.post(picture(1), {"X-Scatterlens-Metadata": header})
            assert response.status_code == 422
            assert service.kept()["files"] == 0


def bomb() -> bytes:
    """2 GiB of zeros in two megabytes: one deflated megabyte, again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = b"{\nDim_1 = 16384 ;\nDim_2 = 32768 ;\nDataType = FloatValue ;\n}\n"
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(7) + start + 2048 * megabyte


REFUSED = {
    "empty": (lambda: b"", 422, "empty"),
    "text": (lambda: b"hello, I am no frame", 415, "unsupported"),
    "zip": (lambda: b"PK\x03\x04" + bytes(100), 415, "unsupported"),
    "one dimension": (lambda: npy(np.arange(100)), 422, "no_image"),
    "pickled npy": (lambda: npy(np.array([{"a": 1}], dtype=object)), 415, "unsupported"),
    "gzipped text": (lambda: gzip.compress(b"hello" * 100), 415, "unsupported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_frame_is_refused_and_leaves_nothing(service, name):
    make, status, type_ = REFUSED[name]
    assert_refused(service.post(make(), filename="a.edf"), status, type_)
    assert set(service.kept().values()) == {0}


def huge_tiff() -> bytes:
    """A header of 40 bytes that promises 2^31 pixels a side."""
    width, height = (struct.pack("<HHII", tag, 4, 1, 2**31 - 1) for tag in (256, 257))
    return b"II*\0\x08\0\0\0\x02\0" + width + height + bytes(4)


@pytest.mark.parametrize("make", [bomb, huge_tiff])
def test_small_files_that_would_grow_end_in_a_typed_verdict(service, work, make):
    started = time.monotonic()
    assert verdict(service, work, make()) == "too_large"
    assert time.monotonic() - started < 40
    assert service.post(picture(1)).status_code == 202


def test_a_truncated_cbf_never_becomes_an_annotation(service, work, large_cbf):
    assert verdict(service, work, large_cbf[: len(large_cbf) // 2]) == "unreadable"


def verdict(service, work, data: bytes) -> str:
    """What the gateway or, where that lets it pass, the worker says of a bad file."""
    response = service.post(data)
    if response.status_code != 202:
        assert set(service.kept().values()) == {0}
        return response.json()["type"]
    work()
    frame_id = response.json()["items"][0]["frame_id"]
    answer = service.get(f"frames/{frame_id}/annotation").json()
    assert answer["state"] == "failed"
    assert answer["attributes"] == []
    return answer["reason"]["type"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Digest": digest(b"other")},
        {"Content-Digest": f"sha-512=:AAAA:, {digest(b'other')}"},
        {"X-Content-SHA256": "0" * 64},
    ],
)
def test_a_wrong_digest_is_refused(service, headers):
    assert_refused(service.post(picture(1), headers), 422, "wrong_digest")
    assert set(service.kept().values()) == {0}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Digest": "sha-256=abc"},
        {"Content-Digest": "sha-256=:AAAA:"},
        {"X-Content-SHA256": "xyz"},
    ],
)
def test_a_digest_that_cannot_be_read_is_refused(service, headers):
    assert_refused(service.post(picture(1), headers), 422, "bad_digest")


def test_other_digest_algorithms_are_passed_over(service):
    assert service.post(picture(1), {"Content-Digest": "md5=:AAAA:"}).status_code == 202


def test_a_body_that_is_too_large_is_refused_by_its_length_or_while_it_comes(open_service):
    service = open_service(max_body_bytes=1000)
    assert_refused(service.post(picture(1)), 413, "too_large")
    chunks = (b"x" * 100 for _ in range(50))  # no Content-Length
    assert_refused(service.http.post("/api/v1/frames", content=chunks), 413, "too_large")
    form = service.http.post("/api/v1/frames", files={"file": picture(1)})
    assert_refused(form, 413, "too_large")
    assert set(service.kept().values()) == {0}


def test_a_full_queue_refuses_for_a_while(open_service):
    service = open_service(max_queue=1)
    assert service.post(picture(1)).status_code == 202
    # It looks at the queue once a second.
    wait_until(lambda: service.http.get("/health/ready").status_code == 503)
    response = service.post(picture(2))
    assert_refused(response, 503, "queue_full")
    assert int(response.headers["retry-after"]) > 0
    assert service.kept()["frames"] == 1


def test_one_refused_file_does_not_refuse_the_others(service):
    good, other = picture(1), picture(2)
    response = service.http.post(
        "/api/v1/frames",
        files=[("file", ("a.npy", good)), ("file", ("b.npy", b"no")), ("file", ("c.npy", other))],
        data={"metadata": '{"sample": "many"}'},
    )
    assert response.status_code == 202
    # A program that goes by the order finds its files.
    assert [one["filename"] for one in response.json()["items"]] == ["a.npy", "b.npy", "c.npy"]
    items = {item["filename"]: item for item in response.json()["items"]}
    assert items["a.npy"]["state"] == items["c.npy"]["state"] == "queued"
    assert items["b.npy"]["frame_id"] is None
    assert items["b.npy"]["error"]["type"] == "unsupported"
    assert service.kept()["files"] == service.kept()["frames"] == 2
    assert service.get(f"frames/{items['a.npy']['frame_id']}").json()["sample"] == "many"


def test_digests_of_a_form_belong_to_its_files_in_order(service):
    files = [("file", ("a.npy", picture(1))), ("file", ("b.npy", picture(2)))]
    sums = [hashlib.sha256(picture(1)).hexdigest(), "0" * 64]
    response = service.http.post("/api/v1/frames", files=files, data={"sha256": sums})
    items = {item["filename"]: item for item in response.json()["items"]}
    assert items["a.npy"]["error"] is None
    assert items["b.npy"]["error"]["type"] == "wrong_digest"
    short = service.http.post("/api/v1/frames", files=files, data={"sha256": sums[:1]})
    assert_refused(short, 422, "bad_form")


def test_a_broken_form_is_a_problem_document(service):
    response = service.post(b"--x\r\nnonsense", {"Content-Type": "multipart/form-data; boundary=x"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"
    response = service.post(b"", {"Content-Type": "multipart/form-data"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_a_stack_gives_one_frame_for_each_image_that_is_asked_for(service):
    stack = npy(np.ones((5, 32, 32), np.int32))
    sha256 = hashlib.sha256(stack).hexdigest()

    def ids(**params):
        return [item["frame_id"] for item in service.post(stack, **params).json()["items"]]

    assert ids(frames="1") == [f"{sha256}.1"]
    assert ids(frames="1:3") == [f"{sha256}.1", f"{sha256}.2"]
    assert ids() == [f"{sha256}.{i}" for i in range(5)]
    assert service.kept()["frames"] == 5
    assert service.kept()["files"] == 1
    assert_refused(service.post(stack, frames="5"), 422, "no_such_frame")


BAD_SELECTIONS = ["-1", "1:1", "3:2", "nan", "1e9", "", "9" * 30, "0:1:2"]


def test_a_choice_of_frames_that_cannot_be_read_is_refused(service, subtests):
    for frames in BAD_SELECTIONS:
        with subtests.test(frames=frames):
            assert_refused(service.post(picture(1), frames=frames), 422, "bad_selection")


def test_more_frames_than_allowed_are_refused_with_the_way_to_send_them(open_service):
    service = open_service(max_frames=3)
    stack = npy(np.ones((5, 32, 32), np.int32))
    problem = assert_refused(service.post(stack), 422, "too_many_frames")
    assert "frames=0:3" in problem["remedy"]
    assert set(service.kept().values()) == {0}


def test_a_stack_of_one_is_a_single_image(service):
    stack = npy(np.ones((1, 32, 32), np.int32))
    item = service.post(stack, frames="0").json()["items"][0]
    assert item["frame_id"] == hashlib.sha256(stack).hexdigest()


def test_an_idempotency_key_belongs_to_one_request(service):
    key = {"Idempotency-Key": "one"}
    assert service.post(picture(1), key).status_code == 202
    assert service.post(picture(1), key).status_code == 200
    before = service.kept()
    assert_refused(service.post(picture(2), key), 422, "idempotency_key_reused")
    assert service.kept() == before


def test_an_unknown_model_is_refused_before_the_body_is_kept(service):
    problem = assert_refused(service.post(picture(1), model="gpt"), 404, "unknown_model")
    assert "linear" in problem["detail"]
    assert set(service.kept().values()) == {0}


def test_a_ledger_that_is_away_is_said_without_its_details(service):
    engine = ledger.open_engine(service.settings.database)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE submissions RENAME TO gone"))
    engine.dispose()
    response = service.post(picture(1))
    problem = assert_refused(response, 503, "ledger_unavailable")
    assert response.headers["retry-after"]
    assert "submissions" not in json.dumps(problem)


def test_a_client_that_goes_away_leaves_nothing(service, live):
    address = live.removeprefix("http://").split(":")
    key = service.http.headers["Authorization"]
    with socket.create_connection((address[0], int(address[1]))) as line:
        line.sendall(
            f"POST /api/v1/frames HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n"
            f"Content-Length: 5000000\r\n\r\n".encode()
        )
        line.sendall(b"\x93NUMPY" + bytes(3_000_000))
        incoming = service.settings.blob_folder / "incoming"
        wait_until(lambda: any(incoming.iterdir()))
    wait_until(lambda: not any(incoming.iterdir()))
    assert set(service.kept().values()) == {0}


def test_a_form_whose_every_file_is_refused_is_an_error_and_says_why_each(service):
    files = [("file", ("a.npy", b"no")), ("file", ("b.npy", b"neither"))]
    problem = assert_refused(service.http.post("/api/v1/frames", files=files), 415, "all_refused")
    assert [item["filename"] for item in problem["items"]] == ["a.npy", "b.npy"]
    assert {item["error"]["type"] for item in problem["items"]} == {"unsupported"}
    alone = assert_refused(service.http.post("/api/v1/frames", files=files[:1]), 415, "unsupported")
    assert alone["items"][0]["error"]["title"] == alone["title"]
    mixed = [*files, ("file", ("empty.npy", b""))]
    assert_refused(service.http.post("/api/v1/frames", files=mixed), 422, "all_refused")
    assert set(service.kept().values()) == {0}


def test_a_known_frame_beside_a_refused_file_is_no_error(service):
    service.post(picture(1))
    files = [("file", ("a.npy", picture(1))), ("file", ("b.npy", b"no"))]
    answer = service.http.post("/api/v1/frames", files=files)
    assert answer.status_code == 202
    assert [item["duplicate"] for item in answer.json()["items"]] == [True, False]


def test_a_file_that_came_as_fields_of_a_web_form_is_refused_with_the_right_line(service):
    """As `curl -d @FILE` sends it: the bytes are not those of the file any more."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = picture(1).replace(b"\n", b"").replace(b"\0", b"")
    problem = assert_refused(service.post(sent, headers), 415, "url_encoded")
    assert "curl -F file=@FILE" in problem["remedy"]
    there = service.http.post("/api/v1/frames?scan=1&sample=a", content=sent, headers=headers)
    line = there.json()["remedy"].partition("`")[2].partition("`")[0]
    assert shlex.split(line)[-1] == "http://testserver/api/v1/frames?scan=1&sample=a"
    answer = service.http.post("/api/v1/models", content=sent, headers=headers)
    assert "curl --data-binary @ZIP" in assert_refused(answer, 415, "url_encoded")["remedy"]
    assert set(service.kept().values()) == {0}


def test_a_document_that_came_as_a_web_form_is_refused_with_the_right_header(service):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("searches", "keys", "training", "session"):
        answer = service.http.post(f"/api/v1/{path}", content=b'{"name": "x"}', headers=headers)
        assert (
            "Content-Type: application/json"
            in assert_refused(answer, 422, "invalid_request")["remedy"]
        )


def send_slowly(live: str, head: str, piece: bytes, pieces: int, pause: float) -> bytes:
    """Open a request, send some of its body piece by piece, and read what is answered."""
    host, port = live.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(head.encode())
        for _ in range(pieces):
            line.sendall(piece)
            if select.select([line], [], [], pause)[0]:
                break
        answer = b""
        while not answer.endswith(b"}"):
            answer += line.recv(2**16)
        return answer


def bodies(key: str) -> dict[str, str]:
    """Heads of requests with a body, on each kind of route."""
    rest = f"Host: x\r\nAuthorization: {key}\r\nContent-Length: 500000\r\n"
    form = "Content-Type: multipart/form-data; boundary=b\r\n"
    part = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return {
        "a file": f"POST /api/v1/frames HTTP/1.1\r\n{rest}\r\n",
        "a form": f"POST /api/v1/frames HTTP/1.1\r\n{rest}{form}\r\n{part}",
        "a bundle": f"POST /api/v1/models HTTP/1.1\r\n{rest}\r\n",
        "a login": f"POST /api/v1/session HTTP/1.1\r\n{rest}Content-Type: application/json\r\n\r\n",
    }


def test_a_body_that_stops_coming_is_told_so_and_not_blamed_on_the_disk(
    service, live, monkeypatch, subtests
):
    monkeypatch.setattr("scatterlens_service.gateway.bodies._SILENCE_SECONDS", 0.2)
    for kind, head in bodies(service.http.headers["Authorization"]).items():
        with subtests.test(kind):
            answer = send_slowly(live, head, b" " * 100, 1, 60)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b'"body_timeout"' in answer
            assert b"disk" not in answer
    assert set(service.kept().values()) == {0}


def test_a_body_that_never_ends_is_cut_off_although_it_is_never_silent_for_long(
    service, live, monkeypatch, subtests
):
    monkeypatch.setattr("scatterlens_service.gateway.bodies._GRACE_SECONDS", 0.3)
    for kind, head in bodies(service.http.headers["Authorization"]).items():
        with subtests.test(kind):
            assert send_slowly(live, head, b" ", 300, 0.02).startswith(b"HTTP/1.1 408 ")


def test_every_route_bounds_its_body(service, subtests):
    """Without a key, too: what is not read costs nothing."""
    document = service.get("openapi.json").json()
    anybody = {"Authorization": ""}
    bounded = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "application/json" not in operation.get("requestBody", {}).get("content", {}):
                continue
            with subtests.test(f"{method} {path}"):
                assert "1,048,576 bytes" in operation["responses"]["413"]["description"]
                sent = b'{"key": "' + b"x" * 2**20 + b'"}'
                for content in (sent, iter([sent])):  # the length told, and not told
                    headers = {**anybody, "Content-Type": "application/json"}
                    answer = service.http.request(method, path, content=content, headers=headers)
                    problem = assert_refused(answer, 413, "too_large")
                    assert "1,048,576" in problem["detail"]
                bounded += 1
    assert bounded > 10


def test_frames_are_refused_and_health_says_so_where_they_cannot_be_kept(service):
    """As root writes wherever rights forbid it, a file stands where the folder should."""
    for folder in (service.settings.blob_folder / "incoming", service.settings.blob_folder):
        shutil.rmtree(folder)
        folder.touch()
        wait_until(lambda: service.http.get("/health/ready").status_code == 507)
        assert_refused(service.http.get("/health/ready"), 507, "storage_failed")
        assert any(
            "No frames are taken" in said for said in service.get("health").json()["problems"]
        )
        assert_refused(service.post(picture(1)), 507, "storage_failed")
        folder.unlink()
        (service.settings.blob_folder / "incoming").mkdir(parents=True)
        wait_until(lambda: service.http.get("/health/ready").status_code == 200)
