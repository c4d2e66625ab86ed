"""Profile `paper`: the published ranges and rules, and the faults that are kept."""

from dataclasses import replace

import numpy as np
import pytest

from scatterlens_models.synthetic import profiles
from scatterlens_models.synthetic.dataset import simulate
from scatterlens_models.synthetic.paper import paper_tags
from scatterlens_models.synthetic.render import render
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.synthetic.scene import Component, SceneParams
from scatterlens_models.vocabulary import load_vocabulary

IDS = np.array(load_vocabulary("aam20").ids)
RINGS = Component("rings", 0.0, positions=(0.02, 0.04), weights=(1.0, 0.5), width=0.02)
HALO = Component("halo", 0.0, positions=(0.02,), weights=(1.0,), width=0.3)


@pytest.fixture(scope="module")
def scenes() -> list[SceneParams]:
    return [sample(11, index, "paper") for index in range(1500)]


def test_the_first_maximum_piles_up_at_its_lower_bound(scenes):
    first = np.array([c.positions[0] for s in scenes for c in s.components if c.positions])
    assert first.min() == 0.008
    assert first.max() == 0.1
    assert np.mean(first == 0.008) == pytest.approx(0.38, abs=0.03)


def test_geometry_and_widths_lie_in_the_published_ranges(scenes):
    beams = np.array([scene.instrument.beam_yx for scene in scenes]) / 256
    assert -0.05 <= beams.min() < 0.05
    assert 0.95 < beams.max() <= 1.05
    for component in (c for scene in scenes for c in scene.components):
        if component.kind == "rings":
            assert 0.005 <= component.width <= 0.2
        if component.kind == "halo":
            assert 0.1 <= component.width <= 0.6
    levels = [scene.instrument.pedestal for scene in scenes]
    assert np.mean(np.array(levels) > 0) == pytest.approx(0.4, abs=0.05)


def test_a_speckled_ring_is_the_mean_of_its_kernels():
    profile = profiles.speckled(seed=5, count=1, fold=4, eta=0.8)
    moment = np.mean(profile * np.exp(4j * profiles.azimuth()))
    assert abs(moment) == pytest.approx(0.8, abs=0.005)
    assert profiles.speckled(seed=5, count=14, fold=4, eta=0.8).mean() == pytest.approx(1)


def counts(*heights: float) -> np.ndarray:
    """Terms that exceed every gate by area, if they do by height."""
    return np.array([np.full((32, 32), height) for height in heights])


@pytest.mark.parametrize(
    ("component", "heights", "expected"),
    [
        (RINGS, (0.04, 0.04), set()),
        # One visible ring of a family of two is enough for "higher orders": a fault that is kept.
        (RINGS, (0.06, 0.0), {"ring", "higher_orders", "isotropic", "width_sharp"}),
        (
            replace(RINGS, kernel="speckled", fold=4, eta=0.8, grains=(3, 3)),
            (9.0, 9.0),
            {"ring", "higher_orders", "anisotropic", "width_sharp", "spotted",
             "symmetry_ring", "symmetry_4", "orientation_sharp"},
        ),
        (
            replace(HALO, fold=2, eta=0.5),
            (0.2,),
            {"halo", "anisotropic", "symmetry_halo", "symmetry_2"},
        ),
        (replace(RINGS, kind="low_q", positions=()), (9.0,), set()),
        (replace(RINGS, kind="low_q", positions=()), (11.0,), {"diffuse_low_q", "isotropic"}),
        (replace(RINGS, kind="low_q", ellipticity=2.0), (11.0,), set()),
        (replace(RINGS, kind="low_q", ellipticity=2.0), (21.0,), {"diffuse_low_q", "anisotropic"}),
    ],
)  # fmt: skip
def test_tags_follow_from_counts_before_noise(component, heights, expected):
    assert set(paper_tags(component, counts(*heights))) == expected


def test_nothing_is_unsure_and_noise_changes_no_label():
    for index in range(0, 400, 40):
        made = simulate(11, index, "paper")
        assert set(made.labelled.labels.tolist()) <= {0, 1}
        other = simulate(11, index, "paper", noise=7)
        np.testing.assert_array_equal(made.labelled.labels, other.labelled.labels)


def test_a_scene_of_this_profile_survives_its_json(scenes):
    assert all(SceneParams.from_json(scene.to_json()) == scene for scene in scenes[:50])


def test_coherent_halos_have_a_hole_towards_the_beam(scenes):
    holes = [c for s in scenes for c in s.components if "hole" in c.params]
    halos = [c for s in scenes for c in s.components if c.kind == "halo"]
    assert {bool(c.fold) for c in holes} == {False}
    assert {c.fold > 0 for c in halos if "hole" not in c.params} == {True}
    for halo in holes:
        assert 0.99 <= halo.params["hole"] * halo.positions[0] <= 3.01


def test_the_hole_is_dark_and_leaves_the_maximum_at_one(scene_of, ring):
    halo = ring(60.0, kind="halo", width=0.5)
    holed = replace(halo, params={"hole": 1.5 / halo.positions[0]})
    plain, dark = (render(scene_of(c)).images[0].numpy() for c in (halo, holed))
    assert plain[128, 128] > 0.1
    assert dark[128, 128] < 0.01
    assert dark.max() == pytest.approx(1, abs=0.1)


def test_a_mesostructure_is_a_halo_and_the_spheres_that_fit_into_its_distance(scenes):
    found = 0
    for scene in scenes:
        for halo, form in zip(scene.components, scene.components[1:], strict=False):
            if "hole" in halo.params and form.kind == "form_factor":
                distance = 2 * np.pi / halo.positions[0]
                found += bool(
                    form.params["peak"] == halo.params["peak"]
                    and 0.2 <= form.params["radius"] / distance <= 0.5
                )
    # 1.3 contributions per frame, 0.1 of 1.32 in weight.
    assert found / len(scenes) == pytest.approx(1.3 * 0.1 / 1.32, abs=0.025)


def test_beamstops_are_blurred_over_one_to_ten_pixels(scenes):
    stops = [s for scene in scenes for s in scene.instrument.shadows if s.shape != "tube"]
    blur = 256 * np.array([stop.blur for stop in stops])
    assert blur.min() >= 1
    assert blur.max() <= 10
    assert np.ptp(blur) > 5
