"""Draws what scatters: families of rings, halos, grains, crystals, films and smooth curves.

Positions are drawn within the range of q that the instrument sees, so that every geometry is of
use; brightness is drawn as the detectability that the component shall have.
"""

import numpy as np

from scatterlens_models.synthetic.draws import log_uniform, pick
from scatterlens_models.synthetic.geometry import q_at, radius_at
from scatterlens_models.synthetic.halos import maximum
from scatterlens_models.synthetic.lattices import BEHENATE_Q, reflections
from scatterlens_models.synthetic.scene import Component, Instrument
from scatterlens_models.synthetic.view import View

_MAX_RINGS = 9
_MAX_POWDER_RINGS = 16
_COMPONENT_WEIGHTS = {
    "symmetric_ring": 0.23, "symmetric_orders": 0.20, "symmetric_halo": 0.19, "powder": 0.10,
    "oval": 0.03, "random_rings": 0.05, "grains": 0.22, "halo": 0.09, "form_factor": 0.07,
    "standard": 0.04, "crystal": 0.05, "fibre": 0.04,
}  # fmt: skip
_FOLDS = {2: 0.40, 4: 0.26, 6: 0.25, 8: 0.05, 12: 0.04}
_KERNELS = ("poisson", "von_mises", "gaussian")


def draw_components(rng: np.random.Generator, instrument: Instrument) -> tuple[Component, ...]:
    """Draw everything that scatters in one frame, at places that the instrument sees."""
    view = View(instrument)
    found: list[Component] = []
    if rng.random() > 0.08:
        for _ in range(1 + min(int(rng.poisson(0.35)), 2)):
            found.append(_COMPONENTS[pick(rng, _COMPONENT_WEIGHTS)](rng, view))
    if instrument.technique == "gisaxs" and rng.random() < 0.9:
        # At grazing incidence the film's rods stand where the powder would.
        found = [*found[1:], _grazing(rng, view)]
    if rng.random() < 0.32:
        found.append(_low_q(rng, view))
    if rng.random() < 0.20:
        found.append(_high_q(rng, view))
    return tuple(found)


def _target(rng: np.random.Generator, contrast: float = np.inf) -> float:
    """Wanted d': 10 % hardly or not visible, 30 % hard, 60 % clear.

    For what varies along the azimuth with a relative spread `contrast`, the d' of that variation
    is drawn, and the d' of the whole follows.
    """
    low, high = ((1, 12), (12, 40), (40, 2000))[int(rng.choice(3, p=[0.1, 0.3, 0.6]))]
    return log_uniform(rng, low, high) * float(np.sqrt(1 + 1 / contrast**2))


def _contrast(eta: float) -> float:
    """Relative spread along the azimuth of a kernel with order parameter `eta` (Poisson's)."""
    return float(np.sqrt(2 * eta**2 / (1 - eta**2)))


def _width(rng: np.random.Generator, broad: float) -> float:
    """sigma / q outside the guard bands; `broad` is the probability of a broad ring."""
    kind = rng.choice(3, p=[(1 - broad) * 0.55, (1 - broad) * 0.45, broad])
    return log_uniform(rng, *((0.004, 0.022), (0.028, 0.09), (0.11, 0.2))[int(kind)])


def _eta(rng: np.random.Generator) -> float:
    """Order parameter outside the guard bands, of broad, intermediate and sharp orientation."""
    bands = ((0.12, 0.27), (0.33, 0.72), (0.78, 0.96))
    low, high = bands[int(rng.choice(3, p=[0.34, 0.31, 0.35]))]
    return float(rng.uniform(low, high))


def _symmetry(rng: np.random.Generator, view: View, count: int, hexagonal: bool = False) -> dict:
    fold = pick(rng, _FOLDS)
    chi = float(rng.choice([0, np.pi / 2])) + rng.normal(0, 0.05)
    film = view.instrument.technique == "giwaxs"
    if film and rng.random() < 0.8:  # textured about the surface normal
        fold = 2
    elif rng.random() < 0.6:
        chi = float(rng.uniform(0, 2 * np.pi))
    uniaxial = fold == 2 and (film or rng.random() < 0.5)
    # In a single hexagonal domain the sqrt(3) reflections stand between those of the first ring.
    turns = [
        chi + (np.pi / 6 if hexagonal and fold == 6 and order % 3 == 1 else 0.0)
        for order in range(count)
    ]
    return {
        "fold": fold,
        "eta": _eta(rng),
        "chi": tuple(float(turn) for turn in turns),
        "kernel": str(rng.choice(_KERNELS)),
        "uniaxial": uniaxial,
    }


