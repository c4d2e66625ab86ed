"""Scenes built by hand, so that a test knows all that is in them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from scatterlens_models.synthetic.geometry import q_at
from scatterlens_models.synthetic.scene import Background, Component, Instrument, SceneParams

INSTRUMENT = Instrument(
    detector="ccd_2k",
    technique="saxs",
    transposed=False,
    crop=(0, 0, 2048, 2048),
    energy_kev=12.0,
    distance_m=2.0,
    beam_yx=(1023.5, 1023.5),
    stop="none",
    shadows=(),
)
BACKGROUND = Background(
    flat=1.0,
    air=0.0,
    window=0.0,
    window_radius=0.1,
    streak=0.0,
    streak_angle=0.0,
    beam=0.0,
    beam_sigma=(1.0, 1.0),
    gradient=(0.0, 0.0),
)


@pytest.fixture
def ring() -> Callable[..., Component]:
    """Makes a family of rings at radii given in prepared pixels."""

    def make(*radii_px: float, target: float = 200.0, **changes) -> Component:
        plain = Component(
            kind="rings",
            target=target,
            profile="gaussian",
            positions=tuple(float(q_at(INSTRUMENT, radius * 8)) for radius in radii_px),
            weights=(1.0,) * len(radii_px),
            width=0.02,
        )
        return replace(plain, **changes)

    return make


@pytest.fixture
def scene_of() -> Callable[..., SceneParams]:
    """Makes a scene of given components on a plain detector with the beam in its middle."""

    def make(*components: Component, **instrument) -> SceneParams:
        return SceneParams(
            seed=1,
            index=7,
            group=0,
            profile="realistic",
            instrument=replace(INSTRUMENT, **instrument),
            background=BACKGROUND,
            components=components,
            hot_share=0.0,
            dead_share=0.0,
            zingers=0,
            dark=False,
        )

    return make
