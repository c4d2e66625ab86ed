"""The simulator before independent judges: pyFAI for geometry, sasmodels for curves."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyFAI
import pytest
from pyFAI.calibrant import get_calibrant
from pyFAI.detectors import detector_factory
from pyFAI.goniometer import SingleGeometry
from sasmodels.core import load_model
from sasmodels.direct_model import call_kernel
from scipy.optimize import curve_fit

from scatterlens_models.synthetic import profiles
from scatterlens_models.synthetic.detector import poisson_mean
from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.frames import geometry_of, poni
from scatterlens_models.synthetic.geometry import maps, native_grid, pixels_at, q_at
from scatterlens_models.synthetic.lattices import reflections
from scatterlens_models.synthetic.render import render_native
from scatterlens_models.synthetic.scene import Component

BEHENATE_SPACING = 58.380
PILATUS_1M = {
    "detector": "pilatus_1m",
    "crop": (0, 0, 1043, 981),
    "beam_yx": (530.3, 441.7),
    "energy_kev": 12.0,
    "polarization": 0.98,
}


@pytest.fixture
def behenate(scene_of):
    """Makes silver behenate with all nine orders on a Pilatus 1M."""

    def make(width: float, **changes):
        ratios, _ = reflections("lamellar", 9)
        rings = Component(
            kind="rings",
            target=100.0,
            profile="gaussian",
            positions=tuple(2 * np.pi / BEHENATE_SPACING * ratios),
            weights=(1.0,) * 9,
            width=width,
        )
        scene = scene_of(rings, **{**PILATUS_1M, "distance_m": 0.42, **changes})
        return replace(scene, background=replace(scene.background, flat=1e-6))

    return make


def integrator_of(scene, folder) -> pyFAI.AzimuthalIntegrator:
    """pyFAI on the PONI file that the simulator writes."""
    path = folder / "scene.poni"
    path.write_text(poni(scene.instrument))
    return pyFAI.load(str(path))


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.2, -0.13), (-0.05, 0.31), (0.4, 0.4)])
def test_a_tilted_detector_stands_as_pyfai_says(scene_of, tmp_path, tilt):
    scene = scene_of(**{**PILATUS_1M, "distance_m": 0.15, "tilt": tilt})
    here = maps(scene.instrument, native_grid(scene.instrument))
    shape, judge = here.q.shape, integrator_of(scene, tmp_path)
    np.testing.assert_allclose(here.q, judge.qArray(shape) / 10, atol=1e-6)
    away = here.radius > 3  # at the beam itself the azimuth means nothing
    turn = judge.center_array(shape, unit="chi_rad") - (here.phi - np.pi / 2)
    assert np.abs(np.exp(1j * turn[away]) - 1).max() < 1e-5
    wanted = judge.solidAngleArray(shape) * judge.polarization(shape, 0.98)
    np.testing.assert_allclose(here.efficiency, wanted, rtol=1e-5)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    found = pixels_at(scene.instrument, here.q.ravel(), here.phi.ravel())
    np.testing.assert_allclose(found[0], rows.ravel(), atol=0.01)
    np.testing.assert_allclose(found[1], cols.ravel(), atol=0.01)


def test_rings_of_a_tilted_detector_stand_at_their_q(behenate, tmp_path):
    scene = behenate(0.004, tilt=(0.25, -0.1))
    expected, _ = render_native(scene, np.array([300.0]))
    found = integrator_of(scene, tmp_path).integrate1d(
        expected, 3000, unit="q_A^-1", polarization_factor=0.98
    )
    pixel = float(q_at(scene.instrument, np.array(1.0)))
    for order in (1, 2, 3):
        q = 2 * np.pi * order / BEHENATE_SPACING
        near = np.abs(found.radial - q) < 0.03 * q
        center = np.average(found.radial[near], weights=found.intensity[near])
        assert abs(center - q) < 0.05 * pixel


def integrate(scene, image, live, folder, bins=1500, **options):
    """Intensity over q (1/Å), with solid angle and polarisation taken out by pyFAI."""
    return integrator_of(scene, folder).integrate1d(
        image, bins, mask=~live, unit="q_A^-1", correctSolidAngle=True,
        polarization_factor=scene.instrument.polarization, **options
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("pilatus_100k", "Pilatus100k"),
        ("pilatus_300k", "Pilatus300k"),
        ("pilatus_300k_w", "Pilatus300kw"),
        ("pilatus_1m", "Pilatus1M"),
        ("pilatus_2m", "Pilatus2M"),
        ("eiger_1m", "Eiger1M"),
        ("eiger_4m", "Eiger4M"),
        ("eiger_9m", "Eiger9M"),
        ("eiger2_4m", "Eiger2 4M"),
        ("jungfrau_4m", "Jungfrau 4M"),
        ("lambda_750k", "Lambda 750k"),
    ],
)
def test_detectors_have_the_gaps_that_pyfai_knows(name, theirs):
    ours, known = DETECTORS[name], detector_factory(theirs)
    masked = known.calc_mask()
    np.testing.assert_array_equal(
        np.outer(ours.live_lines(0), ours.live_lines(1)),
        np.ones(ours.shape, bool) if masked is None else masked == 0,
    )
    assert ours.pixel_m == pytest.approx(known.pixel1)


def test_pyfai_finds_the_nine_orders_of_silver_behenate_where_they_belong(behenate, tmp_path):
    scene = behenate(width=0.012)
    image, here = render_native(scene, np.array([1000.0]))
    q, intensity = integrate(scene, image, here.coverage > 0.5, tmp_path)
    per_pixel = float(np.diff(q_at(scene.instrument, np.array([200.0, 201.0])))[0])
    for order in range(1, 10):
        expected = order * 2 * np.pi / BEHENATE_SPACING
        near = np.abs(q - expected) < 3 * 0.012 * expected
        (found, _, height), _ = curve_fit(
            lambda x, place, sigma, height: height * np.exp(-0.5 * ((x - place) / sigma) ** 2),
            q[near], intensity[near], (expected, 0.012 * expected, 1000),
        )  # fmt: skip
        assert abs(found - expected) / per_pixel < 0.05, f"order {order}"
        # Solid angle and polarisation are pyFAI's own: what is left of them would show here.
        assert height == pytest.approx(1000, rel=0.02), f"order {order}"


def test_pyfai_refines_a_wrong_geometry_to_the_true_one(behenate, tmp_path):
    scene = behenate(width=0.006)
    expected, here = render_native(scene, np.array([300.0]))
    live = here.coverage > 0.5
    image = poisson_mean(np.random.default_rng(4), expected, np.ones(expected.shape))
    true = geometry_of(scene.instrument)
    pixel = true.pixel_size_m[0]
    start = integrator_of(scene, tmp_path)
    start.poni1 += 2.5 * pixel
    start.poni2 -= 2.0 * pixel
    start.dist += 0.005
    start.detector.mask = ~live
    calibrant = get_calibrant("AgBh")
    calibrant.wavelength = true.wavelength_m
    single = SingleGeometry(
        "frame", image, calibrant=calibrant, detector=start.detector,
        geometry=pyFAI.geometry.Geometry(
            start.dist, start.poni1, start.poni2, detector=start.detector,
            wavelength=true.wavelength_m,
        ),
    )  # fmt: skip
    single.extract_cp(max_rings=9, pts_per_deg=1)
    single.geometry_refinement.refine2(fix=["wavelength", "rot1", "rot2", "rot3"])
    refined = single.geometry_refinement
    center = refined.poni1 / pixel - 0.5, refined.poni2 / pixel - 0.5
    np.testing.assert_allclose(center, true.beam_center_yx, atol=0.1)
    assert refined.dist == pytest.approx(true.distance_m, rel=1e-3)


_model = lru_cache(load_model)


def curve_of(name: str, q: np.ndarray, **parameters: float) -> np.ndarray:
    """A curve of sasmodels, without background."""
    kernel = _model(name).make_kernel([q])
    return call_kernel(kernel, {"background": 0.0, "scale": 1.0, **parameters})


@pytest.mark.parametrize("radius", [40.0, 120.0])
def test_spheres_integrate_to_the_curve_of_sasmodels(scene_of, tmp_path, radius):
    spheres = Component(
        kind="form_factor",
        target=100.0,
        profile="sphere",
        params={"radius": radius, "polydispersity": 0.1},
    )
    scene = scene_of(spheres, **PILATUS_1M, distance_m=3.0)
    scene = replace(scene, background=replace(scene.background, flat=1e-6))
    expected, here = render_native(scene, np.array([2e4]))
    live = here.coverage > 0.5
    image = poisson_mean(np.random.default_rng(8), expected, np.ones(expected.shape))
    found = integrate(scene, image, live, tmp_path, bins=300, error_model="poisson")
    theirs = curve_of(
        "sphere", found.radial, radius=radius, sld=1.0, sld_solvent=0.0,
        radius_pd=0.1, radius_pd_n=35, radius_pd_nsigma=3,
    )  # fmt: skip
    seen = found.intensity > 1
    scale = np.median(found.intensity[seen][:20] / theirs[seen][:20])
    deviation = found.intensity[seen] - scale * theirs[seen]
    sigma = np.maximum(found.sigma[seen], 1e-9)
    assert np.median(np.abs(deviation) / (scale * theirs[seen])) < 0.01
    assert 0.6 < np.median(np.abs(deviation) / sigma) < 0.95


@pytest.mark.parametrize(
    ("ours", "name", "parameters"),
    [
        (lambda q: profiles.guinier(q, 50.0), "guinier", {"rg": 50.0}),
        (lambda q: profiles.debye_bueche(q, 60.0), "dab", {"cor_length": 60.0}),
        (lambda q: profiles.ornstein_zernike(q, 60.0), "lorentz", {"cor_length": 60.0}),
        (
            lambda q: profiles.guinier_porod(q, 60.0, 3.5),
            "guinier_porod",
            {"rg": 60.0, "s": 0.0, "porod_exp": 3.5},
        ),
        (
            lambda q: profiles.gaussian(q, 0.1, 0.05),
            "gaussian_peak",
            {"peak_pos": 0.1, "sigma": 0.05},
        ),
        (
            # Half of the full width 2.355 sigma that both shapes share.
            lambda q: profiles.pseudo_voigt(q, 0.1, 0.01, 1.0),
            "peak_lorentz",
            {"peak_pos": 0.1, "peak_hwhm": 0.0117741},
        ),
    ],
    ids=["guinier", "debye_bueche", "ornstein_zernike", "guinier_porod", "gauss", "lorentz"],
)
def test_curves_are_those_of_sasmodels(ours, name, parameters):
    q = np.geomspace(0.002, 0.5, 200)
    theirs = curve_of(name, q, **parameters)
    np.testing.assert_allclose(ours(q) / ours(q)[0], theirs / theirs[0], rtol=1e-3)


Q = np.linspace(1e-4, 0.5, 400)
INSIDE = {"sld": 1.0, "sld_solvent": 0.0}
SHELL = {"sld_shell": 1.0, "sld_solvent": 0.0, "radius": 50.0, "thickness": 20.0}


@pytest.mark.parametrize("radius", [40.0, 120.0])
@pytest.mark.parametrize("sizes", [35, 151])
def test_polydisperse_spheres_are_those_of_sasmodels_within_half_a_percent(radius, sizes):
    theirs = curve_of(
        "sphere", Q, radius=radius, radius_pd=0.1, radius_pd_n=sizes, radius_pd_nsigma=3, **INSIDE
    )
    theirs = theirs / theirs[0]
    bright = theirs > 1e-4
    np.testing.assert_allclose(profiles.sphere(Q, radius, 0.1)[bright], theirs[bright], rtol=0.005)


@pytest.mark.parametrize("polydispersity", [0.1, 0.25])
@pytest.mark.parametrize(
    ("ours", "name", "parameters"),
    [
        (lambda p: profiles.sphere(Q, 50, p), "sphere", {"radius": 50.0, **INSIDE}),
        (
            lambda p: profiles.core_shell(Q, 50, 20, 0.0, p),
            "core_shell_sphere",
            {**SHELL, "sld_core": 0.0},
        ),
        (
            lambda p: profiles.core_shell(Q, 50, 20, 2.5, p),
            "core_shell_sphere",
            {**SHELL, "sld_core": 2.5},
        ),
        (
            lambda p: profiles.cylinder(Q, 50, 25, p),
            "cylinder",
            {"radius": 50.0, "length": 25.0, **INSIDE},
        ),
        (
            lambda p: profiles.cylinder(Q, 30, 240, p),
            "cylinder",
            {"radius": 30.0, "length": 240.0, **INSIDE},
        ),
        (
            lambda p: profiles.ellipsoid(Q, 50, 12, p),
            "ellipsoid",
            {"radius_equatorial": 50.0, "radius_polar": 12.0, **INSIDE},
        ),
        (
            lambda p: profiles.ellipsoid(Q, 50, 200, p),
            "ellipsoid",
            {"radius_equatorial": 50.0, "radius_polar": 200.0, **INSIDE},
        ),
    ],
    ids=["sphere", "hollow", "core", "disk", "rod", "oblate", "prolate"],
)
def test_form_factors_are_sums_of_those_of_sasmodels_over_sizes(
    ours, name, parameters, polydispersity
):
    # sasmodels changes one length at a time; here all grow alike, so that q scales instead.
    total, mass = np.zeros(len(Q)), 0.0
    for place in np.linspace(-3, 3, 41):
        size = 1 + polydispersity * place
        weight = np.exp(-0.5 * place**2) * size**6
        total += weight * curve_of(name, Q * size, **parameters)
        mass += weight
    start = curve_of(name, np.array([1e-6]), **parameters)[0]
    theirs = total / mass / start
    bright = theirs > 1e-4
    np.testing.assert_allclose(ours(polydispersity)[bright], theirs[bright], rtol=0.005)
    faint = theirs > 1e-6
    np.testing.assert_allclose(ours(polydispersity)[faint], theirs[faint], rtol=0.06)


@pytest.mark.parametrize(
    ("ours", "name", "parameters"),
    [
        (
            lambda q: profiles.percus_yevick(q, 50.0, 0.2),
            "hardsphere",
            {"radius_effective": 50.0, "volfraction": 0.2},
        ),
        (
            lambda q: profiles.percus_yevick(q, 50.0, 0.45),
            "hardsphere",
            {"radius_effective": 50.0, "volfraction": 0.45},
        ),
        (
            lambda q: profiles.hard_spheres(q, 50.0, 0.25, 0.6),
            "sphere@hardsphere",
            {
                "radius_effective_mode": 0, "radius_effective": 50.0, "volfraction": 0.25,
                "radius": 30.0, "radius_pd": 0.1, "radius_pd_n": 35, "radius_pd_nsigma": 3,
                **INSIDE,
            },
        ),
        (
            lambda q: profiles.teubner_strey(q, 100.0, 40.0),
            "teubner_strey",
            {"d": 100.0, "xi": 40.0},
        ),
        (
            lambda q: profiles.broad_peak(q, 0.1, 30.0, 2.5),
            "broad_peak",
            {
                "porod_scale": 0.0, "peak_scale": 1.0, "peak_pos": 0.1,
                "correlation_length": 30.0, "width_exp": 2.5, "shape_exp": 1.0,
            },
        ),
    ],
    ids=["dilute", "dense", "micelles", "teubner_strey", "broad_peak"],
)  # fmt: skip
def test_structures_are_those_of_sasmodels(ours, name, parameters):
    theirs = curve_of(name, Q, **parameters)
    top = np.argmax(theirs)
    theirs = theirs / theirs[top]
    bright = theirs > 1e-4
    np.testing.assert_allclose((ours(Q) / ours(Q)[top])[bright], theirs[bright], rtol=0.002)
