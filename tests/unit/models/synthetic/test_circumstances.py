"""What stands in the beam, the detector and the whole frame, on scenes built by hand."""

from dataclasses import replace

import numpy as np
import pytest

from scatterlens_models.synthetic.circumstances import CIRCUMSTANCES
from scatterlens_models.synthetic.dataset import simulate
from scatterlens_models.synthetic.detectability import judge
from scatterlens_models.synthetic.labels import label
from scatterlens_models.synthetic.lattices import reflections
from scatterlens_models.synthetic.render import render
from scatterlens_models.synthetic.scene import Shadow
from scatterlens_models.vocabulary import load_vocabulary

FULL = load_vocabulary("full")
EXPERIMENTAL = load_vocabulary("experimental20")
STOP = Shadow("disk", 1e-6, ((0.5, 0.5),), 0.04)
HOLDER = Shadow("polygon", 0.01, ((0.7, -0.1), (0.7, 1.1), (1.1, 1.1), (1.1, -0.1)))


def judged(scene, vocabulary=FULL):
    rendered = render(scene)
    return label(scene, judge(scene, rendered), rendered, vocabulary)


def values(scene, vocabulary=FULL) -> dict[str, int]:
    return dict(zip(vocabulary.ids, judged(scene, vocabulary).labels.tolist(), strict=True))


def test_nothing_that_scatters_is_an_empty_frame(scene_of, ring):
    assert values(scene_of())["empty"] == 1
    assert values(scene_of(ring(60, target=6)))["empty"] == -1
    assert values(scene_of(ring(60, target=60)))["empty"] == 0


def test_a_stop_is_seen_by_the_light_that_it_takes(scene_of, ring):
    scene = scene_of(ring(60), stop="circular", shadows=(STOP,))
    found = values(scene)
    assert (found["beamstop_circular"], found["beamstop_linear"], found["shadow"]) == (1, 0, 0)
    unlit = replace(scene, background=replace(scene.background, flat=1e-4))
    assert values(unlit)["beamstop_circular"] == 0
    assert values(replace(scene, dark=True))["beamstop_circular"] == 0


def test_the_evidence_of_a_shadow_is_what_it_darkens(scene_of, ring):
    scene = scene_of(ring(60), stop="circular", shadows=(STOP, HOLDER))
    made = judged(scene)
    shadow, stop = (
        made.evidence[FULL.index(name)].astype(float) for name in ("shadow", "beamstop_circular")
    )
    assert shadow[22:].sum() / shadow.sum() > 0.99
    assert stop[13:19, 13:19].sum() / stop.sum() > 0.95


def test_gaps_are_those_of_modules_and_not_the_padding(scene_of, ring):
    inside = {"crop": (0, 0, 1043, 981), "beam_yx": (520.0, 490.0)}
    assert values(scene_of(ring(60), detector="pilatus_1m", **inside))["detector_gaps"] == 1
    single = {"crop": (0, 0, 195, 487), "beam_yx": (97.0, 243.0)}
    assert values(scene_of(ring(60), detector="pilatus_100k", **single))["detector_gaps"] == 0
    assert values(scene_of(ring(60)))["detector_gaps"] == 0


def test_saturation_is_where_the_detector_can_count_no_further(scene_of):
    scene = scene_of()
    for beam, expected in ((1e6, 1), (4e4, -1), (1e3, 0)):
        spot = replace(scene, background=replace(scene.background, beam=beam, beam_sigma=(2, 2)))
        made = judged(spot)
        assert made.labels[FULL.index("saturation")] == expected
    bright = replace(scene, background=replace(scene.background, beam=1e6, beam_sigma=(2, 2)))
    rows, cols = np.nonzero(judged(bright).evidence[FULL.index("saturation")])
    assert abs(rows.mean() - 15.5) < 1
    assert abs(cols.mean() - 15.5) < 1


