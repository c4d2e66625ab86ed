"""Draws instruments: detector, beam, distance, beamstop and whatever else stands in the way."""

import numpy as np

from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.draws import log_uniform, pick
from scatterlens_models.synthetic.scene import Instrument, Shadow

_DETECTOR_WEIGHTS = {
    "pilatus_100k": 0.07, "pilatus_300k": 0.08, "pilatus_300k_w": 0.07, "pilatus_1m": 0.16,
    "pilatus_2m": 0.12, "eiger_1m": 0.07, "eiger_4m": 0.06, "eiger_9m": 0.03, "eiger2_4m": 0.03,
    "jungfrau_4m": 0.03, "lambda_750k": 0.06, "mar165": 0.07, "ccd_2k": 0.08, "ccd_1k": 0.07,
}  # fmt: skip


def draw_instrument(rng: np.random.Generator) -> Instrument:
    """Draw detector, beam, distance and what stands in the way."""
    name = pick(rng, _DETECTOR_WEIGHTS)
    detector = DETECTORS[name]
    transposed = bool(rng.random() < 0.25)
    rows, cols = detector.shape[::-1] if transposed else detector.shape
    shape = (rows, cols)
    crop = (0, 0, rows, cols)
    if min(shape) > 600 and rng.random() < 0.15:
        extent = [int(rng.uniform(0.35, 1.0) * side) for side in shape]
        first = [int(rng.integers(0, shape[i] - extent[i] + 1)) for i in (0, 1)]
        crop = (first[0], first[1], extent[0], extent[1])
    technique = pick(rng, {"saxs": 0.54, "waxs": 0.32, "gisaxs": 0.10, "giwaxs": 0.04})
    beam = _beam(rng, technique, crop[2:])
    on_image = all(0 <= beam[i] < crop[2 + i] for i in (0, 1))
    stop, shadows = _stop(rng, technique, on_image, _on_frame(beam, crop[2:]))
    modules = len(detector.module_rectangles())
    hybrid = detector.kind == "hybrid"
    wide = technique in ("waxs", "giwaxs")
    return Instrument(
        detector=name,
        technique=technique,
        transposed=transposed,
        crop=crop,
        energy_kev=float(rng.choice([rng.uniform(7, 18), 8.048, 9.24, 17.44])),
        distance_m=float(rng.uniform(0.1, 0.4) if wide else rng.uniform(1, 6)),
        beam_yx=beam,
        stop=stop,
        shadows=tuple(
            shadows
            + _obstructions(rng, on_image, _on_frame(beam, crop[2:]))
            + (_substrate(rng, _on_frame(beam, crop[2:])) if technique == "giwaxs" else [])
        ),
        missing_modules=(int(rng.integers(modules)),)
        if modules > 4 and rng.random() < 0.08
        else (),
        psf_px=0.0 if hybrid else float(rng.uniform(0.3, 1.2)),
        pedestal=0.0 if hybrid else log_uniform(rng, 1, 200),
        pedestal_slope=(0.0, 0.0)
        if hybrid
        else (float(rng.normal(0, 0.1)), float(rng.normal(0, 0.1))),
        read_noise=0.0 if hybrid else float(rng.uniform(0.5, 5)),
        gain=1.0 if hybrid else log_uniform(rng, 0.5, 8),
        polarization=float(rng.choice([0.0, rng.uniform(0.9, 1.0)], p=[0.25, 0.75])),
        tilt=_tilt(rng, wide),
        quadrants=(0.0, 0.0, 0.0, 0.0) if hybrid else _quadrants(rng),
    )


def _tilt(rng: np.random.Generator, wide: bool) -> tuple[float, float]:
    """Most detectors stand a little askew; at wide angles some are tilted on purpose."""
    spread = 0.006 if rng.random() < 0.7 else 0.03
    if wide and rng.random() < 0.15:
        spread = 0.2
    rot1, rot2 = np.clip(rng.normal(0, spread, 2), -0.5, 0.5)
    return float(rot1), float(rot2)


def _quadrants(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Four amplifiers read a CCD, and rarely agree to the count."""
    if rng.random() < 0.6:
        return 0.0, 0.0, 0.0, 0.0
    first, second, third, fourth = np.abs(rng.normal(0, 10 ** rng.uniform(-0.7, 0.5), 4))
    return float(first), float(second), float(third), float(fourth)


def _substrate(rng: np.random.Generator, beam: tuple[float, float]) -> list[Shadow]:
    """Below the horizon of a film the substrate swallows what is scattered."""
    edge = beam[0] - float(rng.uniform(0.0, 0.02))
    box = ((edge, -0.1), (edge, 1.1), (edge + 2, 1.1), (edge + 2, -0.1))
    return [Shadow("polygon", float(10 ** rng.uniform(-2.5, -0.5)), box)]


def _beam(rng: np.random.Generator, technique: str, extent: tuple[int, ...]) -> tuple[float, float]:
    """Beam in native pixels: near the middle, near an edge, off the frame, or far off it."""
    if technique in ("gisaxs", "giwaxs"):
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
    if technique in ("gisaxs", "giwaxs"):
        kinds = {"none": 0.1, "circular": 0.2, "linear": 0.7}
    kind = pick(rng, kinds)
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
        if technique in ("gisaxs", "giwaxs"):
            direction = (-1.0, 0.0)
        length = float(rng.uniform(0.15, 0.7)) if rng.random() < 0.5 else 2.0
        # At grazing incidence some float: they hide the rod and leave the beam to its attenuator.
        floats = technique == "gisaxs" and rng.random() < 0.35
        start = float(rng.uniform(0.01, 0.06)) if floats else -half
        return kind, [Shadow("bar", through, (along(start), along(start + length)), half)]
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
    if rng.random() < 0.03:
        shadows += _bracket(rng, through)
    if rng.random() < 0.06:
        depth = float(rng.uniform(0.03, 0.2))
        side = int(rng.integers(4))
        low, high = (-0.1, depth) if side % 2 else (1 - depth, 1.1)
        box = [(low, -0.1), (low, 1.1), (high, 1.1), (high, -0.1)]
        points = tuple(box if side < 2 else [(x, y) for y, x in box])
        shadows.append(Shadow("polygon", through, points))
    return shadows


def _bracket(rng: np.random.Generator, through: float) -> list[Shadow]:
    """An L-shaped holder that reaches in from a corner."""
    y, x = rng.uniform(-0.05, 0.25, 2)
    down, right = rng.uniform(0.2, 0.6, 2)
    half = float(rng.uniform(0.02, 0.06))
    corners = np.array(
        [
            (y - half, x - half),
            (y - half, x + right),
            (y + half, x + right),
            (y + half, x + half),
            (y + down, x + half),
            (y + down, x - half),
        ]
    )
    corners = np.where(rng.random(2) < 0.5, 1 - corners, corners)
    points = tuple((float(row), float(col)) for row, col in corners)
    return [Shadow("polygon", through, points)]
