"""Draws frames: `sample(seed, index)` gives the parameters of one, always the same.

Instruments belong to experiments (groups of 50 frames) and are drawn apart from the samples, so
that nothing about the instrument tells what the sample is.
"""

import numpy as np

from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.geometry import q_at, radius_at
from scatterlens_models.synthetic.lattices import reflections
from scatterlens_models.synthetic.scene import (
    Background,
    Component,
    Instrument,
    SceneParams,
    Shadow,
)

GROUP_SIZE = 50
_GROUP_KEY = 0xE
_MAX_RINGS = 9

_DETECTOR_WEIGHTS = {
    "pilatus_100k": 0.07, "pilatus_300k": 0.08, "pilatus_300k_w": 0.07, "pilatus_1m": 0.16,
    "pilatus_2m": 0.12, "eiger_1m": 0.07, "eiger_4m": 0.06, "eiger_9m": 0.03, "eiger2_4m": 0.03,
    "jungfrau_4m": 0.03, "lambda_750k": 0.06, "mar165": 0.07, "ccd_2k": 0.08, "ccd_1k": 0.07,
}  # fmt: skip
_COMPONENT_WEIGHTS = {
    "symmetric_ring": 0.20, "symmetric_orders": 0.17, "symmetric_halo": 0.17, "powder": 0.08,
    "oval": 0.03, "random_rings": 0.05, "grains": 0.22, "halo": 0.09, "form_factor": 0.07,
    "standard": 0.02, "crystal": 0.05,
}  # fmt: skip
_FOLDS = {2: 0.40, 4: 0.26, 6: 0.25, 8: 0.05, 12: 0.04}
_KERNELS = ("poisson", "von_mises", "gaussian")


class UnknownProfileError(ValueError):
    """No simulator profile of that name; the message lists those that exist."""


