"""Draws the maxima of halos: plain, of amorphous polymers, or from the order of neighbours."""

import numpy as np

from scatterlens_models.synthetic import profiles
from scatterlens_models.synthetic.draws import pick
from scatterlens_models.synthetic.view import View


def maximum(rng: np.random.Generator, view: View) -> dict:
    """Shape, place and width of one halo, as fields of a `Component`."""
    share = float(rng.beta(1.6, 2.0)) * 0.8 + 0.1
    q, width = view.q(share), float(rng.uniform(0.25, 0.5))
    polymer = _polymer_halo(view)
    if polymer and rng.random() < 0.4:
        q, width = float(rng.uniform(*polymer)), float(rng.uniform(0.25, 0.35))
    elif rng.random() < 0.3:
        return _structured(rng, view, q)
    return {"profile": "gaussian", "positions": (q,), "weights": (1.0,), "width": width}


def _polymer_halo(view: View) -> tuple[float, float] | None:
    """Where amorphous polymers have their halo (1/Å), as far as it is well in view."""
    low, high = max(1.2, view.q(0.1)), min(1.6, view.q(0.9))
    wide = view.instrument.technique in ("waxs", "giwaxs")
    return (low, high) if wide and high - low > 0.1 else None


def _structured(rng: np.random.Generator, view: View, center: float) -> dict:
    """A maximum at `center` by the order of neighbours; its width is that of the curve."""
    kinds = {"hard_spheres": 0.4, "teubner_strey": 0.3, "broad_peak": 0.3}
    if view.instrument.technique in ("waxs", "giwaxs"):
        del kinds["teubner_strey"]  # microemulsions are larger than that
    x = np.linspace(0.005, 5, 500)
    while True:
        profile = pick(rng, kinds)
        params = _STRUCTURE_DRAWS[profile](rng)
        curve = profiles.structure(profile, x, 1.0, params)
        found = profiles.main_maximum(x, curve)
        # A narrower one lies in the guard band, a higher start could pass for diffuse low-q.
        if found and 0.255 < found[1] / found[0] < 0.5 and curve[0] < 0.4 * curve.max():
            break
    place, sigma = found
    lengths = {"radius", "period", "length"}
    scaled = {
        name: value * place / center if name in lengths else value for name, value in params.items()
    }
    return {
        "profile": profile,
        "params": scaled,
        "positions": (center,),
        "weights": (1.0,),
        "width": sigma / place,
    }


# Parameters of structures whose maximum is near q = 1: lengths in units of 1 / q.


def _hard_spheres(rng: np.random.Generator) -> dict[str, float]:
    return {
        "radius": 2.8,
        "fraction": float(rng.uniform(0.18, 0.27)),
        "core": float(rng.uniform(0.5, 0.75)),
    }


def _teubner_strey(rng: np.random.Generator) -> dict[str, float]:
    order = float(rng.uniform(2.85, 3.75))
    length = np.sqrt(order**2 - 1)
    return {"period": float(2 * np.pi * length / order), "length": float(length)}


def _broad_peak(rng: np.random.Generator) -> dict[str, float]:
    width = float(rng.uniform(0.26, 0.48))
    return {
        "length": 2 / (profiles.FULL_WIDTH * width),
        "exponent": float(rng.uniform(2, 3.5)),
    }


_STRUCTURE_DRAWS = {
    "hard_spheres": _hard_spheres,
    "teubner_strey": _teubner_strey,
    "broad_peak": _broad_peak,
}
