"""Labels: which attributes a scene carries, from its parameters and what can be seen of them.

Shapes: K terms, A attributes; labels are int8 {1 present, 0 absent, -1 unsure}.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scatterlens_models.synthetic.circumstances import CIRCUMSTANCES, judge_circumstances
from scatterlens_models.synthetic.curves import Term
from scatterlens_models.synthetic.detectability import EVIDENCE_SIDE, RULES, Visibility
from scatterlens_models.synthetic.lattices import BEHENATE_Q
from scatterlens_models.synthetic.paper import paper_tags
from scatterlens_models.synthetic.profiles import coverage as grain_coverage
from scatterlens_models.synthetic.render import Rendered
from scatterlens_models.synthetic.scene import Component, SceneParams
from scatterlens_models.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Labelled:
    """Labels of one frame in the order of a vocabulary."""

    labels: np.ndarray
    """(A,) int8."""
    dprime: np.ndarray
    """(A,) float32, of the strongest component that speaks for the attribute; 0 without."""
    evidence: np.ndarray
    """(A, 32, 32) uint8, 255 at the largest weight; zero where the label is not 1."""


class _Ballot:
    """Collects, per attribute, what speaks for it."""

    def __init__(self, vocabulary: Vocabulary, visibility: Visibility):
        self._index = {name: i for i, name in enumerate(vocabulary.ids)}
        self._evidence = visibility.evidence
        self._dprime = visibility.dprime
        self.labels = np.zeros(len(vocabulary.ids), dtype=np.int8)
        self.dprime = np.zeros(len(vocabulary.ids), dtype=np.float32)
        self.maps = np.zeros((len(vocabulary.ids), EVIDENCE_SIDE, EVIDENCE_SIDE))

    def vote(self, attribute: str, dprime: float, terms: list[int], certain: bool = True) -> None:
        """Speak for an attribute; what geometry hides (`certain` false) is unsure at best."""
        limits = RULES["detectability"]
        index = self._index.get(attribute)
        if index is None or dprime < limits["unsure"] * (1 - limits["guard"]):
            return
        self.dprime[index] = max(self.dprime[index], dprime)
        if certain and dprime >= limits["present"] * (1 + limits["guard"]):
            self.labels[index] = 1
            self.maps[index] += self._evidence[terms].sum(0)
        elif self.labels[index] == 0:
            self.labels[index] = -1

    def tag(self, attribute: str, terms: list[int]) -> None:
        """Call an attribute present, visible or not."""
        index = self._index.get(attribute)
        if index is not None:
            self.labels[index] = 1
            self.dprime[index] = max(self.dprime[index], float(self._dprime[terms].max()))
            self.maps[index] += self._evidence[terms].sum(0)

    def state(self, attribute: str, value: int, dprime: float, evidence: np.ndarray) -> None:
        """Say what is known of an attribute that no component carries."""
        index = self._index.get(attribute)
        if index is not None:
            self.labels[index], self.dprime[index] = value, dprime
            if value == 1:
                self.maps[index] = evidence

    def count(self) -> Labelled:
        """The labels that all votes together make."""
        peak = self.maps.reshape(len(self.maps), -1).max(1)[:, None, None]
        evidence = np.round(255 * self.maps / np.maximum(peak, 1e-30)).astype(np.uint8)
        return Labelled(self.labels, self.dprime, evidence)


def label(
    scene: SceneParams, visibility: Visibility, rendered: Rendered, vocabulary: Vocabulary
) -> Labelled:
    """Apply the rules to every component of a scene, and to what stands round it."""
    ballot = _Ballot(vocabulary, visibility)
    if scene.profile == "paper":
        _tag_components(ballot, scene, visibility, rendered)
    else:
        _vote_components(ballot, scene, visibility, rendered.terms)
    if not CIRCUMSTANCES.isdisjoint(vocabulary.ids):
        for name, found in judge_circumstances(scene, visibility, rendered).items():
            ballot.state(name, *found)
    return ballot.count()


class NeedsImagesError(ValueError):
    """A vocabulary or profile whose labels need a scene's images; the message says which."""


def label_components(
    scene: SceneParams, terms: Sequence[Term], visibility: Visibility, vocabulary: Vocabulary
) -> Labelled:
    """Labels that follow from components alone, without any image.

    Raises:
        NeedsImagesError: some attribute, or the profile, asks for more.
    """
    more = sorted(CIRCUMSTANCES.intersection(vocabulary.ids))
    if more or scene.profile == "paper":
        raise NeedsImagesError(
            f"labels of {', '.join(more) or 'the profile paper'} need the images of a scene;"
            " use `simulate`, or the vocabulary aam20 with the profile realistic"
        )
    ballot = _Ballot(vocabulary, visibility)
    _vote_components(ballot, scene, visibility, terms)
    return ballot.count()


