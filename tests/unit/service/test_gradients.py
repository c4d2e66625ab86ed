"""Gradient maps: asked for at the gateway, computed once by a worker, drawn from then on."""

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from scatterlens_models.frame import Frame
from scatterlens_models.gradients import GradientSession
from scatterlens_models.overlay import overlay
from scatterlens_models.preprocess import Placement, prepare
from scatterlens_service import ledger
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_worker.drain import drain
from scatterlens_worker.polling import poll_forever
from scatterlens_worker.runtime import Runtime
from support.bundles import make_bundle
from support.gateway import npy, picture
from support.waiting import wait_until

METHODS = ("gradcam", "a_ch", "a_px")


@pytest.fixture
def bundle(make_settings):
    return make_bundle(make_settings().bundle_folder, "steep", size=32, seed=3, gradients=True)


@pytest.fixture
def service(bundle, open_service):
    """Production has no gradients, the second model does."""
    return open_service(active_models=("linear", "steep"))


@pytest.fixture
def runtime(service):
    with Runtime(service.settings) as runtime:
        yield runtime


@pytest.fixture
def image() -> np.ndarray:
    image = np.random.default_rng(5).poisson(20, (96, 128)).astype(np.int32)
    image[40:44] = -1
    return image


@pytest.fixture
def annotated(service, runtime, image) -> str:
    frame_id = service.post(npy(image)).json()["items"][0]["frame_id"]
    drain(runtime)
    return frame_id


def ask(service, frame_id: str, name: str = "gradcam/ring.npy", **params: object):
    return service.get(f"frames/{frame_id}/gradients/{name}", **{"model": "steep", **params})


def load(response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content), allow_pickle=False)


def jobs(service) -> int:
    return service.kept()["jobs"]


def assert_problem(response, status: int, type_: str) -> dict:
    assert response.status_code == status, response.text
    assert response.json()["type"] == type_
    assert response.json()["remedy"]
    return response.json()


def test_the_first_request_has_it_computed_once_and_all_methods_with_it(
    service, runtime, annotated, bundle, image
):
    before = jobs(service)
    for name in ("gradcam/ring.npy", "gradcam/ring.npy", "a_px/ring.png"):
        response = ask(service, annotated, name)
        assert response.status_code == 202
        assert int(response.headers["retry-after"]) > 0
        assert response.headers["content-type"] == "application/json"
        model = {"name": "steep", "version": bundle.version}
        assert response.json() == {"frame_id": annotated, "state": "queued", "model": model}
    assert jobs(service) == before + 1
    drain(runtime)

    mask = image < 0
    frame = Frame(np.where(mask, 0, image).astype(np.float32), mask, np.zeros_like(mask))
    prepared, placement = prepare(frame, bundle.preprocess)
    expected = GradientSession(bundle).maps(prepared[None], bundle.vocabulary.ids.index("ring"))
    for method in METHODS:
        cells = load(ask(service, annotated, f"{method}/ring.npy", space="cells"))
        # Two sessions: the last bits may differ.
        np.testing.assert_allclose(cells, expected[method][0], rtol=1e-4, atol=1e-6)
        assert cells.dtype == np.float32
        spread = load(ask(service, annotated, f"{method}/ring.npy"))
        np.testing.assert_array_equal(spread, overlay(cells, placement, mask))
        assert np.isnan(spread[40:44]).all()
    assert not np.array_equal(expected["gradcam"], expected["a_ch"])
    assert jobs(service) == before + 1
    # The frame itself knows nothing of it.
    assert service.get(f"frames/{annotated}").json()["state"] == "done"


