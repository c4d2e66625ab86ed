"""Several models over one frame: all that they say, how far they agree, where they differ."""

import io
import threading
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from scatterlens.schemas import Reason
from scatterlens_models.overlay import overlay
from scatterlens_models.preprocess import Placement
from scatterlens_service import ledger
from scatterlens_service.comparing.agreement import frame_share, map_overlap, regrid, spread
from scatterlens_worker.drain import drain, work_one_batch
from scatterlens_worker.runtime import Runtime
from support.bundles import make_bundle
from support.gateway import npy, picture

SCALES = {"linear": 1.0, "other": 0.01, "third": 0.02}
VERDICT = Reason(
    type="odd",
    title="Odd",
    detail="In this way.",
    remedy="Do that.",
)


# --- the numbers themselves


def blocks(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Sums over blocks, the grid divided evenly."""
    rows, cols = values.shape[0] // shape[0], values.shape[1] // shape[1]
    return values.reshape(shape[0], rows, shape[1], cols).sum(axis=(1, 3))


def test_a_map_on_another_grid_keeps_its_sum_where_it_was():
    cells = np.random.default_rng(1).random((3, 4))
    finest = np.kron(cells, np.ones((5, 7))) / 35  # 15 x 28 holds both grids
    np.testing.assert_allclose(regrid(cells, (5, 7)), blocks(finest, (5, 7)))
    assert regrid(cells, (5, 7)).sum() == pytest.approx(cells.sum())
    np.testing.assert_allclose(regrid(cells, (3, 4)), cells)


@pytest.mark.parametrize("shape", [(96, 128), (128, 96), (100, 100), (31, 97)])
def test_only_the_part_of_a_cell_inside_the_frame_counts(shape):
    placement = Placement.centered(shape, 64)
    middles = (np.arange(6400) + 0.5) * 64 / 6400 - 0.5
    row, col = placement.network_to_detector(middles, middles)
    inside = np.outer((row > -0.5) & (row < shape[0] - 0.5), (col > -0.5) & (col < shape[1] - 0.5))
    expected = blocks(inside.astype(float), (16, 16)) / 400**2
    np.testing.assert_allclose(frame_share(placement, (16, 16)), expected, atol=0.005)


def test_the_overlap_of_maps_by_hand():
    square = Placement.centered((64, 64), 64)
    left = np.array([[3.0, 1.0], [0.0, -5.0]])
    right = np.array([[2.0, 2.0], [4.0, 0.0]])
    a, b = np.array([0.75, 0.25, 0, 0]), np.array([0.25, 0.25, 0.5, 0])
    expected = 2 * np.minimum(a, b).sum() / (a + b).sum()
    assert map_overlap([left, right], square) == pytest.approx(expected)
    assert map_overlap([left, 100 * right], square) == pytest.approx(expected)
    assert map_overlap([left, left, right], square) == pytest.approx((1 + 2 * expected) / 3)
    assert map_overlap([left, -np.ones((2, 2))], square) is None


def test_maps_of_other_grids_and_inputs_compare_as_the_same_places():
    cells = np.random.default_rng(2).random((8, 8))
    fine = np.kron(cells, np.ones((2, 2)))
    placement = Placement.centered((96, 128), 64)
    assert map_overlap([cells, fine], placement) == pytest.approx(1)
    other = Placement.centered((96, 128), 256)
    assert map_overlap([fine, cells], other) == pytest.approx(1)


def test_evidence_beside_the_frame_counts_nowhere():
    placement = Placement.centered((96, 128), 64)  # rows 2 to 13 of 16 are the frame
    inside = np.zeros((16, 16))
    inside[5, 5] = 1
    beside = np.zeros((16, 16))
    beside[0, 0] = 7
    assert map_overlap([inside, inside + beside], placement) == pytest.approx(1)
    assert map_overlap([inside, beside], placement) is None


def test_the_spread_is_the_standard_deviation_over_models():
    layers = np.random.default_rng(3).random((5, 6, 7)).astype(np.float32)
    np.testing.assert_allclose(spread(iter(layers)), layers.std(axis=0), rtol=1e-5)
    assert spread(np.zeros((2, 3, 3), np.float32)).max() == 0
    assert spread(iter([np.zeros((1, 1)), np.ones((1, 1))])).item() == 0.5


# --- from outside


@pytest.fixture
def several(make_settings, open_service):
    """A gateway with three active bundles: two over one vocabulary, one over another."""
    folder = make_settings().bundle_folder
    make_bundle(folder, "other", size=32, seed=1, map_scale=SCALES["other"])
    make_bundle(
        folder,
        "third",
        size=96,
        seed=2,
        map_scale=SCALES["third"],
        vocabulary_name="experimental20",
    )
    return open_service(active_models=("linear", "other", "third"))


@pytest.fixture
def runtime(several):
    with Runtime(several.settings) as runtime:
        yield runtime


def send(service, body: bytes, **params: object) -> str:
    return service.post(body, **params).json()["items"][0]["frame_id"]


def load(response) -> np.ndarray:
    assert response.status_code == 200, response.text
    return np.load(io.BytesIO(response.content), allow_pickle=False)


def masked_picture() -> bytes:
    image = np.random.default_rng(5).poisson(20, (96, 128)).astype(np.int32)
    image[40:44] = -1
    return npy(image)


def cells_of(service, frame_id: str, model: str, attribute: str) -> np.ndarray:
    path = f"frames/{frame_id}/overlays/{attribute}.npy"
    return load(service.get(path, model=model, space="cells"))


def test_all_models_answer_side_by_side_and_their_agreement_is_that_of_their_answers(
    several, runtime
):
    frame_id = send(several, masked_picture())
    drain(runtime)
    response = several.get(f"frames/{frame_id}/annotations")
    assert response.status_code == 200
    answer = response.json()
    assert answer["frame_id"] == frame_id
    assert [one["model"]["name"] for one in answer["annotations"]] == ["linear", "other", "third"]
    for one in answer["annotations"]:
        alone = several.get(f"frames/{frame_id}/annotation", model=one["model"]["name"])
        assert alone.json() == one

    said = {
        one["model"]["name"]: {a["id"]: a for a in one["attributes"]}
        for one in answer["annotations"]
    }
    first = list(said["linear"])
    wanted = first + [attribute for attribute in said["third"] if attribute not in first]
    agreement = answer["agreement"]
    assert [one["id"] for one in agreement] == wanted
    numbers = set()
    for one in agreement:
        knowing = [model for model in said if one["id"] in said[model]]
        scores = [said[model][one["id"]] for model in knowing]
        found = [score["probability"] for score in scores]
        tagging = [model for model in knowing if said[model][one["id"]]["tag"]]
        assert one["models"] == len(knowing)
        assert one["mean_probability"] == pytest.approx(np.mean(found))
        assert one["spread"] == pytest.approx(max(found) - min(found))
        assert one["tags"] == len(tagging)
        assert one["agree"] == (len(tagging) in (0, len(knowing)))
        maps = [
            # Rows 2 to 13 of the 16 are the frame, the others its padding.
            np.maximum(cells_of(several, frame_id, model, one["id"]), 0)[2:14]
            for model in tagging
        ]
        overlap = None
        if len(maps) > 1 and all(cells.sum() > 0 for cells in maps):
            pairs = combinations([cells / cells.sum() for cells in maps], 2)
            overlap = np.mean([2 * np.minimum(a, b).sum() / (a + b).sum() for a, b in pairs])
        if overlap is None:
            assert one["map_overlap"] is None
        else:
            assert one["map_overlap"] == pytest.approx(overlap, rel=1e-4)
        numbers.add((len(knowing), overlap is not None))
    assert {(1, False), (2, True), (3, True)} <= numbers


def test_until_all_have_decided_it_is_202_with_what_there_is(several, runtime):
    frame_id = send(several, picture(1))
    response = several.get(f"frames/{frame_id}/annotations", wait=0.2)
    assert response.status_code == 202
    assert [one["state"] for one in response.json()["annotations"]] == ["queued"] * 3
    assert response.json()["agreement"] == []
    alone = Runtime(several.settings.model_copy(update={"active_models": ("other",)}))
    with alone:
        work_one_batch(alone)
    response = several.get(f"frames/{frame_id}/annotations")
    assert response.status_code == 202
    assert [one["state"] for one in response.json()["annotations"]] == ["queued", "done", "queued"]
    assert {(one["models"], one["spread"]) for one in response.json()["agreement"]} == {(1, 0)}
    timer = threading.Timer(0.3, drain, [runtime])
    timer.start()
    response = several.get(f"frames/{frame_id}/annotations", wait=20)
    timer.join()
    assert response.status_code == 200
    assert {one["state"] for one in response.json()["annotations"]} == {"done"}


def test_a_model_that_failed_is_told_and_has_no_part_in_the_agreement(several, runtime):
    frame_id = send(several, picture(1))
    version = {s.bundle.name: v for v, s in runtime.sessions.items()}
    with ledger.writing(runtime.engine) as session:
        (job,) = ledger.lease(session, "me", 1, 10.0, versions=[version["other"]])
        ledger.fail(session, job, VERDICT)
    drain(runtime)
    response = several.get(f"frames/{frame_id}/annotations")
    assert response.status_code == 200
    answer = response.json()
    assert [one["state"] for one in answer["annotations"]] == ["done", "failed", "done"]
    assert answer["annotations"][1]["reason"]["remedy"] == "Do that."
    models = {one["id"]: one["models"] for one in answer["agreement"]}
    assert models["ring"] == 2
    assert models["orientation_sharp"] == 1
    assert models["polycrystalline"] == 1


def test_models_added_later_are_told_after_production(several, runtime):
    late = make_bundle(several.settings.bundle_folder, "aaa", seed=9)
    frame_id = send(several, picture(1))
    with ledger.writing(runtime.engine) as session:
        ledger.queue_jobs(session, [frame_id], [ledger.ModelVersion(late.name, late.version)])
    drain(runtime)
    drain(runtime)
    answer = several.get(f"frames/{frame_id}/annotations").json()
    names = [one["model"]["name"] for one in answer["annotations"]]
    assert names == ["linear", "other", "third", "aaa"]
    # The gateway does not know that bundle, and compares it all the same.
    assert {one["id"]: one["models"] for one in answer["agreement"]}["ring"] == 4


def test_one_model_alone_agrees_with_itself(service, work):
    frame_id = send(service, picture(1))
    work()
    for one in service.get(f"frames/{frame_id}/annotations").json()["agreement"]:
        assert (one["models"], one["spread"], one["agree"]) == (1, 0, True)
        assert one["map_overlap"] is None
    refused = service.get(f"frames/{frame_id}/overlays/ring/spread.png")
    assert refused.status_code == 409
    assert refused.json()["type"] == "too_few_models"
    assert "`model=" in refused.json()["remedy"]


def test_the_spread_lies_on_detector_pixels(several, runtime):
    frame_id = send(several, masked_picture())
    drain(runtime)
    found = load(several.get(f"frames/{frame_id}/overlays/ring/spread.npy"))
    assert found.dtype == np.float32
    assert found.shape == (96, 128)
    assert np.isnan(found[40:44]).all()
    layers = [
        np.clip(
            overlay(
                np.maximum(cells_of(several, frame_id, model, "ring"), 0),
                Placement.centered((96, 128), 64),
                np.zeros((96, 128), bool),
            )
            / scale,
            0,
            1,
        )
        for model, scale in SCALES.items()
    ]
    live = np.r_[:40, 44:96]
    np.testing.assert_allclose(found[live], np.std(layers, axis=0)[live], atol=1e-6)
    assert found[live].max() > 0.01


def test_the_picture_of_the_spread_is_coloured_where_models_differ(several, runtime):
    frame_id = send(several, masked_picture())
    drain(runtime)
    path = f"/api/v1/frames/{frame_id}/overlays/ring/spread.png"
    response = several.http.get(path, params={"base": "none", "opacity": 1})
    assert response.headers["content-type"] == "image/png"
    alpha = np.asarray(Image.open(io.BytesIO(response.content)))[..., 3]
    found = load(several.get(f"frames/{frame_id}/overlays/ring/spread.npy"))
    np.testing.assert_allclose(alpha, 255 * np.sqrt(np.nan_to_num(found) / 0.5), atol=1.5)
    assert several.http.get(path).status_code == 200
    held = {"If-None-Match": several.http.get(path).headers["etag"]}
    assert several.http.get(path, headers=held).status_code == 304


def test_a_spread_needs_two_models_that_know_the_attribute(several, runtime, subtests):
    frame_id = send(several, picture(1))
    cases = [
        ("overlays/rings/spread.png", 404, "unknown_attribute", "polycrystalline"),
        ("overlays/ring/spread.npy", 409, "too_few_models", "annotations?wait=10"),
    ]
    for path, status, kind, remedy in cases:
        with subtests.test(path=path):
            response = several.get(f"frames/{frame_id}/{path}")
            assert (response.status_code, response.json()["type"]) == (status, kind)
            assert remedy in response.json()["remedy"]
    drain(runtime)
    response = several.get(f"frames/{frame_id}/overlays/polycrystalline/spread.npy")
    assert (response.status_code, response.json()["type"]) == (409, "too_few_models")
    assert "No other model" in response.json()["remedy"]


def test_what_one_may_not_see_has_no_annotations(several, runtime):
    mine = several.new_key(role="scientist", proposal="P1")
    theirs = several.new_key(role="scientist", proposal="P2")
    frame_id = several.post(picture(1), mine).json()["items"][0]["frame_id"]
    drain(runtime)
    for rest in ("annotations", "overlays/ring/spread.png", "overlays/ring/spread.npy"):
        path = f"/api/v1/frames/{frame_id}/{rest}"
        assert several.http.get(path, headers=mine).status_code == 200
        hidden = several.http.get(path, headers=theirs)
        assert (hidden.status_code, hidden.json()["type"]) == (404, "unknown_frame")
