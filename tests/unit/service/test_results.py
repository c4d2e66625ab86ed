"""Reading results: annotations, pictures, arrays, lists, streams."""

import io
import json
import threading
import time

import numpy as np
import pytest
from PIL import Image

from scatterlens.schemas import AttributeResult
from scatterlens_models.bundle import load_bundle, seal_bundle
from scatterlens_models.overlay import overlay
from scatterlens_models.preprocess import Placement
from scatterlens_models.stored import StoredAnnotation, pack, unpack
from scatterlens_service import ledger
from scatterlens_service.keeping.blobs import BlobFolder
from support.gateway import npy, picture


@pytest.fixture
def annotated(service, work):
    """Id of one annotated frame of noise, 96 x 128, with a masked band."""
    image = np.random.default_rng(5).poisson(20, (96, 128)).astype(np.int32)
    image[40:44] = -1
    frame_id = service.post(npy(image), filename="a.npy").json()["items"][0]["frame_id"]
    work()
    return frame_id


@pytest.fixture
def stored(service, annotated):
    """The arrays that the worker kept."""
    bundle = load_bundle(service.settings.bundle_folder / "linear")
    engine = ledger.open_engine(service.settings.database)
    with ledger.reading(engine) as session:
        found = ledger.get_annotation(session, annotated, bundle.version)
    engine.dispose()
    return unpack(BlobFolder(service.settings.blob_folder).read(found.blob))


def load(response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content), allow_pickle=False)


def load_png(response) -> np.ndarray:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.content)))


def test_an_annotation_says_what_the_model_sees(service, annotated):
    response = service.get(f"frames/{annotated}/annotation")
    assert response.status_code == 200
    answer = response.json()
    assert answer["state"] == "done"
    assert answer["model"]["name"] == "linear"
    assert len(answer["attributes"]) == 20
    assert all(a["tag"] == (a["probability"] >= a["threshold"]) for a in answer["attributes"])
    assert answer["mask_fraction"] == pytest.approx(4 / 96)
    detail = service.get(f"frames/{annotated}").json()
    assert detail["shape"] == [96, 128]
    assert detail["models"] == [answer["model"]]
    assert detail["tags"] == [a["id"] for a in answer["attributes"] if a["tag"]]


def test_a_frame_that_is_not_decided_is_202_and_has_no_pictures(service):
    frame_id = service.post(picture(1)).json()["items"][0]["frame_id"]
    response = service.get(f"frames/{frame_id}/annotation", wait=0.3)
    assert response.status_code == 202
    assert response.json()["state"] == "queued"
    refused = service.get(f"frames/{frame_id}/preview.png")
    assert refused.status_code == 409
    assert refused.json()["type"] == "not_annotated"


def test_a_long_poll_answers_as_soon_as_the_worker_has(service, work):
    frame_id = service.post(picture(1)).json()["items"][0]["frame_id"]
    timer = threading.Timer(0.5, work)
    timer.start()
    started = time.monotonic()
    response = service.get(f"frames/{frame_id}/annotation", wait=20)
    assert response.status_code == 200
    assert response.json()["state"] == "done"
    assert 0.4 < time.monotonic() - started < 10
    timer.join()


def test_a_failed_frame_is_an_answer_with_its_reason(service, work):
    cut = npy(np.ones((64, 64), np.int32))[:-100]
    response = service.post(cut)
    if response.status_code == 422:
        assert response.json()["remedy"]
        return
    frame_id = response.json()["items"][0]["frame_id"]
    work()
    answer = service.get(f"frames/{frame_id}/annotation")
    assert answer.status_code == 200
    assert answer.json()["state"] == "failed"
    assert answer.json()["reason"]["remedy"]


def test_an_overlay_array_lies_on_detector_pixels(service, annotated, stored):
    found = load(service.get(f"frames/{annotated}/overlays/ring.npy"))
    assert found.shape == (96, 128)
    assert found.dtype == np.float32
    assert np.isnan(found[40:44]).all()
    assert np.isfinite(found[:40]).all()
    expected = overlay(stored.attribute_maps[4], stored.placement, stored.mask)
    np.testing.assert_array_equal(found, expected)
    cells = load(service.get(f"frames/{annotated}/overlays/ring.npy", space="cells"))
    np.testing.assert_array_equal(cells, stored.attribute_maps[4].astype(np.float32))


