"""Radial and azimuthal sums against pyFAI, which sorts the same pixels by itself."""

from dataclasses import replace

import numpy as np
import pytest
from pyFAI.integrator.azimuthal import AzimuthalIntegrator

from scatterlens_models.decoding import DecodeChild
from scatterlens_models.frame import Frame
from scatterlens_models.geometry import Geometry
from scatterlens_models.polar import (
    azimuthal,
    pack_sums,
    q_of_radius,
    radial,
    radius_of_q,
    sum_polar,
    unpack_sums,
)

GEOMETRY = Geometry(0.5, 1.5e-10, (172e-6, 172e-6), (60.3, 71.8))
METHOD = ("no", "histogram", "python")


@pytest.fixture(scope="module")
def frame() -> Frame:
    rng = np.random.default_rng(4)
    image = rng.poisson(30, (150, 130)).astype(np.float32)
    mask = rng.random(image.shape) < 0.1
    mask[40:44] = True
    return Frame(np.where(mask, 0, image), mask, np.zeros_like(mask), GEOMETRY)


def integrator(geometry: Geometry, shape: tuple[int, int]) -> AzimuthalIntegrator:
    (py, px), (cy, cx) = geometry.pixel_size_m, geometry.beam_center_yx
    return AzimuthalIntegrator(
        dist=geometry.distance_m,
        poni1=(cy + 0.5) * py,
        poni2=(cx + 0.5) * px,
        pixel1=py,
        pixel2=px,
        wavelength=geometry.wavelength_m,
        detector=None,
    )


def test_rings_hold_the_pixels_that_pyfai_puts_in_them(frame):
    sums = sum_polar(frame, GEOMETRY.beam_center_yx)
    profile = radial(sums)
    low, high = sums.radii[0] - 0.5, sums.radii[-1] + 0.5
    pixel_mm = GEOMETRY.pixel_size_m[0] * 1e3
    expected = integrator(GEOMETRY, frame.image.shape).integrate1d(
        frame.image,
        len(sums.radii),
        mask=frame.mask,
        unit="r_mm",
        radial_range=(low * pixel_mm, high * pixel_mm),
        correctSolidAngle=False,
        method=METHOD,
    )
    np.testing.assert_allclose(expected.radial, sums.radii * pixel_mm, atol=1e-6)
    seen = profile.pixels > 0
    np.testing.assert_allclose(expected.count[seen], profile.pixels[seen])
    np.testing.assert_allclose(expected.intensity[seen], profile.intensity[seen], rtol=1e-5)
    assert profile.pixels.sum() == (~frame.mask).sum()


def test_sectors_hold_the_pixels_that_pyfai_puts_in_them(frame):
    sums = sum_polar(frame, GEOMETRY.beam_center_yx)
    profile = azimuthal(sums, (10.0, 40.0))
    pixel_mm = GEOMETRY.pixel_size_m[0] * 1e3
    table = integrator(GEOMETRY, frame.image.shape).integrate2d(
        frame.image,
        1,
        360,
        mask=frame.mask,
        unit="r_mm",
        radial_range=(9.5 * pixel_mm, 40.5 * pixel_mm),
        azimuth_range=(-180, 180),
        correctSolidAngle=False,
        method=METHOD,
    )
    np.testing.assert_allclose(table.azimuthal, np.arange(360) - 179.5, atol=1e-4)
    np.testing.assert_allclose(table.count[:, 0], profile.pixels)
    seen = profile.pixels > 0
    np.testing.assert_allclose(table.intensity[seen, 0], profile.intensity[seen], rtol=1e-5)


def test_pixels_that_are_not_square_make_round_rings():
    geometry = Geometry(0.3, 1e-10, (200e-6, 100e-6), (40.0, 80.0))
    rows, cols = np.mgrid[:80, :160]
    radius = np.hypot((rows - 40) * 2.0, cols - 80)
    frame = Frame((np.abs(radius - 30) < 0.5).astype(np.float32), radius < 0, radius < 0)
    profile = radial(sum_polar(frame, (40.0, 80.0), 2.0))
    assert profile.intensity[30] == 1
    assert np.nansum(np.delete(profile.intensity, 30)) == 0
    ring = integrator(geometry, frame.image.shape).qArray(frame.image.shape)
    np.testing.assert_allclose(q_of_radius(radius, geometry), ring, rtol=1e-5, atol=1e-6)


def test_q_and_radius_are_inverse_and_end_where_a_flat_detector_does(frame):
    radii = np.array([0.0, 1.0, 50.0, 3000.0])
    for radius, q in zip(radii, q_of_radius(radii, GEOMETRY), strict=True):
        assert radius_of_q(q, GEOMETRY) == pytest.approx(radius)
    assert radius_of_q(1e3, GEOMETRY) == np.inf


def test_a_range_of_directions_may_pass_180_degrees(frame):
    sums = sum_polar(frame, GEOMETRY.beam_center_yx)
    parts = [radial(sums, part) for part in ((90, 270), (-90, 90))]
    whole = radial(sums)
    np.testing.assert_array_equal(parts[0].pixels + parts[1].pixels, whole.pixels)
    left = frame.mask.copy()
    left[:, 72:] = True
    only_left = Frame(frame.image, left, frame.saturated)
    np.testing.assert_array_equal(
        parts[0].pixels.sum(), radial(sum_polar(only_left, GEOMETRY.beam_center_yx)).pixels.sum()
    )


def test_a_beam_off_the_frame_and_a_frame_without_live_pixels_have_profiles_too(frame):
    off = sum_polar(frame, (-500.0, 900.0))
    assert off.pixels.sum() == (~frame.mask).sum()
    assert off.first > 900
    dark = Frame(frame.image, np.ones_like(frame.mask), frame.saturated)
    profile = radial(sum_polar(dark, (60, 60)))
    assert np.isnan(profile.intensity).all()
    with pytest.raises(ValueError, match="correct the geometry"):
        sum_polar(frame, (1e7, 0.0))


def test_what_is_kept_is_what_was_summed(frame):
    sums = sum_polar(frame, (-50.0, 3.0))
    back = unpack_sums(pack_sums(sums))
    assert back.first == sums.first
    np.testing.assert_array_equal(back.counts, sums.counts)
    np.testing.assert_array_equal(back.pixels, sums.pixels)


def test_rings_of_silver_behenate_lie_at_their_spacings(real_data):
    with DecodeChild() as child:
        frame = child.decode(real_data / "bioxtas__saxslab_image.tiff")
    assert frame.geometry is not None
    # Calibrated on the rings: the distance in the header is 1.4 % too long for them.
    geometry = replace(frame.geometry, distance_m=0.481)
    sums = sum_polar(frame, geometry.beam_center_yx)
    q, intensity = q_of_radius(sums.radii, geometry), radial(sums).intensity
    for order in range(1, 6):
        expected = 2 * np.pi * order / 5.838
        near = np.flatnonzero(np.abs(q - expected) < 0.15)
        top = near[np.nanargmax(intensity[near])] + np.arange(-3, 4)
        weight = intensity[top] - intensity[top].min()
        assert np.sum(q[top] * weight) / weight.sum() == pytest.approx(expected, rel=0.01)