def _family(
    rng: np.random.Generator, view: View, lattice: str, width: float, most: int = _MAX_RINGS
) -> dict:
    """Positions and weights of the rings of a lattice within the view, `most` of them at most."""
    ratios, multiplicity = reflections(lattice)
    if view.off or rng.random() < 0.15:
        order = int(rng.integers(0, min(5, len(ratios))))
        first = view.q(float(rng.uniform(0.05, 0.8))) / ratios[order]
    else:
        first = view.q(float(rng.beta(1.3, 2.6)) * 0.75)
    positions = first * ratios
    damping = np.exp(-(rng.uniform(0.05, 0.45) ** 2) * ratios**2)
    weights = multiplicity * damping * np.exp(rng.normal(0, 0.4, len(ratios))) / ratios**2
    shown = (positions < view.q_high) & (positions > 0)
    if view.off:
        low = q_at(view.instrument, np.array(view.r_low))
        shown &= positions > low * (1 - 3 * width)
    if not shown.any():  # a strip that sees hardly any range of q may miss them all
        shown[0] = True
    shown &= np.cumsum(shown) <= most
    positions, weights = positions[shown], weights[shown]
    return {
        "positions": tuple(float(q) for q in positions),
        "weights": tuple(float(w) for w in weights / weights.max()),
        "width": width,
        "lattice": lattice,
        **_shape(rng),
    }


def _shape(rng: np.random.Generator) -> dict:
    if rng.random() < 0.3:
        return {"profile": "pseudo_voigt", "params": {"mixing": float(rng.uniform(0.1, 0.6))}}
    return {"profile": "gaussian"}


def _single(rng: np.random.Generator, view: View, width: float) -> dict:
    return {
        "positions": (view.q(float(rng.beta(1.6, 1.6)) * 0.92 + 0.04),),
        "weights": (1.0,),
        "width": width,
        **_shape(rng),
    }


def _lattice(rng: np.random.Generator, width: float) -> str:
    if width > 0.1:  # broad rings of other lattices would run into one another
        return "lamellar"
    weights = {"lamellar": 0.3, "hexagonal": 0.22, "bcc": 0.14, "fcc": 0.16, "sc": 0.06}
    rare = {"gyroid": 0.05, "diamond": 0.04, "pn3m": 0.03}
    return pick(rng, weights | rare)


def _powder(rng: np.random.Generator, view: View) -> Component:
    width, most = _width(rng, 0.12), _MAX_RINGS
    if rng.random() < 0.4:  # well crystallised: thin rings as far as the corners
        width, most = log_uniform(rng, 0.003, 0.012), _MAX_POWDER_RINGS
    family = _family(rng, view, _lattice(rng, width), width, most)
    return Component("rings", _target(rng), **family)


def _oval(rng: np.random.Generator, view: View) -> Component:
    width = _width(rng, 0.1)
    family = _family(rng, view, _lattice(rng, width), width)
    stretch = float(rng.uniform(1.35, 1.9))
    turn = float(rng.uniform(0, np.pi))
    return Component("rings", _target(rng), **family, ellipticity=stretch, chi=(turn,))


def _random_rings(rng: np.random.Generator, view: View) -> Component:
    count = 1 + int(rng.integers(1, 6))
    positions = sorted(view.q(float(share)) for share in rng.uniform(0.03, 0.97, count))
    weights = np.exp(rng.normal(0, 0.7, count))
    return Component(
        "rings",
        _target(rng),
        positions=tuple(positions),
        weights=tuple(float(w) for w in weights / weights.max()),
        width=_width(rng, 0.0),
        **_shape(rng),
    )


def _standard(rng: np.random.Generator, view: View) -> Component:
    """Silver behenate where its first order is in view, else LaB6 or CeO2."""
    width = log_uniform(rng, 0.004, 0.02)
    first, lattice = BEHENATE_Q, "lamellar"
    if view.instrument.technique in ("waxs", "giwaxs"):
        first, lattice = ((2 * np.pi / 4.15692, "sc"), (2 * np.pi * 3**0.5 / 5.4115, "fcc"))[
            int(rng.integers(2))
        ]
    ratios, multiplicity = reflections(lattice)
    positions = first * ratios
    radius = radius_at(view.instrument, positions)
    shown = (radius > view.r_low) & (radius < view.r_high)
    if not shown.any():
        return _powder(rng, view)
    weights = (multiplicity * np.exp(-0.05 * ratios**2) / ratios**2)[shown]
    return Component(
        "rings",
        _target(rng),
        profile="gaussian",
        positions=tuple(float(q) for q in positions[shown]),
        weights=tuple(float(w) for w in weights / weights.max()),
        width=width,
        lattice=lattice,
    )


