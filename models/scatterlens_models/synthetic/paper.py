"""Profile `paper`: the ranges and rules of the published generator, faults included.

For comparison with published figures alone (Guan et al., WACV 2020, and the generator of its
lineage). Faults that are kept on purpose, and only here:
- "higher orders" is said of any family of several rings, even if one of them can be seen;
- tags follow from counts before noise, so many tagged features drown in the background;
- the background is white Gaussian noise, whose variance has nothing to do with counting;
- q0 piles up at its lower bound, where 38 % of the draws are clipped;
- the "hexagonal" table is that of a three-dimensional packing.

Where the published description is silent, the plainest reading is taken: peak counts are
log-uniform in 1..1e4; ad hoc families have 1 to 8 rings; a mesostructure is a disordered assembly
of spheres, that is the coherent halo of their distance and the form factor of spheres that fit into
it; the hole 1 - exp(-s^2 q^2) of coherent halos towards the beam has s q0 of 1 to 3; the blur of
beamstops is the width over which their edges fade. Left out: silver behenate, which the published
mix of classes does not name. q is in 1/Å, lengths are in Å.
"""

import numpy as np

from scatterlens_models.synthetic.draws import generator, log_uniform, pick
from scatterlens_models.synthetic.lattices import reflections
from scatterlens_models.synthetic.profiles import sphere
from scatterlens_models.synthetic.scene import (
    Background,
    Component,
    Instrument,
    SceneParams,
    Shadow,
)

_SIDE = 256
_FWHM = 2.3548
_KEY = 0x9A9E
_GROUP_KEY = _KEY ^ 0xE
_CLASSES = {
    "symmetric_ring": 0.05, "symmetric_halo": 0.05, "symmetric_orders": 0.1, "sphere": 0.2,
    "lattice": 0.2, "distorted": 0.02, "ad_hoc": 0.2, "speckled": 0.2, "coherent_halo": 0.2,
    "mesostructure": 0.1,
}  # fmt: skip
_PACKED = np.sqrt(np.array([3, 4, 7, 12, 13, 16]) / 3)


def sample_paper(seed: int, index: int, group_size: int) -> SceneParams:
    """Draw frame `index`; the same arguments give the same parameters."""
    group = index // group_size
    rng = generator(seed ^ _KEY, index)
    level = float(rng.uniform(0, 2000)) if rng.random() < 0.4 else 0.0
    noise = level * float(rng.uniform(0.05, 1.0))
    instrument = _instrument(generator(seed ^ _GROUP_KEY, group), level, noise)
    components: list[Component] = []
    for _ in range(1 + int(rng.poisson(0.3))):
        components += _contribution(rng)
    if rng.random() < 0.4:
        components += _diffuse(rng)
    defects = rng.random() < 0.1
    return SceneParams(
        seed=seed,
        index=index,
        group=group,
        profile="paper",
        instrument=instrument,
        background=_background(rng, instrument, defects),
        components=tuple(components),
        hot_share=0.0,
        dead_share=0.0,
        zingers=int(rng.poisson(4)) if defects and rng.random() < 0.5 else 0,
        dark=False,
    )


def _instrument(rng: np.random.Generator, level: float, noise: float) -> Instrument:
    """The white background is what a CCD would call its pedestal and read noise."""
    beam = rng.uniform(-0.05, 1.05, 2)
    kind = pick(rng, {"none": 0.25, "linear": 0.25, "circular": 0.25, "wedge": 0.25})
    center = (float(beam[0]), float(beam[1]))
    below = (2.5, center[1])
    shadows: list[Shadow] = []
    blur = float(rng.uniform(1, 10)) / _SIDE
    if kind == "linear":
        half = float(rng.uniform(2, 7.5)) / _SIDE
        shadows.append(Shadow("bar", 1e-6, (center, below), half, blur))
    if kind == "circular":
        radius = float(rng.uniform(2, 12.5)) / _SIDE
        shadows.append(Shadow("disk", 1e-6, (center,), radius, blur))
        shadows.append(Shadow("wedge", 1e-6, (center, below), float(np.deg2rad(2)), blur))
    if kind == "wedge":
        spread = float(np.deg2rad(rng.uniform(10, 20)))
        shadows.append(Shadow("wedge", 1e-6, (center, below), spread, blur))
    if rng.random() < 0.05:
        shadows.append(Shadow("tube", 1e-6, ((0.5, 0.5),), float(rng.uniform(0.3, 0.6))))
    return Instrument(
        detector="ideal_256",
        technique="saxs",
        transposed=False,
        crop=(0, 0, _SIDE, _SIDE),
        energy_kev=8.8984,
        distance_m=4.755 / 8,
        beam_yx=(center[0] * _SIDE, center[1] * _SIDE),
        stop=kind,
        shadows=tuple(shadows),
        pedestal=level,
        read_noise=noise,
    )


