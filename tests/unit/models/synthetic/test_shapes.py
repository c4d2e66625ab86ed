"""Lattices, profiles, kernels and grains against independent sums."""

import itertools

import numpy as np
import pytest

from scatterlens_models.synthetic import profiles
from scatterlens_models.synthetic.geometry import maps, prepared_grid
from scatterlens_models.synthetic.lattices import reflections
from scatterlens_models.synthetic.render import render

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
