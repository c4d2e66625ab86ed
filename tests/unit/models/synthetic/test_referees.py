"""The simulator before independent judges: pyFAI for geometry, sasmodels for curves."""

from dataclasses import replace

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
from scatterlens_models.synthetic.geometry import q_at
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
    path.write_text(poni(geometry_of(scene.instrument)))
    return pyFAI.load(str(path))


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


def curve_of(name: str, q: np.ndarray, **parameters: float) -> np.ndarray:
    """A curve of sasmodels, without background."""
    kernel = load_model(name).make_kernel([q])
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
    # The same nine sizes: over three deviations instead of two the curve differs by two percent.
    theirs = curve_of(
        "sphere", found.radial, radius=radius, sld=1.0, sld_solvent=0.0,
        radius_pd=0.1, radius_pd_n=9, radius_pd_nsigma=2,
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
