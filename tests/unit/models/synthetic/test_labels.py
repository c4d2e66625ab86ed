"""Labels follow from parameters and from what an ideal observer could see."""

from dataclasses import replace

import numpy as np
import pytest

from scatterlens_models.synthetic.dataset import simulate
from scatterlens_models.synthetic.detectability import judge
from scatterlens_models.synthetic.detector import poisson_mean
from scatterlens_models.synthetic.labels import label
from scatterlens_models.synthetic.render import render
from scatterlens_models.synthetic.scene import Component
from scatterlens_models.synthetic.sheet import evidence_mask
from scatterlens_models.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("aam20")


def labelled(scene):
    rendered = render(scene)
    visibility = judge(scene, rendered)
    return label(scene, visibility, rendered, VOCABULARY), visibility


def names(found, value=1):
    return {name for name, one in zip(VOCABULARY.ids, found.labels, strict=True) if one == value}


def test_a_sharp_ring_is_labelled_as_one(scene_of, ring):
    found, _ = labelled(scene_of(ring(70)))
    assert names(found) == {"ring", "isotropic", "width_sharp"}
    assert not names(found, -1)


def test_further_rings_are_higher_orders(scene_of, ring):
    found, _ = labelled(scene_of(ring(30, 60, 90, width=0.05)))
    assert names(found) == {"ring", "higher_orders", "isotropic", "width_intermediate"}


def test_a_family_of_which_one_ring_is_in_view_has_no_higher_orders(scene_of, ring):
    found, _ = labelled(scene_of(ring(70, 400)))
    assert "higher_orders" not in names(found)


def test_an_oriented_ring_is_symmetric_and_anisotropic(scene_of, ring):
    found, _ = labelled(scene_of(ring(70, fold=6, eta=0.8, chi=(1.0,), kernel="von_mises")))
    assert names(found) == {
        "ring", "symmetry_ring", "symmetry_6", "anisotropic", "orientation_sharp", "width_sharp"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("eta", "attribute"),
    [(0.2, "orientation_broad"), (0.5, "orientation_intermediate"), (0.9, "orientation_sharp")],
)
def test_orientation_follows_the_order_parameter(scene_of, ring, eta, attribute):
    found, _ = labelled(scene_of(ring(70, fold=4, eta=eta, chi=(0.2,), kernel="gaussian")))
    assert {name for name in names(found) if name.startswith("orientation")} == {attribute}


@pytest.mark.parametrize(("count", "attribute"), [(10, "spotted"), (100, "textured")])
def test_grains_are_spotted_or_textured_by_their_coverage(scene_of, ring, count, attribute):
    # 10 and 100 grains of 0.06 rad cover 0.095 and 0.95 of the azimuth.
    found, _ = labelled(scene_of(ring(70, mosaic=0.06, grains=(count,), grain_seed=1)))
    assert names(found) & {"spotted", "textured"} == {attribute}
    assert "isotropic" not in names(found)


@pytest.mark.parametrize(
    ("target", "value"), [(200.0, 1), (20.0, 1), (11.0, -1), (6.0, -1), (2.0, 0)]
)
def test_visibility_decides_between_present_unsure_and_absent(scene_of, ring, target, value):
    found, visibility = labelled(scene_of(ring(70, target=target)))
    assert visibility.dprime[0] == pytest.approx(target, rel=0.05)
    assert found.labels[VOCABULARY.index("ring")] == value


def test_detectability_is_that_of_a_matched_filter_on_drawn_frames(scene_of, ring):
    """With the template s_perp / variance, (mean with - mean without) / spread is d'."""
    scene = scene_of(ring(70, target=9.0))
    rendered = render(scene)
    visibility = judge(scene, rendered)
    pixels = np.full((256, 256), 64.0)
    whole, empty = visibility.expected, rendered.background.numpy()
    template = (whole - empty) / (whole + 0.1)
    template -= template.mean()
    rng = np.random.default_rng(0)
    scores = {
        kind: np.array([(poisson_mean(rng, image, pixels) * template).sum() for _ in range(150)])
        for kind, image in (("with", whole), ("without", empty))
    }
    measured = (scores["with"].mean() - scores["without"].mean()) / scores["with"].std()
    # The floor of 0.1 photons in the variance costs an ideal observer 5 % at a flat of 1.
    assert measured == pytest.approx(9.0, rel=0.15)


