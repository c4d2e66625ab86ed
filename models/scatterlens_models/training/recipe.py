"""What a training run does, as one complete dataclass; a recipe is a function that returns one."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

Objective = Literal["labels", "patches", "margin", "a_ch", "a_px"]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights of a run, apart from the frames themselves."""

    method: str
    """A name in `nets.METHODS`."""
    vocabulary: str = "aam20"
    width: float = 0.25
    """Factor on the channels of VGG-16."""
    input_size: int = 128
    """Side S of the prepared frame, in network pixels."""
    poolings: int = 3
    """The last map is S / 2**poolings cells wide; 16 or more, so that a map can sit on a ring."""
    objective: Objective = "labels"
    """What is made small; see `training.objective`."""
    specialised: Literal["none", "sampled", "exact"] = "none"
    """Whether attention branches learn from their own group alone (methods with branches)."""
    patch_weight: float = 0.1
    """Largest weight of the patch term (gamma of Shi et al.), where the objective has one."""
    passes: int = 60_000
    """Frames shown in all, repetitions counted."""
    batch: int = 16
    small_share: float = 0.6
    """First share of the run, shown at half the input side for about a third of the price."""
    filter_rate: float = 0.01
    """Peak rate of Muon, on the filters of convolutions; one cycle."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW, on everything else; the same cycle."""
    warm_up: float = 0.1
    """Share of the run in which the rate rises."""
    weight_decay: float = 0.05
    augment: bool = True
    """Flips and quarter turns: no attribute of aam20 speaks of a direction."""
    evidence_weight: float = 0.0
    """Weight of the evidence loss, which also asks *where* a label is true; 0: not asked."""
    amp: bool = False
    """Multiply in bfloat16 (weights, sums and losses stay in single precision)."""
    ema: float = 0.0
    """Decay of the running mean of the weights that is kept and served; 0: the last weights."""
    patience: int = 0
    """Evaluations without a better mAP before the run ends with its best weights; 0: never."""
    seed: int = 1
    start: str = ""
    """Checkpoint whose weights the run starts from; random ones where empty."""

    def __post_init__(self) -> None:
        if self.specialised not in ("none", "sampled", "exact"):
            raise ValueError(f"specialised is none, sampled or exact, not {self.specialised!r}")
        if self.objective not in get_args(Objective):
            raise ValueError(
                f"objective is one of {', '.join(get_args(Objective))}, not {self.objective!r}"
            )
        if self.specialised != "none" and self.objective != "labels":
            raise ValueError("the specialised loss goes with the objective `labels` alone")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is a decay from 0 to below 1, not {self.ema}")
        if self.evidence_weight and self.specialised != "none":
            raise ValueError("the specialised loss does not go with the evidence loss")
        if not 0 <= self.small_share <= 1:
            raise ValueError(f"small_share is a share between 0 and 1, not {self.small_share}")

    def to_json(self) -> str:
        """Text for a run's folder."""
        return json.dumps(asdict(self), indent=2)


def read_recipe(path: Path) -> Recipe:
    """Read what `Recipe.to_json` wrote."""
    return Recipe(**json.loads(path.read_text(encoding="utf-8")))


def slim(method: str, passes: int = 60_000, seed: int = 1) -> Recipe:
    """A network at a quarter of the width with the loss that its paper gives it.

    Every method has the same width, budget and schedule, so that they compare.
    """
    objective: Objective = "labels"
    if method.startswith("loss_attention"):
        objective = "patches"
    elif method.startswith("routing"):
        objective = "margin"
    elif method.startswith("icasc"):
        objective = "a_ch"
    specialised = "sampled" if method == "aam" else "none"
    return Recipe(
        method=method, objective=objective, specialised=specialised, passes=passes, seed=seed
    )


def fine_tuned(recipe: Recipe, start: Path) -> Recipe:
    """The same network, moved gently by a few frames of one's own.

    A twentieth of the rates of a training from nothing, whatever rates the weights saw last: so
    measured, a model that went on from production passed the gate.
    """
    return replace(
        recipe,
        start=str(start),
        small_share=0.25,
        filter_rate=Recipe.filter_rate / 20,
        learning_rate=Recipe.learning_rate / 20,
    )


def continued(recipe: Recipe, start: Path) -> Recipe:
    """The same network, from trained weights on: a gentler and shorter cycle on other frames."""
    return replace(
        recipe,
        start=str(start),
        small_share=0.25,
        filter_rate=recipe.filter_rate / 2,
        learning_rate=recipe.learning_rate / 2,
    )