def generator(seed: int, index: int) -> np.random.Generator:
    """The counter-based stream that belongs to (seed, index)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, index], dtype=np.uint64)))


def sample(seed: int, index: int, profile: str = "realistic") -> SceneParams:
    """Draw the parameters of frame `index`; the same arguments give the same parameters."""
    if profile != "realistic":
        raise UnknownProfileError(f"no simulator profile {profile!r}; use 'realistic'")
    group = index // GROUP_SIZE
    instrument = draw_instrument(generator(seed ^ _GROUP_KEY, group))
    rng = generator(seed, index)
    dark = bool(rng.random() < 0.03)
    hybrid = DETECTORS[instrument.detector].kind == "hybrid"
    return SceneParams(
        seed=seed,
        index=index,
        group=group,
        profile=profile,
        instrument=instrument,
        background=_background(rng, instrument, dark),
        components=() if dark else _components(rng, instrument),
        hot_share=float(10 ** rng.uniform(-6, -4)) if rng.random() < 0.4 else 0.0,
        dead_share=float(10 ** rng.uniform(-5, -3)) if rng.random() < 0.4 else 0.0,
        zingers=int(rng.poisson(4)) if rng.random() < (0.05 if hybrid else 0.3) else 0,
        dark=dark,
    )


def _pick(rng: np.random.Generator, weights: dict) -> object:
    names = list(weights)
    values = np.array([weights[name] for name in names], dtype=float)
    return names[int(rng.choice(len(names), p=values / values.sum()))]


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


# Instruments


def draw_instrument(rng: np.random.Generator) -> Instrument:
    """Draw detector, beam, distance and what stands in the way."""
    name = str(_pick(rng, _DETECTOR_WEIGHTS))
    detector = DETECTORS[name]
    transposed = bool(rng.random() < 0.25)
    rows, cols = detector.shape[::-1] if transposed else detector.shape
    shape = (rows, cols)
    crop = (0, 0, rows, cols)
    if min(shape) > 600 and rng.random() < 0.15:
        extent = [int(rng.uniform(0.35, 1.0) * side) for side in shape]
        first = [int(rng.integers(0, shape[i] - extent[i] + 1)) for i in (0, 1)]
        crop = (first[0], first[1], extent[0], extent[1])
    technique = str(_pick(rng, {"saxs": 0.56, "waxs": 0.34, "gisaxs": 0.10}))
    beam = _beam(rng, technique, crop[2:])
    on_image = all(0 <= beam[i] < crop[2 + i] for i in (0, 1))
    stop, shadows = _stop(rng, technique, on_image, _on_frame(beam, crop[2:]))
    modules = len(detector.module_rectangles())
    hybrid = detector.kind == "hybrid"
    return Instrument(
        detector=name,
        technique=technique,
        transposed=transposed,
        crop=crop,
        energy_kev=float(rng.choice([rng.uniform(7, 18), 8.048, 9.24, 17.44])),
        distance_m=float(rng.uniform(0.1, 0.4) if technique == "waxs" else rng.uniform(1, 6)),
        beam_yx=beam,
        stop=stop,
        shadows=tuple(shadows + _obstructions(rng, on_image, _on_frame(beam, crop[2:]))),
        missing_modules=(int(rng.integers(modules)),)
        if modules > 4 and rng.random() < 0.08
        else (),
        psf_px=0.0 if hybrid else float(rng.uniform(0.3, 1.2)),
        pedestal=0.0 if hybrid else _log_uniform(rng, 1, 200),
        pedestal_slope=(0.0, 0.0)
        if hybrid
        else (float(rng.normal(0, 0.1)), float(rng.normal(0, 0.1))),
        read_noise=0.0 if hybrid else float(rng.uniform(0.5, 5)),
        gain=1.0 if hybrid else _log_uniform(rng, 0.5, 8),
        polarization=float(rng.choice([0.0, rng.uniform(0.9, 1.0)], p=[0.25, 0.75])),
    )


def _beam(rng: np.random.Generator, technique: str, extent: tuple[int, ...]) -> tuple[float, float]:
    """Beam in native pixels: near the middle, near an edge, off the frame, or far off it."""
    if technique == "gisaxs":
        place = (rng.uniform(0.78, 1.03), rng.uniform(0.15, 0.85))
    else:
        where = rng.choice(4, p=[0.54, 0.26, 0.10, 0.10])
        if where == 0:
            place = tuple(rng.normal(0.5, 0.09, 2))
        elif where == 1:
            place = tuple(rng.uniform(0.02, 0.98, 2))
        else:
            place = list(rng.uniform(-0.1, 1.1, 2))
            # Off along the short side most often: strips stand beside the beam.
            axis = int(rng.integers(2))
            far = rng.uniform(0.03, 0.4) if where == 2 else rng.uniform(0.4, 2.5)
            far *= max(extent) / extent[axis]
            place[axis] = -far if rng.random() < 0.5 else 1 + far
    return float(place[0] * extent[0]), float(place[1] * extent[1])


def _on_frame(beam: tuple[float, float], extent: tuple[int, ...]) -> tuple[float, float]:
    """Beam in units of the longest side, from the corner of the padded square."""
    longest = max(extent)
    return tuple((beam[i] + (longest - extent[i]) / 2) / longest for i in (0, 1))  # type: ignore


def _stop(
    rng: np.random.Generator, technique: str, on_image: bool, beam: tuple[float, float]
) -> tuple[str, list[Shadow]]:
    """A beamstop at the beam, by any holder from any side, or a floating bar."""
    if not on_image:
        return "none", []
    kinds = {"none": 0.12, "circular": 0.44, "linear": 0.32, "wedge": 0.12}
    if technique == "gisaxs":
        kinds = {"none": 0.1, "circular": 0.2, "linear": 0.7}
    kind = str(_pick(rng, kinds))
    through = 10 ** rng.uniform(-3, -1.5) if rng.random() < 0.3 else 1e-6
    center = (beam[0] + rng.normal(0, 0.004), beam[1] + rng.normal(0, 0.004))
    angle = float(rng.choice([0, 0.5, 1, 1.5])) * np.pi + rng.normal(0, 0.05)
    if rng.random() < 0.3:
        angle = rng.uniform(0, 2 * np.pi)
    direction = (-np.cos(angle), np.sin(angle))

    def along(length: float) -> tuple[float, float]:
        return (center[0] + length * direction[0], center[1] + length * direction[1])

    if kind == "circular":
        radius = float(rng.uniform(0.008, 0.045))
        shadows = [Shadow("disk", through, (center,), radius)]
        if rng.random() < 0.65:
            arm = float(rng.uniform(0.003, 0.012))
            shadows.append(Shadow("bar", through, (center, along(2.0)), arm))
        return kind, shadows
    if kind == "linear":
        half = float(rng.uniform(0.006, 0.028))
        if technique == "gisaxs":
            direction = (-1.0, 0.0)
        length = float(rng.uniform(0.15, 0.7)) if rng.random() < 0.5 else 2.0
        return kind, [Shadow("bar", through, (along(-half), along(length)), half)]
    if kind == "wedge":
        spread = float(np.deg2rad(rng.uniform(4, 14)))
        return kind, [Shadow("wedge", through, (along(-0.02), along(2.0)), spread)]
    return kind, []


def _obstructions(
    rng: np.random.Generator, on_image: bool, beam: tuple[float, float]
) -> list[Shadow]:
    """What else stands in the way: a flight tube, a holder, an unlit corner."""
    shadows = []
    through = 10 ** rng.uniform(-4, -0.7)
    if on_image and rng.random() < 0.12:
        center = (beam[0] + rng.normal(0, 0.08), beam[1] + rng.normal(0, 0.08))
        shadows.append(Shadow("tube", through, (center,), float(rng.uniform(0.35, 0.65))))
    if rng.random() < 0.12:
        center = rng.uniform(-0.05, 1.05, 2)
        count = int(rng.integers(3, 7))
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        reach = rng.uniform(0.08, 0.35, count)
        points = tuple(
            (float(center[0] + d * np.cos(a)), float(center[1] + d * np.sin(a)))
            for a, d in zip(angles, reach, strict=True)
        )
        shadows.append(Shadow("polygon", through, points))
    if rng.random() < 0.06:
        depth = float(rng.uniform(0.03, 0.2))
        side = int(rng.integers(4))
        low, high = (-0.1, depth) if side % 2 else (1 - depth, 1.1)
        box = [(low, -0.1), (low, 1.1), (high, 1.1), (high, -0.1)]
        points = tuple(box if side < 2 else [(x, y) for y, x in box])
        shadows.append(Shadow("polygon", through, points))
    return shadows


# Backgrounds


def _background(rng: np.random.Generator, instrument: Instrument, dark: bool) -> Background:
    flat = float(np.clip(10 ** rng.normal(-0.3, 0.9), 1e-3, 300))
    if dark:
        return Background(flat * 1e-3, 0, 0, 0.1, 0, 0, 0, (1, 1), (0, 0))
    if rng.random() < 0.08:  # very weak frames, single photons
        flat = _log_uniform(rng, 1e-3, 2e-2)
    open_beam = instrument.stop == "none" and rng.random() < 0.6
    return Background(
        flat=flat,
        air=flat * _log_uniform(rng, 0.1, 300) if rng.random() < 0.7 else 0.0,
        window=flat * _log_uniform(rng, 0.1, 10) if rng.random() < 0.2 else 0.0,
        window_radius=float(rng.uniform(0.05, 0.25)),
        streak=flat * _log_uniform(rng, 1, 200) if rng.random() < 0.08 else 0.0,
        streak_angle=float(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.03)),
        beam=_log_uniform(rng, 1e2, 1e6) if open_beam else 0.0,
        beam_sigma=(float(rng.uniform(0.5, 3)), float(rng.uniform(0.5, 3))),
        gradient=(float(rng.normal(0, 0.1)), float(rng.normal(0, 0.1))),
    )


# Components


def _components(rng: np.random.Generator, instrument: Instrument) -> tuple[Component, ...]:
    view = _View(instrument)
    found: list[Component] = []
    if rng.random() > 0.08:
        for _ in range(1 + min(int(rng.poisson(0.35)), 2)):
            found.append(_COMPONENTS[str(_pick(rng, _COMPONENT_WEIGHTS))](rng, view))
    if instrument.technique == "gisaxs" and rng.random() < 0.9:
        # At grazing incidence the film's rods stand where the powder would.
        found = [*found[1:], _grazing(rng, view)]
    if rng.random() < 0.32:
        found.append(_low_q(rng, view))
    if rng.random() < 0.20:
        found.append(_high_q(rng, view))
    return tuple(found)


class _View:
    """The range of q that an instrument sees."""

    def __init__(self, instrument: Instrument):
        rows, cols = instrument.crop[2:]
        y, x = instrument.beam_yx
        outside = np.hypot(max(-y, y - rows, 0), max(-x, x - cols, 0))
        corners = [np.hypot(r - y, c - x) for r in (0, rows) for c in (0, cols)]
        stop = max(
            (s.radius for s in instrument.shadows if s.shape in ("disk", "bar")), default=0.0
        )
        self.instrument = instrument
        self.native = max(rows, cols) / 256
        """Native pixels per prepared pixel at the usual size."""
        self.r_low = max(outside, stop * max(rows, cols) * 1.3) + 3 * self.native
        self.r_high = max(corners)
        # A full ring fits within the farthest side; beyond it only corners are left.
        sides = max(y, rows - y, x, cols - x)
        self.r_full = max(min(sides, self.r_high), self.r_low * 1.2)
        self.off = bool(outside > 0)

    def q(self, share: float) -> float:
        """q at a share of the visible radii, 0 at the beamstop, 1 at the farthest side."""
        return float(q_at(self.instrument, np.array(self.radius(share))))

    def radius(self, share: float) -> float:
        return self.r_low + share * (self.r_full - self.r_low)

    @property
    def q_high(self) -> float:
        return float(q_at(self.instrument, np.array(self.r_high)))


def _target(rng: np.random.Generator, contrast: float = np.inf) -> float:
    """Wanted d': 10 % hardly or not visible, 30 % hard, 60 % clear.

    For what varies along the azimuth with a relative spread `contrast`, the d' of that variation
    is drawn, and the d' of the whole follows.
    """
    low, high = ((1, 12), (12, 40), (40, 2000))[int(rng.choice(3, p=[0.1, 0.3, 0.6]))]
    return _log_uniform(rng, low, high) * float(np.sqrt(1 + 1 / contrast**2))


def _contrast(eta: float) -> float:
    """Relative spread along the azimuth of a kernel with order parameter `eta` (Poisson's)."""
    return float(np.sqrt(2 * eta**2 / (1 - eta**2)))


def _width(rng: np.random.Generator, broad: float) -> float:
    """sigma / q outside the guard bands; `broad` is the probability of a broad ring."""
    kind = rng.choice(3, p=[(1 - broad) * 0.55, (1 - broad) * 0.45, broad])
    return _log_uniform(rng, *((0.004, 0.022), (0.028, 0.09), (0.11, 0.2))[int(kind)])


def _eta(rng: np.random.Generator) -> float:
    """Order parameter outside the guard bands, of broad, intermediate and sharp orientation."""
    bands = ((0.12, 0.27), (0.33, 0.72), (0.78, 0.96))
    low, high = bands[int(rng.choice(3, p=[0.34, 0.31, 0.35]))]
    return float(rng.uniform(low, high))


def _symmetry(rng: np.random.Generator, count: int, hexagonal: bool = False) -> dict:
    fold = int(str(_pick(rng, _FOLDS)))
    chi = float(rng.choice([0, np.pi / 2])) + rng.normal(0, 0.05)
    if rng.random() < 0.6:
        chi = float(rng.uniform(0, 2 * np.pi))
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
    }


