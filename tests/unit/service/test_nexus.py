"""A frame as a NeXus file, opened as other programs would."""

import io
import json

import h5py
import numpy as np
import pytest

from support.gateway import npy, picture

TOLD = {
    "distance_m": 0.5,
    "wavelength_m": 1.5e-10,
    "pixel_size_m": [172e-6, 100e-6],
    "beam_center_yx": [60.25, 71.5],
}


@pytest.fixture
def image() -> np.ndarray:
    image = np.random.default_rng(5).poisson(20, (96, 128)).astype(np.int32)
    image[40:44] = -1
    return image


def fetch(service, work, frame_id: str) -> h5py.File:
    assert service.get(f"frames/{frame_id}/nexus").status_code == 202
    work()
    answer = service.get(f"frames/{frame_id}/nexus")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-hdf5"
    assert answer.headers["content-disposition"].endswith(".nxs")
    return h5py.File(io.BytesIO(answer.content))


def default_plot(file: h5py.File) -> h5py.Dataset:
    """The dataset that a NeXus viewer shows first, found by `default` and `signal` alone."""
    entry = file[file.attrs["default"]]
    data = entry[entry.attrs["default"]]
    return data[data.attrs["signal"]]


def text(values: h5py.Dataset) -> list[str]:
    return [value.decode() for value in values[()]]


def test_it_holds_the_counts_the_geometry_and_what_was_said(service, work, image):
    params = {"geometry": json.dumps(TOLD), "sample": "AgBH", "motors": '{"th/y": 0.2}'}
    frame_id = service.post(npy(image), **params).json()["items"][0]["frame_id"]
    work()
    said = service.get(f"frames/{frame_id}/annotation").json()
    said_by_person = {"labels": {"ring": {"value": "present", "region": [[1, 2], [3, 4], [5, 2]]}}}
    labelled = service.http.put(f"/api/v1/frames/{frame_id}/labels", json=said_by_person)
    assert labelled.status_code == 200
    with fetch(service, work, frame_id) as file:
        plotted = default_plot(file)
        assert plotted.dtype == np.int32
        np.testing.assert_array_equal(plotted[()], np.maximum(image, 0))
        entry = file["entry"]
        assert entry["definition"][()] == b"NXsas"
        detector = entry["instrument/detector"]
        np.testing.assert_array_equal(detector["pixel_mask"][()] != 0, image < 0)
        assert detector["distance"][()] == 0.5
        assert detector["distance"].attrs["units"] == "m"
        assert (detector["x_pixel_size"][()], detector["y_pixel_size"][()]) == (100e-6, 172e-6)
        assert (detector["beam_center_x"][()], detector["beam_center_y"][()]) == (71.5, 60.25)
        wavelength = entry["instrument/monochromator/wavelength"]
        assert wavelength[()] == pytest.approx(1.5)
        assert wavelength.attrs["units"] == "angstrom"
        assert entry["sample/name"][()] == b"AgBH"
        assert entry["sample/positioners/th_y"][()] == 0.2
        process = entry["annotation_1"]
        assert process.attrs["NX_class"] == "NXprocess"
        assert text(process["attributes"]) == [one["id"] for one in said["attributes"]]
        for name, key in (("probabilities", "probability"), ("thresholds", "threshold")):
            np.testing.assert_array_equal(
                process[name][()], [one[key] for one in said["attributes"]]
            )
        attribute = said["attributes"][0]["id"]
        cells = service.get(f"frames/{frame_id}/overlays/{attribute}.npy", space="cells")
        np.testing.assert_array_equal(
            process["attribute_maps"][0], np.load(io.BytesIO(cells.content))
        )
        labels = entry["labels"]
        assert (text(labels["attribute"]), text(labels["value"])) == (["ring"], ["present"])
        assert json.loads(text(labels["region"])[0]) == [[1, 2], [3, 4], [5, 2]]
        groups: list[str] = []
        file.visititems(
            lambda name, item: (
                groups.append(name)
                if isinstance(item, h5py.Group) and "NX_class" not in item.attrs
                else None
            )
        )
        assert groups == []


def test_counts_that_are_no_whole_numbers_stay_as_they_are(service, work):
    image = np.random.default_rng(1).random((40, 50)).astype(np.float32)
    frame_id = service.post(npy(image)).json()["items"][0]["frame_id"]
    with fetch(service, work, frame_id) as file:
        np.testing.assert_array_equal(default_plot(file)[()], image)
        assert "distance" not in file["entry/instrument/detector"]


def test_who_may_not_see_the_frame_gets_none(service):
    mine = service.new_key(role="scientist", proposal="P1")
    frame_id = service.post(picture(1), mine).json()["items"][0]["frame_id"]
    theirs = service.new_key(role="scientist", proposal="P2")
    url = f"/api/v1/frames/{frame_id}/nexus"
    assert service.http.get(url, headers=theirs).status_code == 404
