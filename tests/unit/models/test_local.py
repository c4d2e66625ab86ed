"""Annotation without a gateway, in the words of the gateway."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from scatterlens_models import local
from scatterlens_models.bundle import BundleError
from scatterlens_models.local import LocalAnnotator, SelectionError
from support.bundles import make_bundle
from support.detector_files import COUNTS, edf, npy

DATA = Path(__file__).parents[2] / "data"
FRAME = DATA / "swaxsdcr__b_tassone_Standards_LaB6_T20_ctr0_scan1_0000.cbf"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    make_bundle(folder / "bundles")
    return folder


@pytest.fixture(scope="module")
def annotator(home: Path) -> Iterator[LocalAnnotator]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCATTERLENS_HOME", str(home))
        found = LocalAnnotator("linear")
    with found:
        yield found


def stack_file(folder: Path) -> Path:
    path = folder / "stack.npy"
    path.write_bytes(npy(np.stack([COUNTS, 2 * COUNTS, 3 * COUNTS])))
    return path


def test_a_real_frame_is_answered_in_the_wire_shape(annotator):
    (one,) = annotator.annotate(FRAME)
    said = one.said
    assert said.frame_id == hashlib.sha256(FRAME.read_bytes()).hexdigest()
    assert said.state == "done"
    assert len(said.attributes) == 20
    assert set(said.timings_ms) >= {"decode", "prepare", "infer"}


def test_overlays_lie_on_detector_pixels(annotator):
    (one,) = annotator.annotate(FRAME)
    spread = one.overlay("ring")
    assert spread.shape == one.frame.image.shape
    assert spread.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(spread), one.frame.mask)


@pytest.mark.parametrize(
    ("frames", "indices"),
    [(None, [0]), ("1", [1]), ("1:3", [1, 2]), ("all", [0, 1, 2]), ("2:99", [2])],
)
def test_frames_of_a_stack_are_chosen_and_named_by_index(annotator, frames, indices, tmp_path):
    path = stack_file(tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    found = annotator.annotate(path, frames)
    assert [one.said.frame_id for one in found] == [f"{digest}.{index}" for index in indices]
    for one, index in zip(found, indices, strict=True):
        np.testing.assert_array_equal(one.frame.image, (index + 1) * COUNTS)


def test_a_frame_beyond_the_stack_is_a_verdict(annotator, tmp_path):
    (one,) = annotator.annotate(stack_file(tmp_path), "3")
    said = one.said
    assert (said.state, said.reason.type) == ("failed", "no_image")


@pytest.mark.parametrize("frames", ["first", "3:2", "-1", "1:"])
def test_an_unreadable_choice_of_frames_says_how_to_write_it(annotator, frames, tmp_path):
    with pytest.raises(SelectionError, match="write all, i, or i:j"):
        annotator.annotate(stack_file(tmp_path), frames)


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"", "empty"), (b"nothing known", "unsupported"), (edf()[:2000], "unreadable")],
)
def test_a_refused_file_is_an_answer_with_its_reason(annotator, data, kind, tmp_path):
    path = tmp_path / "frame.edf"
    path.write_bytes(data)
    (one,) = annotator.annotate(path)
    said = one.said
    assert (said.state, said.reason.type) == ("failed", kind)
    assert said.reason.remedy
    with pytest.raises(ValueError, match="no overlay"):
        one.overlay("ring")


def test_a_missing_file_is_the_callers_to_handle(annotator, tmp_path):
    with pytest.raises(FileNotFoundError):
        annotator.annotate(tmp_path / "nowhere.cbf")


def test_an_unknown_model_names_those_that_exist(home, monkeypatch):
    monkeypatch.setenv("SCATTERLENS_HOME", str(home))
    with pytest.raises(BundleError, match="linear"):
        LocalAnnotator("nonexistent")


def test_the_model_stays_loaded_between_files(home, monkeypatch):
    monkeypatch.setenv("SCATTERLENS_HOME", str(home))
    first = local.annotate(FRAME, None, "linear")
    before = local._shared.cache_info().hits
    second = local.annotate(FRAME, "all", "linear")
    assert first[0]["attributes"] == second[0]["attributes"]
    assert local._shared.cache_info().hits == before + 1
    local._shared("linear").close()
    local._shared.cache_clear()
