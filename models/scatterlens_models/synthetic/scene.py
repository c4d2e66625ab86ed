"""What one simulated frame is made of: plain frozen data with a JSON round trip.

Everything the renderer and the labels need is here, so that a frame can be made again from its
JSON alone. q is in 1/Å, angles are in radians from the vertical (clockwise), lengths on the frame
are in units of the frame's longest side.
"""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

SHAPES = ("disk", "bar", "wedge", "tube", "polygon")
KINDS = ("rings", "halo", "low_q", "high_q", "form_factor", "crystal", "gisaxs", "fibre")


class ImpossibleSceneError(ValueError):
    """A parameter outside physics; the message names it and what it may be."""


def _require(held: bool, name: str, value: object, allowed: str) -> None:
    if not held:
        raise ImpossibleSceneError(f"{name} is {value}; it must be {allowed}")


@dataclass(frozen=True)
class Shadow:
    """An area that less light reaches: a beamstop, its arm, a flight tube, a holder."""

    shape: str
    """`disk`, `bar`, `wedge`, `tube` (dark outside a circle) or `polygon`."""
    transmission: float
    points: tuple[tuple[float, float], ...]
    """(y, x) of: centre; both ends of a bar; tip and far middle of a wedge; polygon corners."""
    radius: float = 0.0
    """Radius of a disk or tube, half-width of a bar, half-angle of a wedge (radians)."""
    blur: float = 0.0
    """Width over which the edge fades; a pixel at least, and always for a polygon."""

    def __post_init__(self) -> None:
        _require(self.shape in SHAPES, "shape", self.shape, f"one of {', '.join(SHAPES)}")
        _require(0 <= self.transmission <= 1, "transmission", self.transmission, "a share, 0 to 1")
        _require(0 <= self.blur < math.inf, "blur", self.blur, "0 or more")


@dataclass(frozen=True)
class Instrument:
    """Detector, beam and whatever stands between; shared by the frames of one experiment."""

    detector: str
    technique: str
    """`saxs`, `waxs`, `gisaxs` or `giwaxs`."""
    transposed: bool
    crop: tuple[int, int, int, int]
    """First row and column, rows and columns of the part that is read out."""
    energy_kev: float
    distance_m: float
    beam_yx: tuple[float, float]
    """Where the direct beam meets the detector's plane, in native pixels of the part that is read
    out; may lie off it."""
    stop: str
    """`none`, `circular`, `linear` or `wedge`."""
    shadows: tuple[Shadow, ...]
    missing_modules: tuple[int, ...] = ()
    psf_px: float = 0.0
    """Point spread (sigma) in prepared pixels."""
    pedestal: float = 0.0
    pedestal_slope: tuple[float, float] = (0.0, 0.0)
    """Relative change of the pedestal from edge to edge, along y and x."""
    read_noise: float = 0.0
    gain: float = 1.0
    """Counts per photon."""
    polarization: float = 0.0
    """(I_horizontal - I_vertical) / sum, as pyFAI's polarization factor."""
    tilt: tuple[float, float] = (0.0, 0.0)
    """pyFAI's rot1 and rot2, radians; `distance_m` is along the beam all the same."""
    quadrants: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Counts by which the quadrants of a CCD differ from its pedestal, row by row."""

    def __post_init__(self) -> None:
        for name in ("energy_kev", "distance_m", "gain"):
            value = getattr(self, name)
            _require(0 < value < math.inf, name, value, "above 0")
        for name in ("psf_px", "pedestal", "read_noise"):
            value = getattr(self, name)
            _require(0 <= value < math.inf, name, value, "0 or more")
        _require(-1 <= self.polarization <= 1, "polarization", self.polarization, "from -1 to 1")
        _require(
            max(map(abs, self.tilt)) < math.pi / 3, "tilt", self.tilt, "below 60 degrees (radians)"
        )
        _require(min(self.crop[2:]) > 0, "crop", self.crop, "at least one row and one column")


@dataclass(frozen=True)
class Component:
    """One thing that scatters; the labels follow from these and from its detectability."""

    kind: str
    """`rings`, `halo`, `low_q`, `high_q`, `form_factor`, `crystal`, `gisaxs` or `fibre`."""
    target: float
    """Wanted detectability d' of the strongest term."""
    profile: str = ""
    params: dict[str, float] = field(default_factory=dict)
    positions: tuple[float, ...] = ()
    """q of each ring or of the halo."""
    weights: tuple[float, ...] = ()
    """Peak height of each ring, the largest being 1."""
    width: float = 0.0
    """Gaussian sigma over q, the same for each ring of a family."""
    fold: int = 0
    eta: float = 0.0
    chi: tuple[float, ...] = ()
    """Direction of each ring's maximum."""
    kernel: str = ""
    ellipticity: float = 1.0
    uniaxial: bool = False
    """True where directions count from an axis across the beam: what lies along that axis is out of
    reach at high q (the missing wedge of fibres and films)."""
    mosaic: float = 0.0
    """Full width of one grain in azimuth; 0 for a perfect powder."""
    grains: tuple[int, ...] = ()
    """Number of grains on each ring."""
    grain_seed: int = 0
    lattice: str = ""

    def __post_init__(self) -> None:
        _require(self.kind in KINDS, "kind", self.kind, f"one of {', '.join(KINDS)}")
        _require(0 <= self.eta <= 1, "eta", self.eta, "an order parameter, 0 to 1")
        _require(self.width >= 0, "width", self.width, "0 or more")
        _require(self.ellipticity > 0, "ellipticity", self.ellipticity, "above 0")
        _require(all(q > 0 for q in self.positions), "positions", self.positions, "q above 0")
        _require(
            len(self.weights) == len(self.positions) or self.kind not in ("rings", "halo"),
            "weights",
            self.weights,
            "one for each of the positions",
        )


