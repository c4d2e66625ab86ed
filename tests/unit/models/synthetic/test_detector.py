"""Detectors, coverage and noise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import poisson

from scatterlens_models import preprocess
from scatterlens_models.frame import Frame
from scatterlens_models.synthetic import detector as detection
from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.geometry import Grid, maps, prepared_grid, q_at, radius_at


def halved(shape: tuple[int, int]) -> Grid:
    """A grid of pixels twice as large as those of the detector."""
    return Grid(shape, 0.5, (0.0, 0.0), max(shape))


@pytest.mark.parametrize("name", DETECTORS)
def test_modules_and_gaps_fill_a_detector_exactly(name):
    detector = DETECTORS[name]
    if detector.module is None:
        return
    for axis in (0, 1):
        live = detector.live_lines(axis)
        modules = round(live.sum() / detector.module[axis])
        assert live.sum() == modules * detector.module[axis]
        assert live[0]
        assert live[-1]
        assert live.size == live.sum() + (modules - 1) * detector.gap[axis]


@pytest.mark.parametrize(
    ("name", "transposed", "crop", "missing"),
    [
        ("pilatus_300k_w", True, (0, 0, 1475, 195), (1,)),
        ("pilatus_1m", False, (100, 37, 700, 611), (3,)),
        ("eiger_1m", False, (0, 0, 1065, 1030), ()),
    ],
)
def test_coverage_is_that_of_the_preprocessing_of_real_frames(
    scene_of, name, transposed, crop, missing
):
    detector = DETECTORS[name]
    live = np.outer(detector.live_lines(0), detector.live_lines(1))
    for number in missing:
        row, col, rows, cols = detector.module_rectangles()[number]
        live[row : row + rows, col : col + cols] = False
    live = live.T if transposed else live
    live = live[crop[0] : crop[0] + crop[2], crop[1] : crop[1] + crop[3]]
    image = np.zeros(live.shape, np.float32)
    frame = Frame(image=image, mask=~live, saturated=np.zeros_like(live))
    prepared, placement = preprocess.prepare(frame, preprocess.PreprocessSpec(256))
    scene = scene_of(
        detector=name, transposed=transposed, crop=crop, missing_modules=missing, beam_yx=(31.0, 5)
    )
    grid = maps(scene.instrument, prepared_grid(scene.instrument, 256))
    np.testing.assert_allclose(grid.coverage, prepared[1], atol=1e-5)
    np.testing.assert_allclose(grid.beam_yx, placement.detector_to_network(31.0, 5.0))


def test_radius_and_q_are_inverse(scene_of):
    instrument = replace(scene_of().instrument, distance_m=0.15)
    radius = np.array([0.0, 10.0, 500.0, 3000.0])
    np.testing.assert_allclose(radius_at(instrument, q_at(instrument, radius)), radius, atol=1e-6)


@pytest.mark.parametrize("expected", [0.05, 3.0, 40.0, 5e4])
@pytest.mark.parametrize("pixels", [1, 16])
def test_variance_over_mean_is_one_over_the_number_of_native_pixels(expected, pixels):
    rng = np.random.default_rng(5)
    size = (512, 512)
    drawn = detection.poisson_mean(rng, np.full(size, expected), np.full(size, float(pixels)))
    assert drawn.mean() == pytest.approx(expected, rel=0.02)
    assert drawn.var() / drawn.mean() * pixels == pytest.approx(1, rel=0.02)
    third = np.mean((drawn - expected) ** 3) * pixels**2 / expected
    tolerance = 0.05 + 15 * (expected * pixels) ** 0.5 / size[0]
    assert third == pytest.approx(1, abs=tolerance)


def test_counts_of_every_rate_are_distributed_as_poisson_says():
    """Rare, few and many counts are drawn in three ways, here from one frame."""
    rates = np.array([0.02, 0.29, 0.31, 2.0, 7.9, 8.1, 12.0, 40.0])
    frames = np.repeat(rates, 250_000).reshape(1000, -1)
    drawn = detection.poisson_mean(np.random.default_rng(6), frames, np.ones_like(frames))
    for rate in rates:
        counts = drawn[frames == rate].astype(int)
        found = np.bincount(counts, minlength=counts.max() + 20) / counts.size
        wanted = poisson(rate).pmf(np.arange(len(found)))
        chance = 0.5 * np.sqrt(2 * wanted / (np.pi * counts.size)).sum()
        assert 0.5 * np.abs(found - wanted).sum() < 1.5 * chance + (0.0035 if rate > 8 else 0)


def test_counts_stop_at_the_ceiling_of_the_detector(scene_of):
    scene = scene_of(detector="lambda_750k", crop=(0, 0, 516, 1556))
    rng = np.random.default_rng(0)
    shape = (64, 64)
    counts, _ = detection.detect(scene, np.full(shape, 1e5), np.ones(shape), halved(shape), rng)
    assert counts.max() == 4095


def test_a_ccd_has_its_pedestal_and_its_read_noise(scene_of):
    scene = scene_of(pedestal=100.0, read_noise=4.0, gain=2.0)
    rng = np.random.default_rng(0)
    shape = (256, 256)
    counts, _ = detection.detect(scene, np.full(shape, 9.0), np.ones(shape), halved(shape), rng)
    assert counts.mean() == pytest.approx(118, rel=0.002)
    assert counts.var() == pytest.approx((4.0**2 + 2.0**2 * 9) / 4, rel=0.03)


def test_a_prepared_frame_is_that_of_the_preprocessing(scene_of):
    # At bin 1 the simulated counts are a native frame: both ways must give the same input.
    rng = np.random.default_rng(2)
    counts = rng.poisson(30.0, (256, 256)).astype(np.float64)
    live = rng.random((256, 256)) > 0.1
    made = detection.prepare(counts, live.astype(float))
    image = np.where(live, counts, 0).astype(np.float32)
    frame = Frame(image=image, mask=~live, saturated=np.zeros_like(live))
    expected, _ = preprocess.prepare(frame, preprocess.PreprocessSpec(256))
    np.testing.assert_allclose(made, expected, atol=1e-6)


def test_dead_pixels_lower_the_coverage(scene_of):
    scene = replace(scene_of(), dead_share=1e-3)
    rng = np.random.default_rng(0)
    shape = (256, 256)
    _, coverage = detection.detect(scene, np.ones(shape), np.ones(shape), halved(shape), rng)
    assert 1 - coverage.mean() == pytest.approx(1e-3, rel=0.2)