def test_a_preview_array_has_counts_and_no_masked_ones(service, annotated):
    counts = load(service.get(f"frames/{annotated}/preview.npy"))
    image = np.random.default_rng(5).poisson(20, (96, 128))
    live = np.ones((96, 128), bool)
    live[40:44] = False
    assert np.isnan(counts[~live]).all()
    np.testing.assert_allclose(counts[live], image[live], rtol=0.01)


def test_masked_pixels_are_neutral_in_every_picture(service, annotated):
    for path in (
        "preview.png?scale=log&colormap=viridis",
        "preview.png?scale=sqrt",
        "preview.png?scale=linear",
        "overlays/ring.png?opacity=1",
    ):
        pixels = load_png(service.http.get(f"/api/v1/frames/{annotated}/{path}"))
        assert pixels.shape == (96, 128, 3)
        band = pixels[40:44].reshape(-1, 3)
        assert (band == band[0]).all(), path
        assert not (pixels[60] == band[0]).all(axis=-1).any(), path


def test_a_layer_is_transparent_where_the_map_is_silent_or_masked(service, annotated, stored):
    pixels = load_png(service.get(f"frames/{annotated}/overlays/ring.png", base="none", opacity=1))
    assert pixels.shape == (96, 128, 4)
    spread = overlay(np.maximum(stored.attribute_maps[4], 0), stored.placement, stored.mask)
    assert (pixels[np.isnan(spread)][:, 3] == 0).all()
    assert (pixels[spread == 0][:, 3] == 0).all()
    assert (pixels[spread > 0.1][:, 3] > 0).all()


def test_opacity_nought_shows_the_frame_alone(service, annotated):
    bare = load_png(service.get(f"frames/{annotated}/preview.png"))
    faint = load_png(service.get(f"frames/{annotated}/overlays/ring.png", opacity=0))
    np.testing.assert_array_equal(bare, faint)


def test_pictures_get_smaller_when_asked_to(service, annotated):
    assert load_png(service.get(f"frames/{annotated}/preview.png", size=64)).shape == (48, 64, 3)


def test_an_unknown_attribute_names_the_known_ones(service, annotated):
    response = service.get(f"frames/{annotated}/overlays/rings.png")
    assert response.status_code == 404
    problem = response.json()
    assert problem["type"] == "unknown_attribute"
    assert "ring" in problem["known"]
    assert "symmetry_6" in problem["remedy"]


def test_a_model_without_attention_maps_says_so(service, annotated):
    response = service.get(f"frames/{annotated}/attention/scale_1.png")
    assert response.status_code == 404
    assert response.json()["type"] == "unknown_attention_map"


def test_what_the_caller_holds_already_is_not_sent_again(service, annotated):
    path = f"/api/v1/frames/{annotated}/overlays/ring.png"
    first = service.http.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"].startswith("private")
    again = service.http.get(path, headers={"If-None-Match": f'"other", W/{etag}'})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == etag
    other = service.http.get(path, params={"opacity": 0.1}, headers={"If-None-Match": etag})
    assert other.status_code == 200
    raw = service.get(f"frames/{annotated}/raw")
    held = {"If-None-Match": raw.headers["etag"]}
    assert service.http.get(f"/api/v1/frames/{annotated}/raw", headers=held).status_code == 304


OUT_OF_RANGE = [
    "annotation?wait=nan",
    "annotation?wait=inf",
    "annotation?wait=-1",
    "annotation?wait=1e300",
    "overlays/ring.png?opacity=nan",
    "overlays/ring.png?opacity=-1",
    "overlays/ring.png?opacity=inf",
    "overlays/ring.png?colormap=jet",
    "overlays/ring.png?scale=cubic",
    "preview.png?size=0",
    "preview.png?size=9223372036854775808",
    "overlays/ring.npy?space=moon",
]