def _background(rng: np.random.Generator, instrument: Instrument, defects: bool) -> Background:
    streak = 100.0 if defects and rng.random() < 0.5 else 0.0
    open_beam = instrument.stop == "none"
    return Background(
        flat=1e-6,
        air=0.0,
        window=0.0,
        window_radius=0.1,
        streak=streak,
        streak_angle=float(rng.choice([0, np.pi / 2])),
        beam=1e5 if open_beam else 0.0,
        beam_sigma=(float(rng.uniform(4, 10)) / _FWHM, float(rng.uniform(2, 5)) / _FWHM),
        gradient=(0.0, 0.0),
    )


# What scatters


def _q0(rng: np.random.Generator) -> float:
    return float(np.clip(rng.normal(0.02, 0.04), 0.008, 0.1))


def _peak(rng: np.random.Generator) -> dict[str, float]:
    """Counts at the strongest maximum."""
    return {"peak": log_uniform(rng, 1, 1e4)}


def _turned(rng: np.random.Generator, rings: int) -> dict:
    return {
        "fold": int(np.clip(2 * round(rng.lognormal(0, 0.75)), 2, 20)),
        "eta": float(np.clip(rng.normal(0.3, 1), 0.2, 0.95)),
        "chi": (float(rng.uniform(0, 2 * np.pi)),) * rings,
        "kernel": "poisson",
    }


def _rings(rng: np.random.Generator, ratios: np.ndarray, weights: np.ndarray, **rest) -> Component:
    positions = _q0(rng) * ratios
    heights = weights / weights.max()
    return Component(
        kind="rings",
        target=0.0,
        profile="gaussian",
        params=_peak(rng),
        positions=tuple(float(q) for q in positions),
        weights=tuple(float(w) for w in heights),
        **rest,
    )


def _symmetric_ring(rng: np.random.Generator) -> Component:
    width = float(rng.uniform(0.01, 0.2))
    return _rings(rng, np.ones(1), np.ones(1), width=width, **_turned(rng, 1))


def _symmetric_orders(rng: np.random.Generator) -> Component:
    ratios = np.arange(1.0, 9.0)
    damped = np.exp(-(rng.uniform(0.1, 0.6) * ratios))
    width = float(rng.uniform(0.01, 0.2))
    return _rings(rng, ratios, damped, width=width, **_turned(rng, len(ratios)))


def _ad_hoc(rng: np.random.Generator) -> Component:
    count = int(rng.integers(1, 9))
    ratios = np.concatenate([[1.0], np.sort(rng.uniform(1, 6, count - 1))])
    return _rings(rng, ratios, rng.uniform(0.05, 1, count), width=float(rng.uniform(0.01, 0.04)))


def _speckled(rng: np.random.Generator) -> Component:
    """Rings of 2 to 14 kernels at random directions each."""
    count = int(rng.integers(1, 5))
    ratios = np.concatenate([[1.0], np.sort(rng.uniform(1, 5, count - 1))])
    return _rings(
        rng,
        ratios,
        rng.uniform(0.05, 1, count),
        width=float(rng.uniform(0.005, 0.03)),
        fold=int(rng.choice([2, 4, 6])),
        eta=float(rng.uniform(0.5, 0.95)),
        kernel="speckled",
        grains=tuple(int(n) for n in rng.integers(2, 15, count)),
        grain_seed=int(rng.integers(2**31)),
    )


def _particles(rng: np.random.Generator) -> tuple[str, np.ndarray, np.ndarray]:
    """A lattice of spheres: name, ratios, heights with form factor and Debye-Waller factor."""
    name = str(rng.choice(["bcc", "fcc", "hexagonal", "lamellar"]))
    ratios, multiplicity = reflections(name, 10)
    if name == "hexagonal":
        ratios, multiplicity = _PACKED, np.full(len(_PACKED), 6.0)
    size = float(rng.uniform(0.3, 2.0))
    form = sphere(ratios, size, 0.05)
    damping = np.exp(-((rng.uniform(0.02, 0.08) * 2 * np.pi * ratios) ** 2))
    return name, ratios, multiplicity * form * damping / ratios**2


def _lattice(rng: np.random.Generator) -> Component:
    name, ratios, heights = _particles(rng)
    return _rings(rng, ratios, heights, width=float(rng.uniform(0.01, 0.1)), lattice=name)


def _distorted(rng: np.random.Generator) -> Component:
    name, ratios, heights = _particles(rng)
    return _rings(
        rng,
        ratios,
        heights,
        width=float(rng.uniform(0.01, 0.1)),
        lattice=name,
        ellipticity=float(2 * rng.lognormal(0, 0.5)),
        chi=(float(rng.uniform(0, np.pi)),),
    )


def _sphere(rng: np.random.Generator) -> Component:
    params = {"radius": float(10 ** rng.uniform(1.5, 3.5)), "polydispersity": 0.1, **_peak(rng)}
    return Component("form_factor", 0.0, profile="sphere", params=params)