def _tag_components(
    ballot: _Ballot, scene: SceneParams, visibility: Visibility, rendered: Rendered
) -> None:
    """The rules of the profile `paper`, from counts."""
    for number, component in enumerate(scene.components):
        own = _own(rendered.terms, number)
        counts = visibility.amplitudes[number] * rendered.images[own].numpy()
        for name, terms in paper_tags(component, counts).items():
            ballot.tag(name, [own[k] for k in terms])


def _own(terms: Sequence[Term], number: int) -> list[int]:
    return [k for k, term in enumerate(terms) if term.component == number]


def _vote_components(
    ballot: _Ballot, scene: SceneParams, visibility: Visibility, terms: Sequence[Term]
) -> None:
    for number, component in enumerate(scene.components):
        _RULES_OF[component.kind](ballot, component, _own(terms, number), visibility)
    if scene.instrument.technique == "giwaxs":  # whether rings are those of a film is hard to say
        ballot.state("gisaxs", -1, 0.0, np.zeros((EVIDENCE_SIDE, EVIDENCE_SIDE)))


def _vote_evenness(
    ballot: _Ballot,
    component: Component,
    which: str,
    dprime: float,
    modulation: float,
    terms: list[int],
    azimuth: float,
) -> None:
    """Anisotropic or isotropic, in general and of this kind, from the parameters alone."""
    rule = RULES["geometry"]
    wide = azimuth >= rule["isotropic_azimuth_deg"]
    for prefix in ("", f"{which}_"):
        if component.ellipticity > RULES["ellipse"]["anisotropic"]:
            ballot.vote(f"{prefix}anisotropic", dprime, terms, wide)
        elif component.eta > 0:
            ballot.vote(f"{prefix}anisotropic", modulation, terms, wide)
            if modulation < RULES["detectability"]["present"]:
                ballot.vote(f"{prefix}isotropic", dprime, terms, certain=False)
        elif not component.grains:
            ballot.vote(f"{prefix}isotropic", dprime, terms, wide)


def _vote_symmetry(
    ballot: _Ballot,
    component: Component,
    which: str,
    modulation: float,
    k: int,
    azimuth: float,
    order: int,
) -> None:
    enough = azimuth >= RULES["geometry"]["periods"] * 360 / component.fold
    for name in (which, f"{which}_{component.fold}"):
        ballot.vote(f"symmetry_{name}", modulation, [k], enough)
    ballot.vote(f"symmetry_{component.fold}", modulation, [k], enough)
    if component.fold == 2:
        limits = RULES["direction"]
        for axis, direction in (("z", 0.0), ("xy", 90.0)):
            turn = (np.rad2deg(component.chi[order]) - direction + 90) % 180 - 90
            if abs(turn) < limits["within_deg"] + limits["guard_deg"]:
                clear = enough and abs(turn) < limits["within_deg"] - limits["guard_deg"]
                ballot.vote(f"oriented_{axis}", modulation, [k], clear)
                ballot.vote(f"{which}_oriented_{axis}", modulation, [k], clear)


