"""Lattices, profiles, kernels and grains against independent sums."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import peak_widths

from scatterlens_models.synthetic import profiles
from scatterlens_models.synthetic.geometry import maps, prepared_grid, q_at, wavelength_angstrom
from scatterlens_models.synthetic.lattices import reflections
from scatterlens_models.synthetic.render import render
from scatterlens_models.synthetic.sampling import sample
from scatterlens_models.synthetic.scene import Component, ImpossibleSceneError, SceneParams, Shadow
from scatterlens_models.synthetic.surroundings import transmission

_FACE = [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]
_BASES = {
    "sc": [(0, 0, 0)],
    "bcc": [(0, 0, 0), (0.5, 0.5, 0.5)],
    "fcc": _FACE,
    "diamond": _FACE + [tuple(x + 0.25 for x in atom) for atom in _FACE],
}


@pytest.mark.parametrize("lattice", _BASES)
def test_cubic_reflections_are_those_with_a_structure_factor(lattice):
    counts: dict[int, int] = {}
    basis = np.array(_BASES[lattice])
    for hkl in itertools.product(range(-7, 8), repeat=3):
        square = sum(index**2 for index in hkl)
        if 0 < square <= 48 and abs(np.exp(2j * np.pi * basis @ hkl).sum()) > 1e-6:
            counts[square] = counts.get(square, 0) + 1
    squares = sorted(counts)[:10]
    ratios, multiplicities = reflections(lattice, 10)
    np.testing.assert_allclose(ratios, np.sqrt(np.array(squares) / squares[0]))
    np.testing.assert_array_equal(multiplicities, [counts[square] for square in squares])


def test_the_hexagonal_phase_is_a_plane_lattice_at_sixty_degrees():
    first, second = np.array([1.0, 0.0]), np.array([0.5, np.sqrt(3) / 2])
    lengths = [
        np.hypot(*(h * first + k * second)) for h in range(-9, 10) for k in range(-9, 10) if h or k
    ]
    expected, counts = np.unique(np.round(lengths, 6), return_counts=True)
    ratios, multiplicities = reflections("hexagonal", 8)
    np.testing.assert_allclose(ratios, expected[:8], atol=1e-6)
    np.testing.assert_array_equal(multiplicities, counts[:8])


@pytest.mark.parametrize(
    ("lattice", "squares"),
    [  # International Tables, conditions limiting possible reflections
        ("gyroid", [6, 8, 14, 16, 20, 22, 24, 26]),
        ("pn3m", [2, 3, 4, 6, 8, 9, 10, 11]),
        ("lamellar", [1, 4, 9, 16, 25, 36, 49, 64]),
    ],
)
def test_tabulated_phases_have_their_tabulated_ratios(lattice, squares):
    ratios, _ = reflections(lattice, 8)
    np.testing.assert_allclose(ratios, np.sqrt(np.array(squares) / squares[0]))


def test_an_unknown_lattice_names_the_known_ones():
    with pytest.raises(ValueError, match="hexagonal"):
        reflections("quasicrystal")


@pytest.mark.parametrize("name", ["poisson", "von_mises", "gaussian"])
@pytest.mark.parametrize("fold", [2, 4, 6])
@pytest.mark.parametrize("eta", [0.12, 0.5, 0.95])
def test_every_kernel_has_the_order_parameter_that_it_was_asked_for(name, fold, eta):
    profile = profiles.kernel(name, fold, eta, chi=0.7)
    moment = np.mean(profile * np.exp(1j * fold * (profiles.azimuth() - 0.7)))
    assert abs(moment - eta) < 0.01
    assert profile.mean() == pytest.approx(1, abs=1e-3)
    assert profile.min() >= -1e-9


@pytest.mark.parametrize("name", ["poisson", "von_mises", "gaussian"])
def test_a_rendered_ring_has_the_order_parameter_of_its_component(scene_of, ring, name):
    scene = scene_of(ring(80, width=0.04, fold=4, eta=0.6, chi=(0.3,), kernel=name))
    image = render(scene).images[0].double().numpy()
    grid = maps(scene.instrument, prepared_grid(scene.instrument, 256))
    # Weighted by 1 / radius, every azimuth counts alike whatever its number of pixels.
    weights = image * (np.abs(grid.radius - 80) < 12) / np.maximum(grid.radius, 1)
    moment = (weights * np.exp(4j * (grid.phi.astype(float) - 0.3))).sum() / weights.sum()
    assert abs(moment - 0.6) < 0.01


def test_a_ring_stands_at_its_q(scene_of, ring):
    scene = scene_of(ring(60.0))
    image = render(scene).images[0].double().numpy()
    radius = np.hypot(*np.meshgrid(*[np.arange(256) - 127.5] * 2))
    near = np.abs(radius - 60) < 5
    assert (radius * image / radius)[near].sum() / (image / radius)[near].sum() == pytest.approx(
        60.0, abs=0.02
    )


def test_one_grain_is_as_wide_as_its_mosaic():
    profile = profiles.grain_profile(seed=3, count=1, mosaic=0.2)
    width = np.count_nonzero(profile > profile.max() / 2) * 2 * np.pi / profiles.AZIMUTH_BINS
    assert width == pytest.approx(0.2, abs=0.01)


def test_few_grains_cover_the_share_of_the_azimuth_that_their_number_says():
    # Grains that hardly overlap: the share above half of the smallest peaks is their coverage.
    shares = []
    for seed in range(200):
        profile = profiles.grain_profile(seed, count=8, mosaic=0.02)
        comb = np.random.default_rng(seed).integers(0, profiles.AZIMUTH_BINS, 8)
        near = np.abs((np.arange(profiles.AZIMUTH_BINS)[:, None] - comb + 720) % 1440 - 720)
        shares.append(np.mean((near.min(1) * 2 * np.pi / 1440 <= 0.01) & (profile > 0)))
    assert np.mean(shares) == pytest.approx(profiles.coverage(8, 0.02), rel=0.15)


def test_the_sphere_has_its_first_minimum_where_tan_x_is_x():
    q = np.linspace(0.001, 0.1, 20_000)
    curve = profiles.sphere(q, radius=100.0, polydispersity=1e-6)
    inner = q < 0.06
    assert q[inner][np.argmin(curve[inner])] * 100 == pytest.approx(4.4934, abs=0.01)


def test_guinier_porod_is_smooth_and_falls_with_its_exponent():
    q = np.geomspace(1e-3, 1, 4000)
    curve = profiles.guinier_porod(q, radius=50.0, exponent=3.0)
    slope = np.gradient(np.log(curve), np.log(q))
    assert np.abs(np.diff(slope)).max() < 0.02
    assert slope[-1] == pytest.approx(-3, abs=0.01)


@pytest.fixture(scope="module")
def drawn() -> list[SceneParams]:
    """Scenes of different experiments, as they are drawn."""
    return [sample(23, 50 * number, "realistic") for number in range(3200)]


def components_of(scenes, kind):
    return [part for scene in scenes for part in scene.components if part.kind == kind]


def test_halos_by_structure_have_the_place_and_width_that_they_state(drawn):
    halos = [c for c in components_of(drawn, "halo") if c.profile in profiles.STRUCTURES][:200]
    assert len(halos) == 200
    assert {halo.profile for halo in halos} == set(profiles.STRUCTURES)
    for halo in halos:
        q = np.linspace(1e-3, 6, 6000) * halo.positions[0]
        curve = profiles.structure(halo.profile, q, halo.positions[0], halo.params)
        top = int(np.argmax(curve))
        whole = (np.array([curve[top]]), np.array([0]), np.array([5999]))
        width = peak_widths(curve, [top], rel_height=0.5, prominence_data=whole)
        sigma = width[0][0] * (q[1] - q[0]) / 2.35482 / halo.positions[0]
        assert q[top] == pytest.approx(halo.positions[0], rel=0.02)
        assert curve[top] == pytest.approx(1, abs=0.01)
        assert 0.25 <= sigma <= 0.55
        assert sigma == pytest.approx(halo.width, rel=0.03)
        # Neither a rise towards the beam nor a second maximum that could be taken for a feature.
        assert curve[0] < 0.41
        assert np.diff(curve[top:]).max() < 2e-4


def test_a_minority_of_halos_is_by_structure_and_polymers_have_theirs_where_it_is_known(drawn):
    halos = components_of(drawn, "halo")
    by_structure = np.mean([halo.profile in profiles.STRUCTURES for halo in halos])
    assert 0.2 < by_structure < 0.35
    wide = [
        halo.positions[0]
        for scene in drawn
        if scene.instrument.technique == "waxs"
        for halo in components_of([scene], "halo")
    ]
    assert np.mean([1.2 <= q <= 1.6 for q in wide]) > 0.25


@pytest.mark.parametrize(
    ("profile", "params"),
    [
        ("hard_spheres", {"fraction": 0.25, "core": 0.6}),
        ("teubner_strey", {}),
        ("broad_peak", {"exponent": 2.5}),
    ],
)
def test_a_rendered_halo_by_structure_is_one_at_its_maximum(scene_of, ring, profile, params):
    halo = ring(60.0, kind="halo", profile=profile, width=0.3)
    q = halo.positions[0]
    lengths = {
        "hard_spheres": {"radius": 2.87 / q},
        "teubner_strey": {"period": 2 * np.pi * 0.945 / q, "length": 2.9 / q},
        "broad_peak": {"length": 2.5 / q},
    }
    halo = ring(60.0, kind="halo", profile=profile, width=0.3, params=params | lengths[profile])
    image = render(scene_of(halo)).images[0].double().numpy()
    assert image.max() == pytest.approx(1, abs=0.02)
    assert image[0, 0] < 0.3


def test_form_factors_fall_from_the_beam_without_a_maximum_of_their_own(drawn):
    found = components_of(drawn, "form_factor")
    assert {part.profile for part in found} == {"sphere", "core_shell", "cylinder", "ellipsoid"}
    for part in found:
        p = dict(part.params)
        q = np.linspace(0, 12, 800) / p["radius"]
        curve = getattr(profiles, part.profile)(q, **p)
        assert curve[0] == pytest.approx(1, abs=1e-3)
        below = np.minimum.accumulate(curve)
        assert (curve - below).max() < 0.06


def test_form_factors_go_on_beyond_their_table_as_porod_says():
    for curve in (
        profiles.sphere(np.array([0.5, 1.0, 2.0]), 100.0, 0.15),
        profiles.core_shell(np.array([0.5, 1.0, 2.0]), 80.0, 20.0, 0.5, 0.15),
        profiles.ellipsoid(np.array([0.5, 1.0, 2.0]), 80.0, 120.0, 0.15),
    ):
        np.testing.assert_allclose(curve[:-1] / curve[1:], 16, rtol=0.1)


def test_unknown_shapes_name_the_known_ones(scene_of, ring):
    with pytest.raises(ValueError, match="teubner_strey"):
        profiles.structure("gel", np.ones(3), 1.0, {})
    torus = ring(kind="form_factor", profile="torus", params={"radius": 9, "polydispersity": 0.1})
    with pytest.raises(ValueError, match="ellipsoid"):
        render(scene_of(torus))


def test_a_curve_without_a_maximum_has_no_width():
    q = np.linspace(0, 1, 50)
    assert profiles.main_maximum(q, 1 - q) is None
    assert profiles.main_maximum(q, q) is None


@pytest.mark.parametrize("blur", [0.0, 8 / 256])
def test_a_blurred_stop_fades_over_the_width_of_its_edge(scene_of, blur):
    stop = Shadow("disk", 0.0, ((0.5, 0.5),), 30 / 256, blur)
    instrument = scene_of(shadows=(stop,)).instrument
    light = transmission(instrument, prepared_grid(instrument, 256))[128, 128:]
    partial = np.count_nonzero((light > 0.001) & (light < 0.999))
    assert partial == pytest.approx(max(256 * blur, 1), abs=1)
    # Half of the light passes at the edge itself, wherever it fades.
    assert np.interp(0.5, light, np.arange(128) + 0.5) == pytest.approx(30, abs=0.5)


def test_a_blur_below_zero_is_refused():
    with pytest.raises(ImpossibleSceneError, match="blur"):
        Shadow("disk", 0.0, ((0.5, 0.5),), 0.1, -0.1)


def test_scenes_with_these_shapes_survive_their_json(drawn):
    assert all(SceneParams.from_json(scene.to_json()) == scene for scene in drawn[:300])


def test_a_fibre_has_layer_lines_at_multiples_of_its_spacing(scene_of):
    spacing = float(q_at(scene_of().instrument, np.array(25 * 8.0)))
    fibre = Component(
        "fibre",
        target=500.0,
        params={"layers": 3.0, "thickness": 0.05 * spacing, "spread": 0.0, "length": 20 / spacing},
        positions=(spacing,),
        weights=(1.0, 1.0, 1.0),
        fold=2,
        eta=1.0,
        chi=(0.0,),
    )
    images = render(scene_of(fibre)).images.numpy()
    rows = np.arange(256) - 127.5
    for layer, image in enumerate(images):
        above = image[:128, 120:136].sum(1)
        assert abs(rows[:128][np.argmax(above)]) == pytest.approx(max(25 * layer, 0.5), abs=0.51)
        np.testing.assert_allclose(image, image[::-1], atol=1e-4)


def test_what_lies_along_an_axis_across_the_beam_is_out_of_reach_at_high_q(scene_of, ring):
    """The missing wedge: a texture about the vertical shows little there at wide angles."""
    plain = scene_of(distance_m=0.15, energy_kev=8.0)
    q = float(q_at(plain.instrument, np.array(100 * 8.0)))
    profile = profiles.kernel("poisson", 2, 0.9, 0.0)
    seen = {}
    for uniaxial in (False, True):
        texture = ring(
            100, width=0.1, fold=2, eta=0.9, chi=(0.0,), kernel="poisson", uniaxial=uniaxial
        )
        image = render(replace(plain, components=(replace(texture, positions=(q,)),))).images[0]
        here = maps(plain.instrument, prepared_grid(plain.instrument, 256))
        level = image.numpy() / here.efficiency
        seen[uniaxial] = level[27:29, 127:129].mean(), level[127:129, 27:29].mean()
    theta = np.arcsin(q * wavelength_angstrom(8.0) / (4 * np.pi))
    lost = profile[round(theta / (2 * np.pi) * profiles.AZIMUTH_BINS)] / profile[0]
    assert lost < 0.5
    assert seen[True][0] / seen[False][0] == pytest.approx(lost, rel=0.05)
    assert seen[True][1] == pytest.approx(seen[False][1], rel=0.01)