def _symmetric_ring(rng: np.random.Generator, view: View) -> Component:
    family = _single(rng, view, _width(rng, 0.45))
    symmetry = _symmetry(rng, view, 1)
    return Component("rings", _target(rng, _contrast(symmetry["eta"])), **family, **symmetry)


def _symmetric_orders(rng: np.random.Generator, view: View) -> Component:
    width = _width(rng, 0.2)
    lattice = str(rng.choice(["lamellar", "hexagonal"])) if width < 0.1 else "lamellar"
    family = _family(rng, view, lattice, width)
    symmetry = _symmetry(rng, view, len(family["positions"]), lattice == "hexagonal")
    return Component("rings", _target(rng, _contrast(symmetry["eta"])), **family, **symmetry)


def _halo(rng: np.random.Generator, view: View) -> Component:
    return Component("halo", _target(rng), **maximum(rng, view))


def _symmetric_halo(rng: np.random.Generator, view: View) -> Component:
    symmetry = _symmetry(rng, view, 1)
    target = _target(rng, _contrast(symmetry["eta"]))
    return Component("halo", target, **maximum(rng, view), **symmetry)


def _grains(rng: np.random.Generator, view: View) -> Component:
    """Rings of separate grains: spotted or textured by how much of the azimuth they cover."""
    width = _width(rng, 0.08)
    if rng.random() < 0.3:
        family = _single(rng, view, width)
    else:
        family = _family(rng, view, _lattice(rng, width), width)
    radii = radius_at(view.instrument, np.array(family["positions"])) / view.native
    # A grain narrower than a prepared pixel could not be told from its neighbour.
    mosaic = max(log_uniform(rng, 0.012, 0.16), 1.5 / float(np.median(radii)))
    low, high = (0.03, 0.3) if rng.random() < 0.5 else (0.4, 2.5)
    covered = log_uniform(rng, low, high)
    count = covered * 2 * np.pi / mosaic
    bounds = (np.ceil(low * 2 * np.pi / mosaic), np.floor(high * 2 * np.pi / mosaic))
    bounds = (max(bounds[0], 2), max(bounds[1], 3))
    grains = np.clip(rng.poisson(count, len(family["positions"])), *bounds)
    symmetry: dict = {}
    if rng.random() < 0.2:
        symmetry = _symmetry(rng, view, len(family["positions"]))
        symmetry["uniaxial"] = False  # single grains are not turned about any axis
    return Component(
        "rings",
        _target(rng, np.sqrt(1.3 / covered)),  # the spread of exponential, Gaussian grains
        **family,
        **symmetry,
        mosaic=float(mosaic),
        grains=tuple(int(n) for n in grains),
        grain_seed=int(rng.integers(2**31)),
    )


def _crystal(rng: np.random.Generator, view: View) -> Component:
    """Spots of one crystal or superlattice: a plane lattice of 2-, 4- or 6-fold symmetry."""
    fold = int(rng.choice([2, 4, 6], p=[0.4, 0.3, 0.3]))
    first = view.q(float(rng.uniform(0.05, 0.35)))
    angle = {2: float(rng.uniform(1.2, 1.57)), 4: np.pi / 2, 6: np.pi / 3}[fold]
    ratio = float(rng.uniform(1.15, 2.2)) if fold == 2 else 1.0
    return Component(
        "crystal",
        _target(rng),
        params={
            "ratio": ratio,
            "angle": angle,
            "spot_px": float(rng.uniform(0.6, 2.2)),
            "damping": float(rng.uniform(0.1, 0.4)),
            "scatter": float(rng.uniform(0.2, 1.2)),
        },
        positions=(first,),
        fold=fold,
        eta=1.0,
        chi=(float(rng.uniform(0, 2 * np.pi)),),
        grain_seed=int(rng.integers(2**31)),
    )