def test_many_that_ask_at_once_make_one_job(service, annotated):
    before = jobs(service)
    threads = [threading.Thread(target=ask, args=(service, annotated)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert jobs(service) == before + 1


def test_a_long_poll_answers_with_the_picture(service, runtime, annotated):
    worker = threading.Thread(target=poll_forever, args=[runtime], daemon=True)
    worker.start()
    started = time.monotonic()
    response = ask(service, annotated, "a_ch/ring.png", wait=20)
    runtime.stop.set()
    worker.join()
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    assert time.monotonic() - started < 10


def test_a_picture_reaches_full_colour_at_its_own_maximum(service, runtime, annotated):
    attribute = shown_attribute(service, runtime, annotated)
    response = ask(service, annotated, f"gradcam/{attribute}.png", base="none", opacity=1)
    alpha = np.asarray(Image.open(io.BytesIO(response.content)))[..., 3]
    assert alpha.shape == (96, 128)
    assert alpha.max() > 240  # the numbers are of the order of 1e-8
    assert (alpha[40:44] == 0).all()
    path = f"gradcam/{attribute}.png"
    first = ask(service, annotated, path)
    held = {"If-None-Match": first.headers["etag"]}
    url = f"/api/v1/frames/{annotated}/gradients/{path}?model=steep"
    assert service.http.get(url, headers=held).status_code == 304


def shown_attribute(service, runtime, frame_id: str) -> str:
    """An attribute whose map is not dark."""
    for attribute in service.get("attributes").json():
        ask(service, frame_id, f"gradcam/{attribute['id']}.npy")
        drain(runtime)
        if load(ask(service, frame_id, f"gradcam/{attribute['id']}.npy", space="cells")).any():
            return attribute["id"]
    raise AssertionError("all maps are dark")


def test_a_map_that_is_dark_everywhere_is_a_picture_too(service, runtime, annotated):
    for attribute in service.get("attributes").json():
        ask(service, annotated, f"gradcam/{attribute['id']}.npy")
    drain(runtime)
    dark = 0
    for attribute in service.get("attributes").json():
        cells = load(ask(service, annotated, f"gradcam/{attribute['id']}.npy", space="cells"))
        dark += not cells.any()
        assert ask(service, annotated, f"gradcam/{attribute['id']}.png").status_code == 200
    assert dark


def test_what_cannot_be_is_refused_with_what_can(service, annotated, bundle):
    before = jobs(service)
    rings = assert_problem(ask(service, annotated, "gradcam/rings.npy"), 404, "unknown_attribute")
    assert "ring" in rings["known"]
    unknown = assert_problem(ask(service, annotated, "lime/ring.png"), 404, "unknown_gradient_map")
    assert unknown["known"] == list(METHODS)
    without = assert_problem(ask(service, annotated, model="linear"), 404, "no_gradients")
    assert f"steep@{bundle.version}" in without["remedy"]
    assert_problem(ask(service, annotated, model="gpt"), 404, "unknown_model")
    assert ask(service, annotated, wait="nan").status_code == 422
    assert ask(service, annotated, space="moon").status_code == 422
    assert jobs(service) == before
    models = {one["name"]: one["gradient_maps"] for one in service.get("models").json()}
    assert (models["linear"], models["steep"]) == ([], list(METHODS))


def test_where_no_model_has_gradients_the_remedy_is_another_bundle(open_service):
    service = open_service()
    frame_id = service.post(picture(1)).json()["items"][0]["frame_id"]
    refused = assert_problem(ask(service, frame_id, model="linear"), 404, "no_gradients")
    able = [one["name"] for one in service.get("models").json() if one["gradient_maps"]]
    assert [known.split("@")[0] for known in refused["known"]] == able


def test_a_frame_that_is_not_annotated_has_no_gradients_and_gets_no_job(service):
    frame_id = service.post(picture(1)).json()["items"][0]["frame_id"]
    before = jobs(service)
    assert_problem(ask(service, frame_id), 409, "not_annotated")
    assert jobs(service) == before


def test_a_viewer_may_ask_and_who_may_not_see_makes_no_job(service, runtime):
    mine = service.new_key(role="scientist", proposal="P1")
    frame_id = service.post(picture(1), mine).json()["items"][0]["frame_id"]
    drain(runtime)
    before = jobs(service)
    url = f"/api/v1/frames/{frame_id}/gradients/gradcam/ring.npy?model=steep"
    theirs = service.new_key(role="scientist", proposal="P2")
    assert_problem(service.http.get(url, headers=theirs), 404, "unknown_frame")
    sender = service.new_key(role="scientist", scopes=["frames:write"])
    assert_problem(service.http.get(url, headers=sender), 403, "missing_scope")
    assert jobs(service) == before
    viewer = service.new_key(role="viewer", proposal="P1")
    assert service.http.get(url, headers=viewer).status_code == 202
    assert jobs(service) == before + 1


def test_a_full_queue_takes_no_pictures_either(bundle, open_service):
    service = open_service(active_models=("steep",), max_queue=1)
    with Runtime(service.settings) as runtime:
        frame_id = service.post(picture(1)).json()["items"][0]["frame_id"]
        drain(runtime)

        def is_ready(wanted: int) -> bool:
            return service.http.get("/health/ready").status_code == wanted

        # The queue is looked at once a second.
        wait_until(lambda: is_ready(200))
        service.post(picture(2))
        wait_until(lambda: is_ready(503))
        refused = ask(service, frame_id)
        assert_problem(refused, 503, "queue_full")
        assert refused.headers["retry-after"]
        drain(runtime)
        wait_until(lambda: is_ready(200))
        assert ask(service, frame_id).status_code == 202
        # What is queued already is not refused, however full the queue is.
        service.post(picture(3))
        wait_until(lambda: is_ready(503))
        assert ask(service, frame_id).status_code == 202


def events(runtime) -> list[str]:
    with ledger.reading(runtime.engine) as session:
        return [event.kind for event in ledger.events_after(session, 0)]


def test_a_file_damaged_since_fails_the_picture_and_not_the_frame(service, runtime, annotated):
    before = events(runtime)
    path = BlobFolder(service.settings.blob_folder).path(annotated)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert ask(service, annotated).status_code == 202
    drain(runtime)
    said = assert_problem(ask(service, annotated), 409, "wrong_digest")
    assert (said["frame_id"], said["state"]) == (annotated, "failed")
    assert service.get(f"frames/{annotated}/annotation").json()["state"] == "done"
    assert service.get(f"frames/{annotated}/annotations").status_code == 200
    assert events(runtime) == before


def test_a_file_that_kills_its_reader_is_quarantined_the_second_time(service, runtime, annotated):
    before = events(runtime)
    runtime.decoder.limits = type(runtime.decoder.limits)(memory_bytes=1 << 20)
    assert ask(service, annotated).status_code == 202
    drain(runtime)
    response = ask(service, annotated, wait=5)
    assert response.status_code == 409
    assert response.json()["state"] == "quarantined"
    assert response.json()["type"] in ("decode_crashed", "decode_memory")
    assert service.get(f"frames/{annotated}").json()["state"] == "done"
    assert events(runtime) == before


def test_placements_of_the_picture_are_those_of_the_model(service, runtime, annotated, bundle):
    ask(service, annotated)
    drain(runtime)
    cells = load(ask(service, annotated, space="cells"))
    spread = load(ask(service, annotated))
    placement = Placement.centered((96, 128), bundle.preprocess.size)
    np.testing.assert_array_equal(
        spread[:40], overlay(cells, placement, np.zeros((96, 128), bool))[:40]
    )
