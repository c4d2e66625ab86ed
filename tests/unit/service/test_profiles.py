"""Radial and azimuthal profiles as the service gives them."""

import json

import numpy as np
import pytest

from scatterlens_models.frame import Frame
from scatterlens_models.geometry import Geometry
from scatterlens_models.polar import azimuthal, q_of_radius, radial, sum_polar
from support.gateway import npy, picture

TOLD = {
    "distance_m": 0.5,
    "wavelength_m": 1.5e-10,
    "pixel_size_m": [172e-6, 172e-6],
    "beam_center_yx": [60.25, 71.5],
}
GEOMETRY = Geometry(0.5, 1.5e-10, (172e-6, 172e-6), (60.25, 71.5))


@pytest.fixture
def frame() -> Frame:
    image = np.random.default_rng(5).poisson(20, (96, 128)).astype(np.float32)
    mask = np.zeros(image.shape, bool)
    mask[40:44] = True
    mask[55:66, 66:78] = True  # a beamstop: the inner rings have no live pixel
    return Frame(np.where(mask, 0, image), mask, np.zeros_like(mask))


def send(service, frame: Frame, geometry: dict | None = None) -> str:
    body = npy(np.where(frame.mask, -1, frame.image).astype(np.int32))
    files = {"file": ("frame.npy", body)}
    metadata = {"metadata": json.dumps({"geometry": geometry})} if geometry else {}
    return service.http.post("/api/v1/frames", files=files, data=metadata).json()["items"][0][
        "frame_id"
    ]


def ask(service, work, frame_id: str, name: str, **params: object) -> dict:
    pending = service.get(f"frames/{frame_id}/profiles/{name}", **params)
    if pending.status_code == 202:
        work()
    answer = service.get(f"frames/{frame_id}/profiles/{name}", **params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def floats(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values])


def test_a_radial_profile_is_that_of_all_pixels(service, work, frame):
    frame_id = send(service, frame, TOLD)
    work()
    said = ask(service, work, frame_id, "radial")
    sums = sum_polar(frame, GEOMETRY.beam_center_yx)
    expected = radial(sums)
    np.testing.assert_array_equal(floats(said["intensity"]), expected.intensity)
    np.testing.assert_array_equal(floats(said["sigma"]), expected.sigma)
    np.testing.assert_array_equal(said["pixels"], expected.pixels)
    np.testing.assert_allclose(said["q_inv_nm"], q_of_radius(sums.radii, GEOMETRY))
    assert said["center_yx"] == TOLD["beam_center_yx"]
    # Behind the beamstop nothing is live; there the profile begins.
    assert np.isfinite(floats(said["intensity"])).any()


def test_other_ranges_need_no_second_look_at_the_pixels(service, work, frame):
    frame_id = send(service, frame, TOLD)
    work()
    ask(service, work, frame_id, "radial")
    before = service.kept()["jobs"]
    sums = sum_polar(frame, GEOMETRY.beam_center_yx)
    part = ask(service, work, frame_id, "radial", chi_min=90, chi_max=200)
    np.testing.assert_array_equal(part["pixels"], radial(sums, (90, 200)).pixels)
    low, high = q_of_radius(np.array([20.0, 30.0]), GEOMETRY)
    turn = ask(service, work, frame_id, "azimuthal", low=low - 1e-6, high=high + 1e-6)
    expected = azimuthal(sums, (20.0, 30.0))
    np.testing.assert_array_equal(floats(turn["intensity"]), expected.intensity)
    assert turn["q_range_inv_nm"] == pytest.approx([low, high], abs=1e-4)
    assert len(turn["chi_deg"]) == 360
    assert service.kept()["jobs"] == before


def test_without_geometry_rings_lie_around_the_middle_and_have_no_q(service, work, frame):
    frame_id = send(service, frame)
    work()
    said = ask(service, work, frame_id, "radial")
    assert (said["q_inv_nm"], said["geometry"]) == (None, None)
    assert said["center_yx"] == [47.5, 63.5]
    turn = ask(service, work, frame_id, "azimuthal", low=10, high=12)
    assert turn["radius_range_px"] == [10, 12]
    expected = azimuthal(sum_polar(frame, (47.5, 63.5)), (10, 12))
    np.testing.assert_array_equal(turn["pixels"], expected.pixels)


def test_what_cannot_be_is_refused_and_queues_nothing(service, work, frame):
    waiting = service.post(picture(1)).json()["items"][0]["frame_id"]
    refused = service.get(f"frames/{waiting}/profiles/radial")
    assert (refused.status_code, refused.json()["type"]) == (409, "not_annotated")
    far = send(service, frame, {**TOLD, "beam_center_yx": [1e9, 0.0]})
    work()
    before = service.kept()["jobs"]
    for path, params, type_ in (
        (f"{far}/profiles/radial", {}, "beam_center_far_off"),
        (f"{waiting}/profiles/radial", {"chi_min": 30, "chi_max": 10}, "empty_range"),
        (f"{waiting}/profiles/azimuthal", {"low": 3, "high": 1}, "empty_range"),
        (f"{waiting}/profiles/azimuthal", {"low": "nan"}, "invalid_request"),
    ):
        refused = service.get(f"frames/{path}", **params)
        assert refused.status_code == 422, (path, refused.text)
        assert refused.json()["type"] == type_
        assert refused.json()["remedy"]
    assert service.kept()["jobs"] == before
