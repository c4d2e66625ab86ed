"""Draws frames: `sample(seed, index)` gives the parameters of one, always the same.

Instruments belong to experiments (groups of 50 frames) and are drawn apart from the samples, so
that nothing about the instrument tells what the sample is.
"""

import numpy as np

from scatterlens_models.synthetic.components import draw_components
from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.draws import generator, log_uniform
from scatterlens_models.synthetic.instruments import draw_instrument
from scatterlens_models.synthetic.paper import sample_paper
from scatterlens_models.synthetic.scene import Background, Instrument, SceneParams

GROUP_SIZE = 50
_GROUP_KEY = 0xE


class UnknownProfileError(ValueError):
    """No simulator profile of that name; the message lists those that exist."""


def sample(seed: int, index: int, profile: str = "realistic") -> SceneParams:
    """Draw the parameters of frame `index`; the same arguments give the same parameters."""
    if profile == "paper":
        return sample_paper(seed, index, GROUP_SIZE)
    if profile != "realistic":
        raise UnknownProfileError(
            f"no simulator profile {profile!r}; there are 'realistic' and 'paper'"
        )
    instrument = draw_instrument(generator(seed ^ _GROUP_KEY, index // GROUP_SIZE))
    return sample_at(instrument, seed, index)


def sample_at(instrument: Instrument, seed: int, index: int) -> SceneParams:
    """Draw what frame `index` of a seed shows, at an instrument that is given."""
    rng = generator(seed, index)
    dark = bool(rng.random() < 0.03)
    hybrid = DETECTORS[instrument.detector].kind == "hybrid"
    return SceneParams(
        seed=seed,
        index=index,
        group=index // GROUP_SIZE,
        profile="realistic",
        instrument=instrument,
        background=_background(rng, instrument, dark),
        components=() if dark else draw_components(rng, instrument),
        hot_share=float(10 ** rng.uniform(-6, -4)) if rng.random() < 0.4 else 0.0,
        dead_share=float(10 ** rng.uniform(-5, -3)) if rng.random() < 0.4 else 0.0,
        zingers=int(rng.poisson(4)) if rng.random() < (0.05 if hybrid else 0.3) else 0,
        dark=dark,
    )


def _background(rng: np.random.Generator, instrument: Instrument, dark: bool) -> Background:
    flat = float(np.clip(10 ** rng.normal(0.0, 0.9), 1e-3, 300))
    if dark:
        return Background(flat * 1e-3, 0, 0, 0.1, 0, 0, 0, (1, 1), (0, 0))
    if rng.random() < 0.06:  # very weak frames, single photons
        flat = log_uniform(rng, 1e-3, 2e-2)
    open_beam = instrument.stop == "none" and rng.random() < 0.6
    # Films are often measured beside the stop, with the beam attenuated.
    attenuated = instrument.technique == "gisaxs" and not open_beam and rng.random() < 0.3
    brightest = (1e2, 1e6) if open_beam else (1e1, 1e4)
    return Background(
        flat=flat,
        air=flat * log_uniform(rng, 0.1, 300) if rng.random() < 0.7 else 0.0,
        window=flat * log_uniform(rng, 0.1, 10) if rng.random() < 0.2 else 0.0,
        window_radius=float(rng.uniform(0.05, 0.25)),
        streak=flat * log_uniform(rng, 1, 200) if rng.random() < 0.08 else 0.0,
        streak_angle=float(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.03)),
        beam=log_uniform(rng, *brightest) if open_beam or attenuated else 0.0,
        beam_sigma=(float(rng.uniform(0.5, 3)), float(rng.uniform(0.5, 3))),
        gradient=(float(rng.normal(0, 0.1)), float(rng.normal(0, 0.1))),
        flare=flat * log_uniform(rng, 0.3, 100)
        if instrument.stop != "none" and rng.random() < 0.15
        else 0.0,
        flare_width=log_uniform(rng, 0.004, 0.02),
    )