def _fibre(rng: np.random.Generator, view: View) -> Component:
    """A bundle of fibres: an equatorial streak, and layer lines across the axis."""
    spacing = view.q(float(rng.uniform(0.06, 0.3)))
    layers = int(rng.integers(1, 8))
    weights = np.exp(rng.normal(0, 0.8, layers)) / np.arange(1, layers + 1)
    along = float(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.05))
    return Component(
        "fibre",
        _target(rng),
        params={
            "layers": float(layers),
            "thickness": spacing * log_uniform(rng, 0.03, 0.2),
            "spread": spacing * float(rng.uniform(0, 1.2)),
            "length": 1 / view.q(float(rng.uniform(0.03, 0.3))),
        },
        positions=(spacing,),
        weights=tuple(float(w) for w in weights * log_uniform(rng, 0.05, 1) / weights.max()),
        fold=2,
        eta=1.0,
        chi=(along if rng.random() < 0.5 else float(rng.uniform(0, np.pi)),),
    )


def _form_factor(rng: np.random.Generator, view: View) -> Component:
    profile = pick(rng, {"sphere": 0.4, "core_shell": 0.2, "cylinder": 0.2, "ellipsoid": 0.2})
    size = float(rng.uniform(2.5, 9)) / view.q(0.6)
    params = {"polydispersity": float(rng.uniform(0.12, 0.3)), "radius": size}
    aspect = log_uniform(rng, 0.25, 4)
    if profile == "core_shell":
        params["radius"] = size * float(rng.uniform(0.5, 0.9))
        params["thickness"] = size - params["radius"]
        # Cores of the other sign could match the shell and leave a maximum aside from the beam.
        params["core"] = float(rng.uniform(0, 0.7) if rng.random() < 0.6 else rng.uniform(1.4, 4))
    elif profile in ("cylinder", "ellipsoid"):
        params["radius"] = size * aspect ** (-1 / 3)
        longest = {"cylinder": ("length", 2), "ellipsoid": ("polar", 1)}[profile]
        params[longest[0]] = longest[1] * aspect * params["radius"]
    return Component("form_factor", _target(rng), profile=profile, params=params)


def _low_q(rng: np.random.Generator, view: View) -> Component:
    profile = str(
        rng.choice(["porod", "guinier", "ornstein_zernike", "debye_bueche", "guinier_porod"])
    )
    length = float(1 / view.q(float(rng.uniform(0.03, 0.4))))
    params = {"length": length}
    if profile in ("porod", "guinier_porod"):
        params["exponent"] = float(rng.uniform(2, 4.3))
    if profile == "porod":
        params["length"] = 1 / view.q(0.0) * float(rng.uniform(0.5, 4))
    stretched = rng.random() < 0.3
    return Component(
        "low_q",
        _target(rng),
        profile=profile,
        params=params,
        ellipticity=float(rng.uniform(1.4, 3)) if stretched else 1.0,
        chi=(float(rng.uniform(0, np.pi)),) if stretched else (),
    )


def _high_q(rng: np.random.Generator, view: View) -> Component:
    length = float(1 / view.q(float(rng.uniform(0.35, 1.2))))
    return Component("high_q", _target(rng), profile="high_q", params={"length": length})


def _grazing(rng: np.random.Generator, view: View) -> Component:
    """A film at grazing incidence; lengths in units of the frame's longest side."""
    horizon = float(rng.uniform(0.02, 0.12))
    return Component(
        "gisaxs",
        _target(rng),
        params={
            "horizon": horizon,
            "yoneda": horizon * float(rng.uniform(0.4, 1.0)),
            "absorption": float(10 ** rng.uniform(-2.5, -1)),
            "diffuse_width": float(rng.uniform(0.01, 0.2)),
            "decay": float(rng.uniform(0.05, 0.4)),
            "rods": float(rng.uniform(0.05, 1.0)) if rng.random() < 0.7 else 0.0,
            "rod_spacing": float(rng.uniform(0.06, 0.3)),
            "rod_width": float(rng.uniform(0.004, 0.02)),
            "rod_length": log_uniform(rng, 0.012, 0.08),
            "rod_tail": log_uniform(rng, 0.01, 0.15),
            "specular": float(rng.uniform(0.3, 5)),
            "specular_width": float(rng.uniform(0.002, 0.01)),
        },
    )


_COMPONENTS = {
    "symmetric_ring": _symmetric_ring,
    "symmetric_orders": _symmetric_orders,
    "symmetric_halo": _symmetric_halo,
    "powder": _powder,
    "oval": _oval,
    "random_rings": _random_rings,
    "grains": _grains,
    "halo": _halo,
    "form_factor": _form_factor,
    "standard": _standard,
    "crystal": _crystal,
    "fibre": _fibre,
}