def test_a_curve_that_looks_like_flat_background_is_not_tagged(scene_of, ring):
    flat = Component("high_q", 500.0, "high_q", params={"length": 1e5})
    scene = scene_of(flat)
    rendered = render(scene)
    plain = np.sqrt((rendered.images[0] ** 2).sum().item() * 64 / 1.1)
    _, visibility = labelled(scene)
    assert visibility.dprime[0] / visibility.amplitudes[0] < 0.05 * plain


def test_half_hidden_symmetry_is_unsure(scene_of, ring):
    corner = scene_of(
        ring(150, fold=2, eta=0.6, chi=(np.pi / 4,), kernel="poisson"), beam_yx=(100.0, 1900.0)
    )
    found, _ = labelled(corner)
    assert {"symmetry_2", "symmetry_ring"} <= names(found, -1)
    assert "ring" in names(found)


def test_modulation_too_weak_to_be_seen_is_neither_isotropic_nor_anisotropic(scene_of, ring):
    # d' 30 of the ring leaves about 6 for a modulation of order parameter 0.15.
    found, _ = labelled(scene_of(ring(70, target=30, fold=2, eta=0.15, chi=(0,), kernel="poisson")))
    assert "ring" in names(found)
    assert {"isotropic", "anisotropic", "symmetry_2"} <= names(found, -1)


def test_a_component_without_its_maximum_in_view_is_unsure(scene_of, ring):
    halo = ring(400, kind="halo", width=0.5)
    found, visibility = labelled(scene_of(halo))
    assert visibility.azimuth_deg[0] == 0
    assert "halo" in names(found, -1)


def test_rotating_a_ring_leaves_its_labels_alone(scene_of, ring):
    seen = {
        labelled(
            scene_of(ring(70, fold=4, eta=0.5, chi=(angle,), kernel="poisson"))
        )[0].labels.tobytes()
        for angle in np.linspace(0, 3, 5)
    }  # fmt: skip
    assert len(seen) == 1


def test_more_light_never_hides_anything(scene_of, ring):
    dim = scene_of(ring(40, 80, fold=2, eta=0.5, chi=(0.1, 0.1), kernel="gaussian", target=30))
    before, _ = labelled(dim)
    bright = replace(dim, components=(replace(dim.components[0], target=300.0),))
    after, _ = labelled(bright)
    assert names(before) <= names(after)
    assert names(before) < names(after) | {""}


def test_labels_do_not_depend_on_the_noise():
    for index in range(0, 500, 100):
        first, second = simulate(3, index), simulate(3, index, noise=1)
        np.testing.assert_array_equal(first.labelled.labels, second.labelled.labels)
        np.testing.assert_array_equal(first.labelled.evidence, second.labelled.evidence)
        assert not np.array_equal(first.prepared, second.prepared)


def test_evidence_lies_on_the_ring_that_it_speaks_for(scene_of, ring):
    scene = scene_of(ring(90), ring(40, fold=2, eta=0.9, chi=(0.0,), kernel="poisson"))
    found, _ = labelled(scene)
    rows, cols = np.meshgrid(*[np.arange(32) * 8 + 4 - 128] * 2, indexing="ij")
    radius = np.hypot(rows, cols)
    even = evidence_mask(found.evidence[VOCABULARY.index("isotropic")])
    assert np.abs(radius[even] - 90).max() < 8
    assert np.count_nonzero(even) > 40
    oriented = evidence_mask(found.evidence[VOCABULARY.index("symmetry_2")])
    assert np.abs(radius[oriented] - 40).max() < 9
    assert np.abs(cols[oriented]).max() < 20  # the lobes lie above and below the beam
    assert not found.evidence[VOCABULARY.index("halo")].any()


def test_qualifiers_never_stand_beside_the_absence_of_what_they_qualify():
    for index in range(5_000, 5_060):
        one = dict(zip(VOCABULARY.ids, simulate(4, index).labelled.labels, strict=True))
        if one["symmetry_ring"] == 1:
            assert one["ring"] == 1
            assert one["anisotropic"] != 0
        if any(one[name] == 1 for name in VOCABULARY.ids if name.startswith("orientation")):
            assert one["symmetry_ring"] == 1
        if any(one[name] == 1 for name in VOCABULARY.ids if name.startswith("width")):
            assert one["ring"] == 1
        if one["symmetry_halo"] == 1:
            assert one["halo"] == 1