def test_values_out_of_their_range_are_refused(service, annotated, subtests):
    for path in OUT_OF_RANGE:
        with subtests.test(path=path):
            response = service.http.get(f"/api/v1/frames/{annotated}/{path}")
            assert response.status_code == 422
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["errors"][0]["where"]


NO_FRAMES = ["0" * 64, "x", "0" * 64 + ".1", "%00", "..%2f..%2fetc", "0" * 64 + ".99999999999"]


def test_a_frame_that_does_not_exist_is_404(service, subtests):
    for frame_id in NO_FRAMES:
        with subtests.test(frame_id=frame_id):
            for rest in ("", "/annotation", "/raw", "/preview.png", "/overlays/ring.npy"):
                response = service.http.get(f"/api/v1/frames/{frame_id}{rest}")
                assert response.status_code == 404
                assert response.headers["content-type"] == "application/problem+json"


def test_lists_are_paged_newest_first_and_filtered(service, work):
    ids = [
        service.post(picture(i), sample=f"s{i}", scan=str(i % 2)).json()["items"][0]["frame_id"]
        for i in range(5)
    ]
    work()
    seen, cursor = [], None
    while True:
        page = service.get("frames", limit=2, **({"cursor": cursor} if cursor else {})).json()
        seen += [item["frame_id"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == ids[::-1]
    assert [i["sample"] for i in service.get("frames", scan="1").json()["items"]] == ["s3", "s1"]
    assert len(service.get("frames", state="done").json()["items"]) == 5
    assert service.get("frames", since="2100-01-01T00:00:00").json()["items"] == []

    annotations = {i: service.get(f"frames/{i}/annotation").json() for i in ids}
    ring = {i: a["attributes"][4]["probability"] for i, a in annotations.items()}
    middle = sorted(ring.values())[2]
    found = service.get("frames", tag=f"ring>{middle}").json()["items"]
    assert {f["frame_id"] for f in found} == {i for i, p in ring.items() if p > middle}
    rest = service.http.get("/api/v1/frames", params={"not": f"ring>{middle}"}).json()["items"]
    assert {f["frame_id"] for f in rest} == {i for i, p in ring.items() if p <= middle}


BAD_FILTERS = [
    "tag=ring>2",
    "tag=ring>nan",
    "tag=rings",
    "tag=ring>>1",
    "not=ring%3E",
    "cursor=nonsense",
    "cursor=YmVmb3JlOjk5OTk5OTk5OTk5OTk5OTk5OTk5",
    "cursor=%00",
    "limit=0",
    "limit=-1",
    "limit=501",
    "limit=nan",
    "since=yesterday",
    "since=1e300",
    "since=inf",
    "state=nice",
    "scan=%00",
    "model=gpt",
]


def test_filters_that_cannot_be_are_refused(service, subtests):
    for query in BAD_FILTERS:
        with subtests.test(query=query):
            for path in ("frames", "annotations.ndjson"):
                if path != "frames" and query.split("=")[0] in ("cursor", "limit"):
                    continue
                response = service.http.get(f"/api/v1/{path}?{query}")
                assert response.status_code in (404, 422), response.text
                assert response.headers["content-type"] == "application/problem+json"
                assert response.json()["remedy"]


def test_annotations_stream_as_one_json_document_on_each_line(service, work):
    ids = [service.post(picture(i)).json()["items"][0]["frame_id"] for i in range(3)]
    work()
    service.post(picture(9))  # not decided: not told
    response = service.get("annotations.ndjson")
    assert response.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert [line["frame_id"] for line in lines] == ids[::-1]
    assert lines[0] == service.get(f"frames/{ids[2]}/annotation").json()


def test_attributes_and_models_are_told(service):
    attributes = service.get("attributes").json()
    assert [a["id"] for a in attributes][:2] == ["diffuse_low_q", "diffuse_high_q"]
    assert all(a["definition"] for a in attributes)
    models = {model["name"]: model for model in service.get("models").json()}
    assert models["linear"]["active"]
    assert models["linear"]["production"]
    assert not models["slim-aam"]["active"]  # shipped, but not chosen here
    assert (
        models["slim-aam"]["metrics"]["mean_ap"]
        > models["slim-aam"]["metrics"]["benchmark"]["base_rate"]
    )


def test_health_tells_which_provider_runs(service):
    assert "No worker" in service.get("health").json()["problems"][0]
    service.post(picture(1))
    engine = ledger.open_engine(service.settings.database)
    report = ledger.WorkerReport("gpu-1", "cuda", "CPUExecutionProvider", ())
    with ledger.writing(engine) as session:
        ledger.heartbeat(session, report, [], 10.0)
    engine.dispose()
    health = service.get("health").json()
    assert health["queued"] == 1
    assert health["status"] == "degraded"
    assert any("gpu-1" in p and "CPUExecutionProvider" in p for p in health["problems"])
    assert service.http.get("/health/live", headers={"Authorization": ""}).status_code == 200
    assert service.http.get("/health/ready", headers={"Authorization": ""}).status_code == 200


def test_a_large_frame_goes_all_the_way(service, work, large_cbf):
    frame_id = service.post(large_cbf, filename="a.cbf", scan="1").json()["items"][0]["frame_id"]
    work()
    answer = service.get(f"frames/{frame_id}/annotation").json()
    assert answer["state"] == "done"
    assert load(service.get(f"frames/{frame_id}/overlays/halo.npy")).shape == (1679, 1475)
    pixels = load_png(service.get(f"frames/{frame_id}/overlays/halo.png"))
    assert pixels.shape == (840, 738, 3)
    assert service.get(f"frames/{frame_id}/raw").content == large_cbf


def test_attention_maps_are_drawn_where_a_method_has_them(make_settings, open_service):
    folder = make_settings().bundle_folder / "linear"
    content = json.loads((folder / "bundle.json").read_text())
    content |= {"attention_names": ["spatial_1", "spatial_2"]}
    seal_bundle(folder, {k: v for k, v in content.items() if k not in ("format", "files")})
    service = open_service()
    frame_id = service.post(picture(1)).json()["items"][0]["frame_id"]
    maps = np.random.default_rng(0).random((2, 8, 8)).astype(np.float16)
    complete(service, stored_with_attention(maps))
    assert service.get("models").json()[0]["attention_names"] == ["spatial_1", "spatial_2"]
    cells = load(service.get(f"frames/{frame_id}/attention/spatial_2.npy", space="cells"))
    np.testing.assert_array_equal(cells, maps[1].astype(np.float32))
    assert load(service.get(f"frames/{frame_id}/attention/spatial_2.npy")).shape == (96, 128)
    assert load_png(service.get(f"frames/{frame_id}/attention/spatial_2.png")).shape == (96, 128, 3)


def stored_with_attention(maps: np.ndarray) -> StoredAnnotation:
    shape = (96, 128)
    return StoredAnnotation(
        attribute_maps=np.zeros((20, 8, 8), np.float16),
        attention_maps=maps,
        features=np.zeros(2, np.float16),
        preview=np.full(shape, 0.3, np.float16),
        preview_mask=np.zeros(shape, bool),
        mask=np.zeros(shape, bool),
        placement=Placement.centered(shape, 64),
    )


def complete(service, stored: StoredAnnotation) -> None:
    """Answer the only job, as a worker would."""
    blob = BlobFolder(service.settings.blob_folder).put_bytes(pack(stored))
    answer = ledger.NewAnnotation(
        [AttributeResult(id="ring", probability=0.5, threshold=0.5, tag=True)],
        0.1,
        0.0,
        {},
        "none",
        blob,
        (96, 128),
        {},
        None,
    )
    engine = ledger.open_engine(service.settings.database)
    with ledger.writing(engine) as session:
        (job,) = ledger.lease(session, "me", 1, 10.0)
        assert ledger.complete(session, job, answer)
    engine.dispose()