def _rings(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
    rule = RULES["geometry"]
    shown = [k for k in own if seen.azimuth_deg[k] >= rule["ring_azimuth_deg"]]
    limit = RULES["detectability"]["unsure"]
    for k in own:
        d, m, azimuth = float(seen.dprime[k]), float(seen.modulation[k]), seen.azimuth_deg[k]
        certain = k in shown
        ballot.vote("ring", d, [k], certain)
        limits = RULES["width"]
        width = "intermediate"
        if component.width < limits["sharp"]:
            width = "sharp"
        elif component.width > limits["broad"]:
            width = "broad"
        ballot.vote(f"width_{width}", d, [k], certain)
        _vote_evenness(ballot, component, "ring", d, m, [k], float(azimuth))
        if component.ellipticity > RULES["ellipse"]["anisotropic"]:
            ballot.vote("oval_ring", d, [k], certain)
        if component.fold and not component.grains:
            _vote_symmetry(ballot, component, "ring", m, k, float(azimuth), own.index(k))
            _vote_orientation(ballot, component, m, k, float(azimuth))
        elif component.fold:  # grains hide the symmetry that shapes their intensities
            for name in ("ring", f"ring_{component.fold}", f"{component.fold}"):
                ballot.vote(f"symmetry_{name}", m, [k], certain=False)
            for name in ("sharp", "intermediate", "broad"):
                ballot.vote(f"orientation_{name}", m, [k], certain=False)
        if component.grains:
            order = own.index(k)
            covered = grain_coverage(component.grains[order], component.mosaic)
            spotted = covered < RULES["grains"]["spotted"]
            names = ("spotted", "ring_spotted", "peaks_along_ring")
            for name in names if spotted else ("textured", "polycrystalline"):
                ballot.vote(name, m, [k], certain)
    visible = sorted((k for k in shown if seen.dprime[k] >= limit), key=lambda k: -seen.dprime[k])
    # The strongest ring is the first; each further one that is visible is a higher order.
    for k in visible[1:]:
        ballot.vote("higher_orders", float(seen.dprime[k]), [k])
    # A family shows what it is once its last needed order is visible.
    needed = {"many_rings": RULES["orders"]["many"]}
    if component.lattice:
        needed[component.lattice] = RULES["orders"][
            "lamellar" if component.lattice == "lamellar" else "lattice"
        ]
    for name, count in needed.items():
        if len(visible) >= count:
            ballot.vote(name, float(seen.dprime[visible[count - 1]]), visible)
    if visible and _is_behenate(component):
        ballot.vote("agbh", float(seen.dprime[visible[0]]), visible)


def _is_behenate(component: Component) -> bool:
    orders = np.array(component.positions) / BEHENATE_Q
    return component.lattice == "lamellar" and bool(np.allclose(orders, np.round(orders), 1e-6))


def _vote_orientation(
    ballot: _Ballot, component: Component, modulation: float, k: int, azimuth: float
) -> None:
    limits = RULES["orientation"]
    kind = "intermediate"
    if component.eta > limits["sharp"]:
        kind = "sharp"
    elif component.eta < limits["broad"]:
        kind = "broad"
    enough = azimuth >= RULES["geometry"]["periods"] * 360 / component.fold
    ballot.vote(f"orientation_{kind}", modulation, [k], enough)


def _halo(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
    k = own[0]
    d, m, azimuth = float(seen.dprime[k]), float(seen.modulation[k]), float(seen.azimuth_deg[k])
    ballot.vote("halo", d, [k], azimuth >= RULES["geometry"]["ring_azimuth_deg"])
    _vote_evenness(ballot, component, "halo", d, m, [k], azimuth)
    if component.fold:
        _vote_symmetry(ballot, component, "halo", m, k, azimuth, 0)


def _smooth(attribute: str):
    """Rule of a smooth curve that is one attribute as a whole."""

    def rule(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
        k = own[0]
        d = float(seen.dprime[k])
        ballot.vote(attribute, d, [k])
        _vote_evenness(ballot, component, attribute, d, 0.0, [k], 360.0)

    return rule


def _crystal(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
    """Spots of one crystal: whether they make a ring is not for us to say."""
    k = own[0]
    d = float(seen.dprime[k])
    for name in ("anisotropic", "higher_orders", "peaks_isolated"):
        ballot.vote(name, d, [k])
    ballot.vote(f"symmetry_{component.fold}", d, [k])
    for name in ("ring", "spotted", "symmetry_ring", "width_sharp", "width_intermediate"):
        ballot.vote(name, d, [k], certain=False)


def _gisaxs(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
    """Diffuse scattering at the Yoneda line, rods, and the specular rod."""
    d = [float(seen.dprime[k]) for k in own]
    for name in ("diffuse_low_q", "yoneda", "horizon"):
        ballot.vote(name, d[0], own[:1])
    ballot.vote("specular_rod", d[-1], own[-1:])
    if component.params["rods"]:
        ballot.vote("bragg_rods", d[1], own[1:2])
    for k, value in zip(own, d, strict=True):
        ballot.vote("anisotropic", value, [k])
        ballot.vote("gisaxs", value, [k])


def _fibre(ballot: _Ballot, component: Component, own: list[int], seen: Visibility) -> None:
    """Equatorial streak and layer lines: arcs or peaks, whichever one calls them."""
    d = [float(seen.dprime[k]) for k in own]
    ballot.vote("diffuse_low_q", d[0], own[:1])
    for order, (k, value) in enumerate(zip(own, d, strict=True)):
        for name in ("anisotropic", "symmetry_2", "fibre"):
            ballot.vote(name, value, [k])
        if order == 0:
            continue
        ballot.vote("higher_orders", value, [k], certain=order > 1)
        for name in ("ring", "symmetry_ring", "peaks_isolated", "spotted", "textured"):
            ballot.vote(name, value, [k], certain=False)
        for name in ("sharp", "intermediate", "broad"):
            ballot.vote(f"width_{name}", value, [k], certain=False)
            ballot.vote(f"orientation_{name}", value, [k], certain=False)
    for name in ("oriented_xy", "oriented_z"):
        ballot.vote(name, max(d), own, certain=False)


_RULES_OF = {
    "rings": _rings,
    "halo": _halo,
    "low_q": _smooth("diffuse_low_q"),
    "form_factor": _smooth("diffuse_low_q"),
    "high_q": _smooth("diffuse_high_q"),
    "crystal": _crystal,
    "fibre": _fibre,
    "gisaxs": _gisaxs,
}