def _family(
    rng: np.random.Generator, view: _View, lattice: str, width: float, many: bool = True
) -> dict:
    """Positions and weights of the rings of a lattice within the view."""
    ratios, multiplicity = reflections(lattice)
    if view.off or rng.random() < 0.15:
        order = int(rng.integers(0, min(5, len(ratios))))
        first = view.q(float(rng.uniform(0.05, 0.8))) / ratios[order]
    else:
        first = view.q(float(rng.beta(1.3, 2.6)) * (0.75 if many else 0.95))
    positions = first * ratios
    damping = np.exp(-(rng.uniform(0.05, 0.45) ** 2) * ratios**2)
    weights = multiplicity * damping * np.exp(rng.normal(0, 0.4, len(ratios))) / ratios**2
    shown = (positions < view.q_high) & (positions > 0)
    if view.off:
        low = q_at(view.instrument, np.array(view.r_low))
        shown &= positions > low * (1 - 3 * width)
    if not shown.any():  # a strip that sees hardly any range of q may miss them all
        shown[0] = True
    shown &= np.cumsum(shown) <= (_MAX_RINGS if many else 1)
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


def _single(rng: np.random.Generator, view: _View, width: float) -> dict:
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
    return str(_pick(rng, weights | rare))


def _powder(rng: np.random.Generator, view: _View) -> Component:
    width = _width(rng, 0.12)
    return Component("rings", _target(rng), **_family(rng, view, _lattice(rng, width), width))


