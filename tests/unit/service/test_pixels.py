"""Full-resolution pixels: read by a worker once, sent as they are kept from then on."""

import gzip
import io
import os
import time

import numpy as np
import pytest

from scatterlens_service.keeping.blobs import BlobFolder
from support.gateway import npy, picture


@pytest.fixture
def image() -> np.ndarray:
    image = np.random.default_rng(5).poisson(20, (96, 128)).astype(np.int32)
    image[40:44] = -1
    image[3, 7] = 1 << 20
    return image


def send(service, body: bytes) -> str:
    return service.post(body).json()["items"][0]["frame_id"]


def ask(service, frame_id: str, headers: dict[str, str] | None = None, **params: object):
    url = f"/api/v1/frames/{frame_id}/pixels.npy"
    return service.http.get(url, headers=headers or {}, params=params)


def test_every_pixel_is_given_as_it_was_sent_and_masked_ones_as_nan(service, work, image):
    frame_id = send(service, npy(image))
    waiting = ask(service, frame_id)
    assert waiting.status_code == 202
    assert waiting.json() == {"frame_id": frame_id, "state": "queued", "model": None}
    before = service.kept()["jobs"]
    assert ask(service, frame_id).status_code == 202
    work()
    given = ask(service, frame_id)
    assert given.status_code == 200
    pixels = np.load(io.BytesIO(given.content), allow_pickle=False)
    assert pixels.dtype == np.float32
    np.testing.assert_array_equal(pixels, np.where(image < 0, np.nan, image))
    assert service.kept()["jobs"] == before


def test_it_is_compressed_for_those_who_can_read_that_and_plain_for_others(service, work, image):
    frame_id = send(service, npy(image))
    ask(service, frame_id)
    work()
    with service.http.stream(
        "GET", f"/api/v1/frames/{frame_id}/pixels.npy", headers={"Accept-Encoding": "br, gzip"}
    ) as response:
        assert response.headers["content-encoding"] == "gzip"
        packed = b"".join(response.iter_raw())
    plain = ask(service, frame_id, {"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(packed) == plain.content
    assert len(packed) < len(plain.content) / 2
    for refusing in ("gzip;q=0", "br"):
        assert (
            "content-encoding" not in ask(service, frame_id, {"Accept-Encoding": refusing}).headers
        )


def test_a_browser_keeps_it_without_asking_again_and_may_ask_cheaply(service, work):
    frame_id = send(service, picture(1))
    assert ask(service, frame_id).headers["cache-control"] == "no-store"
    work()
    first = ask(service, frame_id)
    assert "immutable" in first.headers["cache-control"]
    assert "private" in first.headers["cache-control"]
    again = ask(service, frame_id, {"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = send(service, picture(2))
    ask(service, other)
    work()
    assert ask(service, other).headers["etag"] != first.headers["etag"]


def test_pixels_that_nobody_used_for_long_are_removed_and_read_anew(service, open_service, work):
    sent = [send(service, picture(seed)) for seed in range(3)]
    for frame_id in sent:
        ask(service, frame_id)
    work()
    first = {frame_id: ask(service, frame_id) for frame_id in sent}
    annotated = service.kept()["files"]
    kept = sorted(service.settings.render_folder.glob("??/*"))
    assert len(kept) == 3
    for path in kept:
        os.utime(path, (1, 1))
    assert ask(service, sent[1]).status_code == 200  # used now
    room_for_one = max(path.stat().st_size for path in kept)
    open_service(max_render_bytes=room_for_one, sweep_seconds=0.02)
    ends = time.monotonic() + 60
    while len(list(service.settings.render_folder.glob("??/*"))) > 1:
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert ask(service, sent[1]).status_code == 200
    assert ask(service, sent[0]).status_code == 202
    work()
    assert ask(service, sent[0]).content == first[sent[0]].content
    assert (
        ask(service, sent[2], {"If-None-Match": first[sent[2]].headers["etag"]}).json()["state"]
        == "queued"
    )
    assert service.kept()["files"] == annotated


def test_a_file_damaged_since_is_told_with_its_remedy(service, work):
    frame_id = send(service, picture(1))
    path = BlobFolder(service.settings.blob_folder).path(frame_id)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    ask(service, frame_id)
    work()
    refused = ask(service, frame_id)
    assert refused.status_code == 409
    assert refused.json()["type"] == "wrong_digest"
    assert refused.json()["remedy"]


def test_who_may_not_see_the_frame_has_nothing_read(service):
    mine = service.new_key(role="scientist", proposal="P1")
    frame_id = service.post(picture(1), mine).json()["items"][0]["frame_id"]
    before = service.kept()["jobs"]
    theirs = service.new_key(role="scientist", proposal="P2")
    assert ask(service, frame_id, theirs).status_code == 404
    assert service.kept()["jobs"] == before