def _halo(rng: np.random.Generator, q: float, low: float, hole: float = 0.0, **rest) -> Component:
    """A halo at q, with a hole towards the beam of radius 1 / `hole` (Å) where that is not 0."""
    return Component(
        kind="halo",
        target=0.0,
        profile="gaussian",
        params=_peak(rng) | ({"hole": hole} if hole else {}),
        positions=(q,),
        weights=(1.0,),
        width=float(rng.uniform(low, 0.6)),
        **rest,
    )


def _symmetric_halo(rng: np.random.Generator) -> Component:
    return _halo(rng, _q0(rng), 0.3, **_turned(rng, 1))


def _coherent_halo(rng: np.random.Generator) -> Component:
    q = _q0(rng)
    return _halo(rng, q, 0.1, hole=float(rng.uniform(1, 3)) / q)


def _mesostructure(rng: np.random.Generator) -> list[Component]:
    """Spheres at a common distance: their coherent halo, and spheres that do not overlap."""
    halo = _coherent_halo(rng)
    distance = 2 * np.pi / halo.positions[0]
    params = {
        "radius": float(rng.uniform(0.2, 0.5)) * distance,
        "polydispersity": 0.1,
        "peak": halo.params["peak"],
    }
    return [halo, Component("form_factor", 0.0, profile="sphere", params=params)]


def _contribution(rng: np.random.Generator) -> list[Component]:
    name = pick(rng, _CLASSES)
    return _mesostructure(rng) if name == "mesostructure" else [_DRAWS[name](rng)]


def _diffuse(rng: np.random.Generator) -> list[Component]:
    """Scattering at low q (even 0.3, stretched 0.15) and at high q."""
    found = []
    for share, stretch in ((0.3, 1.0), (0.15, float(rng.uniform(1.4, 3)))):
        if rng.random() < share:
            profile = str(rng.choice(["porod", "ornstein_zernike", "debye_bueche", "guinier"]))
            params = {"length": log_uniform(rng, 10, 1e4), "peak": log_uniform(rng, 1e2, 1e6)}
            if profile == "porod":
                params["exponent"] = float(rng.uniform(1.8, 4.5))
            if profile == "guinier":
                params["length"] = float(rng.uniform(100, 1000))
            chi = (float(rng.uniform(0, np.pi)),)
            found.append(
                Component(
                    "low_q", 0.0, profile=profile, params=params, ellipticity=stretch, chi=chi
                )
            )
    if rng.random() < 0.3:
        params = {"length": 10 ** float(rng.uniform(-2, 2.2)), "peak": log_uniform(rng, 10, 1000)}
        found.append(Component("high_q", 0.0, profile="high_q", params=params))
    return found


_DRAWS = {
    "symmetric_ring": _symmetric_ring,
    "symmetric_halo": _symmetric_halo,
    "symmetric_orders": _symmetric_orders,
    "sphere": _sphere,
    "lattice": _lattice,
    "distorted": _distorted,
    "ad_hoc": _ad_hoc,
    "speckled": _speckled,
    "coherent_halo": _coherent_halo,
}


# What is tagged


def paper_tags(component: Component, counts: np.ndarray) -> dict[str, list[int]]:
    """Attributes of one component and the terms that speak for each.

    Args:
        component: what scatters.
        counts: (K, H, W) expected counts of its terms.
    """
    gates = {"rings": (0.05, 100), "halo": (0.1, 100), "high_q": (10.0, 400)}
    stretched = component.ellipticity != 1
    gates |= dict.fromkeys(("low_q", "form_factor"), (20.0, 500) if stretched else (10.0, 400))
    level, pixels = gates[component.kind]
    seen = [k for k, image in enumerate(counts) if np.count_nonzero(image > level) > pixels]
    if not seen:
        return {}
    even = not component.fold and not stretched
    tags = {"isotropic" if even else "anisotropic": seen}
    if component.kind in ("low_q", "form_factor"):
        return tags | {"diffuse_low_q": seen}
    if component.kind == "high_q":
        return tags | {"diffuse_high_q": seen}
    style = _style(component)
    if component.kind == "halo":
        tags["halo"] = seen
        if component.fold:
            tags |= {"symmetry_halo": seen, f"symmetry_{component.fold}": seen}
        return tags
    tags |= {"ring": seen, f"width_{style['width']}": seen}
    if len(component.positions) > 1:  # of the family, whatever can be seen of it
        tags["higher_orders"] = seen
    if component.kernel == "speckled":
        tags |= {"spotted" if component.eta > 0.75 else "textured": seen}
    if component.fold:
        tags |= {"symmetry_ring": seen, f"symmetry_{component.fold}": seen}
        tags[f"orientation_{style['orientation']}"] = seen
    return tags


def _style(component: Component) -> dict[str, str]:
    width = "sharp" if component.width < 0.025 else "broad" if component.width > 0.1 else ""
    turned = "sharp" if component.eta > 0.75 else "broad" if component.eta < 0.3 else ""
    return {"width": width or "intermediate", "orientation": turned or "intermediate"}
