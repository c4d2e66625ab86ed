"""What stands in the beam and what a frame shows without a sample."""

from dataclasses import replace

import numpy as np
import pytest

from scatterlens_models.synthetic.detector import pedestal
from scatterlens_models.synthetic.draws import generator
from scatterlens_models.synthetic.geometry import maps, native_grid, prepared_grid
from scatterlens_models.synthetic.instruments import draw_instrument
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.synthetic.scene import ImpossibleSceneError, Shadow
from scatterlens_models.synthetic.surroundings import background, from_the_stop, transmission

STOP = Shadow("disk", 1e-6, ((0.5, 0.5),), 0.05)


def here(scene):
    return maps(scene.instrument, prepared_grid(scene.instrument, 256))


def test_flare_is_brightest_at_the_edge_of_the_stop_and_falls_away(scene_of):
    scene = scene_of(stop="circular", shadows=(STOP,))
    flaring = replace(scene.background, flare=100.0, flare_width=0.02)
    bare = background(scene, here(scene)).numpy()
    added = background(replace(scene, background=flaring), here(scene)).numpy() - bare
    radius = np.hypot(*np.meshgrid(*[np.arange(256) - 127.5] * 2))
    rings = [added[(radius > r) & (radius < r + 1)].mean() for r in (5, 15, 20, 30, 60)]
    assert rings[0] < 1e-3
    assert np.all(np.diff(rings[1:]) < 0)
    assert rings[2] / rings[1] == pytest.approx(
        np.exp(-5 / (0.02 * 256)) * (1 + (15.5 / 20.48) ** 2) / (1 + (20.5 / 20.48) ** 2), rel=0.03
    )


def test_the_distance_from_a_stop_counts_in_shares_of_the_frame(scene_of):
    scene = scene_of(stop="circular", shadows=(STOP, Shadow("tube", 0.1, ((0.5, 0.5),), 0.2)))
    away = from_the_stop(scene.instrument, here(scene).grid)
    assert away[127, 127] == 0
    assert away[127, 255] == pytest.approx(127.5 / 256 - 0.05, abs=0.002)


def test_quadrants_of_a_ccd_differ_by_their_offsets(scene_of):
    scene = scene_of(pedestal=10.0, quadrants=(0.0, 1.0, 2.0, 3.0))
    for grid in (prepared_grid(scene.instrument, 256), native_grid(scene.instrument)):
        level = pedestal(scene.instrument, grid)
        rows, cols = level.shape
        corners = level[:: rows - 1, :: cols - 1].ravel()
        np.testing.assert_allclose(corners, [10, 11, 12, 13])


def test_a_soft_stop_lets_half_through_at_its_edge(scene_of):
    soft = replace(STOP, blur=0.04)
    scene = scene_of(stop="circular", shadows=(soft,))
    through = transmission(scene.instrument, here(scene).grid)[127, 128:]
    edge = np.interp(0.5, through, np.arange(128) + 0.5)
    assert edge == pytest.approx(0.05 * 256, abs=0.6)
    width = np.interp(0.9, through, np.arange(128)) - np.interp(0.1, through, np.arange(128))
    assert width == pytest.approx(0.8 * 0.04 * 256, rel=0.1)


def test_a_detector_that_would_face_away_is_refused(scene_of):
    with pytest.raises(ImpossibleSceneError, match="tilt"):
        scene_of(tilt=(1.2, 0.0))


def test_instruments_show_all_that_real_ones_do():
    drawn = [draw_instrument(generator(9, group)) for group in range(2000)]
    techniques = {one.technique for one in drawn}
    assert techniques == {"saxs", "waxs", "gisaxs", "giwaxs"}
    shares = {
        "tilted": np.mean([max(map(abs, one.tilt)) > 0.1 for one in drawn]),
        "quadrants": np.mean([any(one.quadrants) for one in drawn]),
        "bracket": np.mean([any(len(s.points) == 6 for s in one.shadows) for one in drawn]),
        "missing module": np.mean([bool(one.missing_modules) for one in drawn]),
        "tube": np.mean([any(s.shape == "tube" for s in one.shadows) for one in drawn]),
        "translucent stop": np.mean(
            [any(1e-3 <= s.transmission < 0.04 for s in one.shadows) for one in drawn]
        ),
    }
    assert min(shares.values()) > 0.01, shares
    floating = [
        one
        for one in drawn
        if one.technique == "gisaxs"
        and one.stop == "linear"
        and one.shadows[0].points[0][0] * max(one.crop[2:])
        < one.beam_yx[0] + (max(one.crop[2:]) - one.crop[2]) / 2 - 0.005 * max(one.crop[2:])
    ]
    assert len(floating) > 10


def test_scenes_show_fibres_films_textures_and_structured_halos():
    scenes = [sample(9, index) for index in range(0, 2000 * 50, 50)]
    components = [component for scene in scenes for component in scene.components]
    assert sum(component.kind == "fibre" for component in components) > 30
    assert sum(component.uniaxial for component in components) > 50
    profiles = {component.profile for component in components}
    assert profiles >= {
        "hard_spheres", "teubner_strey", "broad_peak", "core_shell", "cylinder", "ellipsoid"
    }  # fmt: skip
    assert np.mean([scene.background.flare > 0 for scene in scenes]) > 0.05