def _oval(rng: np.random.Generator, view: _View) -> Component:
    width = _width(rng, 0.1)
    family = _family(rng, view, _lattice(rng, width), width)
    stretch = float(rng.uniform(1.35, 1.9))
    turn = float(rng.uniform(0, np.pi))
    return Component("rings", _target(rng), **family, ellipticity=stretch, chi=(turn,))


def _random_rings(rng: np.random.Generator, view: _View) -> Component:
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


def _standard(rng: np.random.Generator, view: _View) -> Component:
    """Silver behenate where its first order is in view, else LaB6 or CeO2."""
    width = _log_uniform(rng, 0.004, 0.02)
    first, lattice = 2 * np.pi / 58.380, "lamellar"
    if view.instrument.technique == "waxs":
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


def _symmetric_ring(rng: np.random.Generator, view: _View) -> Component:
    family = _single(rng, view, _width(rng, 0.45))
    symmetry = _symmetry(rng, 1)
    return Component("rings", _target(rng, _contrast(symmetry["eta"])), **family, **symmetry)


def _symmetric_orders(rng: np.random.Generator, view: _View) -> Component:
    width = _width(rng, 0.2)
    lattice = str(rng.choice(["lamellar", "hexagonal"])) if width < 0.1 else "lamellar"
    family = _family(rng, view, lattice, width)
    symmetry = _symmetry(rng, len(family["positions"]), lattice == "hexagonal")
    return Component("rings", _target(rng, _contrast(symmetry["eta"])), **family, **symmetry)


