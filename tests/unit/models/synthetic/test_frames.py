"""Simulated detector files: what is written is what is read, and what the truth says."""

import json
import subprocess
import sys

import numpy as np
import pyFAI
import pytest
from typer.testing import CliRunner

from scatterlens_models.decoding.decode import decode_frame
from scatterlens_models.frame import Frame
from scatterlens_models.geometry import parse_poni
from scatterlens_models.preprocess import PreprocessSpec, prepare
from scatterlens_models.synthetic.commands import synth
from scatterlens_models.synthetic.dataset import simulate
from scatterlens_models.synthetic.detectability import judge
from scatterlens_models.synthetic.frames import WRITERS, expose, write_frames
from scatterlens_models.synthetic.render import render, render_native
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.vocabulary import load_vocabulary

SEED = 3
INDICES = range(140, 241, 100)
"""A Pilatus 1M, and a turned Pilatus 100k."""


@pytest.fixture(scope="module")
def exposures():
    vocabulary = load_vocabulary("aam20")
    return [expose(sample(SEED, index), vocabulary) for index in INDICES]


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_service_reads_what_was_written(suffix, exposures, tmp_path):
    for path, made in zip(write_frames(tmp_path, SEED, INDICES, suffix), exposures, strict=True):
        frame = decode_frame(path.read_bytes())
        live = made.counts >= 0
        np.testing.assert_array_equal(frame.mask, ~live)
        np.testing.assert_array_equal(frame.image[live], made.counts[live])
        written = parse_poni(path.with_suffix(".poni").read_text())
        for geometry in (frame.geometry, written):
            assert geometry is not None
            assert geometry.distance_m == pytest.approx(made.geometry.distance_m)
            assert geometry.wavelength_m == pytest.approx(made.geometry.wavelength_m)
            assert geometry.pixel_size_m == pytest.approx(made.geometry.pixel_size_m)
            assert geometry.beam_center_yx == pytest.approx(made.geometry.beam_center_yx)
    assert not list(tmp_path.glob("*.partial*"))


def test_the_truth_is_that_of_the_prepared_frame_of_the_same_scene(exposures, tmp_path):
    paths = list(write_frames(tmp_path, SEED, INDICES, "edf"))
    ids = np.array(load_vocabulary("aam20").ids)
    for index, path in zip(INDICES, paths, strict=True):
        told = json.loads(path.with_suffix(".truth.json").read_text())
        labels = simulate(SEED, index).labelled.labels
        assert told["present"] == ids[labels == 1].tolist()
        assert told["unsure"] == ids[labels == -1].tolist()


def test_pyfai_reads_the_poni_with_its_shape_and_center(exposures, tmp_path):
    (path,) = write_frames(tmp_path, SEED, INDICES[:1], "edf")
    found = pyFAI.load(str(path.with_suffix(".poni"))).getFit2D()
    beam_y, beam_x = exposures[0].geometry.beam_center_yx
    assert (found["centerY"], found["centerX"]) == pytest.approx((beam_y + 0.5, beam_x + 0.5))
    assert found["directDist"] == pytest.approx(exposures[0].geometry.distance_m * 1e3)
    tilt = np.arccos(np.prod(np.cos(exposures[0].scene.instrument.tilt)))
    assert found["tilt"] == pytest.approx(np.rad2deg(tilt))


@pytest.mark.parametrize("index", [0, 12, 31, 57, 140, 240, 333])
def test_detector_pixels_prepared_are_the_frame_that_was_simulated_small(index):
    """Without noise: the mean over native pixels is the prepared pixel, but for sharp edges."""
    scene = sample(SEED, index)
    small = render(scene)
    visibility = judge(scene, small)
    expected, here = render_native(scene, visibility.amplitudes)
    live = here.coverage > 0.5
    native = Frame(np.where(live, expected, 0).astype(np.float32), ~live, np.zeros_like(live))
    (x, coverage), _ = prepare(native, PreprocessSpec(256))
    np.testing.assert_allclose(coverage, small.maps.coverage, atol=0.02)
    whole = small.maps.coverage > 0.9
    mean, wanted = np.expm1(x * np.log(65536))[whole], visibility.expected[whole]
    ratio = np.log((mean + 1e-3) / (wanted + 1e-3))
    assert np.median(np.abs(ratio)) < 0.01
    # Half a pixel of blur lowers a ring that is hardly a prepared pixel wide: the gyroid of 57.
    assert np.quantile(np.abs(ratio), 0.95) < 0.15


def test_the_command_writes_frames_and_refuses_an_unknown_format(tmp_path):
    run = CliRunner().invoke
    made = run(synth, ["frames", str(tmp_path), "--frames", "1", "--start", "240"])
    assert made.exit_code == 0, made.output
    assert len(list(tmp_path.glob("*.cbf"))) == len(list(tmp_path.glob("*.truth.json"))) == 1
    refused = run(synth, ["frames", str(tmp_path), "--format", "bmp"])
    assert refused.exit_code == 2
    assert "edf, cbf, tif, h5" in refused.output


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_full_disk_is_told_and_leaves_no_half_file(suffix, tmp_path):
    # A limit on the size of files fails as a full disk does: in the middle of a write.
    command = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000));"
        "from scatterlens_models.synthetic.commands import synth; synth(sys.argv[1:])"
    )
    arguments = ["frames", str(tmp_path), "--frames", "1", "--start", "240", "--seed", str(SEED)]
    ended = subprocess.run(
        [sys.executable, "-c", command, *arguments, "--format", suffix],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert "Make room" in ended.stdout
    assert {path.suffix for path in tmp_path.iterdir()} == {".poni", ".json"}