@pytest.mark.parametrize(
    ("target", "weak", "strong"),
    [(8, -1, 0), (15.5, 1, 0), (19.5, -1, 0), (60, 0, 0), (280, 0, -1), (600, 0, 1)],
)
def test_scattering_is_weak_or_strong_by_its_detectability(scene_of, ring, target, weak, strong):
    found = values(scene_of(ring(60, target=target)))
    assert (found["weak_scattering"], found["strong_scattering"]) == (weak, strong)


def test_background_is_high_where_it_outshines_every_feature(scene_of, ring):
    scene = scene_of(ring(60, target=30))
    bright = replace(scene, background=replace(scene.background, flat=200.0))
    assert values(bright)["high_background"] == 1
    assert values(scene_of(ring(60, target=2000)))["high_background"] == 0


def test_a_beam_off_the_image_is_labelled(scene_of, ring):
    assert values(scene_of(ring(60)))["beam_off_image"] == 0
    assert values(scene_of(ring(60), beam_yx=(-300.0, 900.0)))["beam_off_image"] == 1


@pytest.mark.parametrize(
    ("lattice", "orders", "known"),
    [("lamellar", 2, True), ("lamellar", 1, False), ("bcc", 3, True), ("hexagonal", 2, False)],
)
def test_a_lattice_needs_enough_visible_orders(scene_of, ring, lattice, orders, known):
    ratios, _ = reflections(lattice, orders)
    scene = scene_of(ring(*(40 * ratios), lattice=lattice))
    assert values(scene)[lattice] == int(known)
    assert values(scene)["many_rings"] == 0


def test_silver_behenate_is_told_from_other_layers(scene_of, ring):
    family = ring(30, 60, 90, lattice="lamellar")
    spacing = 2 * np.pi / 58.380
    behenate = replace(family, positions=(spacing, 2 * spacing, 3 * spacing))
    near = {"distance_m": 0.5}
    assert values(scene_of(behenate, **near))["agbh"] == 1
    stretched = tuple(1.01 * q for q in behenate.positions)
    assert values(scene_of(replace(behenate, positions=stretched), **near))["agbh"] == 0


@pytest.mark.parametrize(
    ("chi_deg", "z", "xy"), [(0, 1, 0), (190, 1, 0), (15, -1, 0), (45, 0, 0), (-80, 0, 1)]
)
def test_orientation_is_told_from_the_vertical(scene_of, ring, chi_deg, z, xy):
    oriented = ring(60, fold=2, eta=0.7, chi=(float(np.deg2rad(chi_deg)),), kernel="poisson")
    found = values(scene_of(oriented))
    assert (found["oriented_z"], found["oriented_xy"]) == (z, xy)
    assert values(scene_of(oriented), EXPERIMENTAL)["ring_oriented_z"] == z


def test_qualities_of_rings_and_halos_are_told_apart(scene_of, ring):
    halo = replace(ring(50, width=0.3), kind="halo", fold=6, eta=0.5, chi=(0.0,), kernel="poisson")
    found = values(scene_of(halo, ring(90)), EXPERIMENTAL)
    assert [found[name] for name in ("symmetry_halo_6", "ring_isotropic")] == [1, 1]
    assert [found[name] for name in ("symmetry_ring", "halo_isotropic", "ring_anisotropic")] == [
        0
    ] * 3


def test_every_vocabulary_says_the_same_of_a_shared_attribute():
    for index in range(0, 3000, 150):
        labels = {}
        for vocabulary in (FULL, EXPERIMENTAL, load_vocabulary("aam20")):
            made = simulate(5, index, vocabulary=vocabulary.name).labelled
            for name, value in zip(vocabulary.ids, made.labels.tolist(), strict=True):
                assert labels.setdefault(name, value) == value, (index, name)


def test_every_circumstance_is_in_the_full_vocabulary():
    assert set(FULL.ids) >= CIRCUMSTANCES