@dataclass(frozen=True)
class Background:
    """What is there without a sample, in counts per native pixel before detection."""

    flat: float
    air: float
    """Height of air scattering, 1 / (1 + (r / 12 px)^2)."""
    window: float
    """Height of the wider halo of windows."""
    window_radius: float
    streak: float
    """Height of the slit streak through the beam."""
    streak_angle: float
    beam: float
    """Height of the direct beam where nothing stops it."""
    beam_sigma: tuple[float, float]
    gradient: tuple[float, float]
    """Relative change of absorption from edge to edge, along y and x."""
    flare: float = 0.0
    """Height of parasitic scattering at the edge of the beamstop."""
    flare_width: float = 0.01
    """Length over which it falls to 1/e, in units of the frame's longest side."""


@dataclass(frozen=True)
class SceneParams:
    """All parameters of one frame."""

    seed: int
    index: int
    group: int
    """Experiment: frames of one group share the instrument."""
    profile: str
    instrument: Instrument
    background: Background
    components: tuple[Component, ...]
    hot_share: float
    dead_share: float
    zingers: int
    dark: bool
    """True for a frame without any beam."""

    def to_json(self) -> str:
        """Compact JSON with sorted keys: the same parameters give the same text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "SceneParams":
        """Rebuild what `to_json` wrote; equal to the original."""
        content: dict[str, Any] = json.loads(text)
        instrument = _tuples(content.pop("instrument"))
        instrument["shadows"] = tuple(Shadow(**_tuples(shadow)) for shadow in instrument["shadows"])
        components = tuple(Component(**_tuples(entry)) for entry in content.pop("components"))
        return cls(
            instrument=Instrument(**instrument),
            background=Background(**_tuples(content.pop("background"))),
            components=components,
            **content,
        )


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists only; the dataclasses hold tuples."""
    return {key: _tuple(value) for key, value in entry.items()}


def _tuple(value: Any) -> Any:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value