def _halo(rng: np.random.Generator, view: _View) -> Component:
    return Component("halo", _target(rng), **_maximum(rng, view))


def _symmetric_halo(rng: np.random.Generator, view: _View) -> Component:
    symmetry = _symmetry(rng, 1)
    target = _target(rng, _contrast(symmetry["eta"]))
    return Component("halo", target, **_maximum(rng, view), **symmetry)


def _maximum(rng: np.random.Generator, view: _View) -> dict:
    share = float(rng.beta(1.6, 2.0)) * 0.8 + 0.1
    return {
        "profile": "gaussian",
        "positions": (view.q(share),),
        "weights": (1.0,),
        "width": float(rng.uniform(0.25, 0.5)),
    }


def _grains(rng: np.random.Generator, view: _View) -> Component:
    """Rings of separate grains: spotted or textured by how much of the azimuth they cover."""
    width = _width(rng, 0.08)
    if rng.random() < 0.3:
        family = _single(rng, view, width)
    else:
        family = _family(rng, view, _lattice(rng, width), width)
    radii = radius_at(view.instrument, np.array(family["positions"])) / view.native
    # A grain narrower than a prepared pixel could not be told from its neighbour.
    mosaic = max(_log_uniform(rng, 0.012, 0.16), 1.5 / float(np.median(radii)))
    low, high = (0.03, 0.3) if rng.random() < 0.5 else (0.4, 2.5)
    covered = _log_uniform(rng, low, high)
    count = covered * 2 * np.pi / mosaic
    bounds = (np.ceil(low * 2 * np.pi / mosaic), np.floor(high * 2 * np.pi / mosaic))
    bounds = (max(bounds[0], 2), max(bounds[1], 3))
    grains = np.clip(rng.poisson(count, len(family["positions"])), *bounds)
    symmetry = _symmetry(rng, len(family["positions"])) if rng.random() < 0.2 else {}
    return Component(
        "rings",
        _target(rng, np.sqrt(1.3 / covered)),  # the spread of exponential, Gaussian grains
        **family,
        **symmetry,
        mosaic=float(mosaic),
        grains=tuple(int(n) for n in grains),
        grain_seed=int(rng.integers(2**31)),
    )


def _crystal(rng: np.random.Generator, view: _View) -> Component:
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


def _form_factor(rng: np.random.Generator, view: _View) -> Component:
    radius = float(rng.uniform(2.5, 9)) / view.q(0.6)
    return Component(
        "form_factor",
        _target(rng),
        profile="sphere",
        params={"radius": radius, "polydispersity": float(rng.uniform(0.12, 0.3))},
    )


def _low_q(rng: np.random.Generator, view: _View) -> Component:
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


def _high_q(rng: np.random.Generator, view: _View) -> Component:
    length = float(1 / view.q(float(rng.uniform(0.35, 1.2))))
    return Component("high_q", _target(rng), profile="high_q", params={"length": length})


def _grazing(rng: np.random.Generator, view: _View) -> Component:
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
            "rod_length": float(rng.uniform(0.02, 0.15)),
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
}
