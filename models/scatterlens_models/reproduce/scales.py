"""How much of an experiment is run, and the plan of each of its runs.

A plan names everything that decides the weights of one run but the frames themselves. Equal
plans on equal frames are one run, whichever experiment asks for them.
"""

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from scatterlens_models.reproduce.rows import Experiment, Row
from scatterlens_models.training.recipe import Recipe, continued, slim


@dataclass(frozen=True)
class Scale:
    """One budget for all rows."""

    name: str
    training: int
    """Frames to learn from."""
    watched: int
    """Validation frames for the curve of each run; nothing is chosen by them."""
    test: int
    overlays: int
    """Test frames on which overlays are judged."""
    epochs: int
    seeds: tuple[int, ...]
    width: float
    input_size: int
    poolings: int
    batch: int
    small_share: float
    specialised: Literal["sampled", "exact"]
    """How branches are specialised where a row's are."""


SCALES = {
    scale.name: scale
    for scale in (
        Scale("smoke", 40, 16, 24, 24, 1, (1,), 1 / 16, 64, 2, 8, 0.4, "sampled"),
        Scale("slim", 4_500, 500, 2_000, 500, 6, (1, 2), 1 / 4, 128, 3, 16, 0.6, "sampled"),
        Scale("full", 45_000, 2_000, 5_000, 2_000, 30, (1, 2, 3), 1.0, 256, 4, 32, 0.6, "exact"),
    )
}
"""`smoke` shows that all runs; `slim` is for one core and a night, `full` for a GPU and days."""


_ALL = {
    "fashion-mnist": {"training": 58_000, "watched": 2_000, "test": 10_000},
    "voc2012": {"training": 5_217, "watched": 500, "test": 5_823},
}
"""What `full` takes of the papers' own data, where it is not what it takes of shards."""

_OWN_DATA: dict[str, dict[str, Any]] = {
    # Images of 28 pixels cannot be halved for two poolings, and a turned bag is another thing.
    "fashion-mnist": {
        "vocabulary": "fashion10",
        "input_size": 28,
        "small_share": 0.0,
        "augment": False,
    },
    "voc2012": {"vocabulary": "voc20", "augment": False},
    "coco2014": {"vocabulary": "coco80", "augment": False},
}
"""Recipe on the papers' own data, where it is not that on frames."""


def find_scale(name: str, own_data: str = "") -> Scale:
    """A scale by its name, for shards or for a paper's own data; `ValueError` lists them."""
    if name not in SCALES:
        raise ValueError(f"no scale {name!r}; there are {', '.join(SCALES)}")
    if name != "full":
        return SCALES[name]
    return replace(SCALES[name], **_ALL.get(own_data, {}))


@dataclass(frozen=True)
class Plan:
    """One training run."""

    recipe: Recipe
    """Its `start` is empty: where weights lie is no part of what they are."""
    frames: int
    """Training frames."""
    start: "Plan | None" = None
    """Run whose weights it starts from."""
    operation: str = ""
    """MAAP: alternate training with this operation."""

    @property
    def low(self) -> "Plan":
        """The first phase of alternate training, which is a run of its own."""
        return replace(self, recipe=_gone_on(self.recipe), operation="")

    @property
    def passes(self) -> int:
        """Frames shown in all, those before the start included."""
        own = self.recipe.passes * (2 if self.operation else 1)
        return own + (self.start.passes if self.start else 0)

    def to_dict(self) -> dict[str, Any]:
        """For a result file."""
        recipe = asdict(self.recipe)
        recipe.pop("start")
        return {
            "recipe": recipe,
            "frames": self.frames,
            "operation": self.operation,
            "start": self.start.to_dict() if self.start else None,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the plan.

        Fields at their defaults are left out, so that a recipe which learns a new field is still
        the same one. Where defaults change, runs and results compare whole recipes.
        """
        content = self.to_dict()
        content["recipe"] = _told(self.recipe)
        content["start"] = self.start.digest if self.start else None
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _told(recipe: Recipe) -> dict[str, Any]:
    default = {f.name: f.default for f in fields(Recipe) if f.default is not MISSING}
    return {
        name: value
        for name, value in asdict(recipe).items()
        if name != "start" and not (name in default and default[name] == value)
    }


def _gone_on(recipe: Recipe) -> Recipe:
    return replace(continued(recipe, Path()), start="")


def plan_from(content: dict[str, Any]) -> Plan:
    """Read what `Plan.to_dict` wrote; fields that it does not know have their defaults."""
    start = content["start"]
    return Plan(
        Recipe(**content["recipe"]),
        content["frames"],
        plan_from(start) if start else None,
        content["operation"],
    )


def plan_of(experiment: Experiment, row: Row, scale: Scale, seed: int, data: bool = False) -> Plan:
    """The run behind a row.

    Args:
        experiment: where the row stands.
        row: what is trained.
        scale: the budget.
        seed: of weights and order.
        data: whether `--data` was given.
    """
    base = slim(row.method, int(scale.training * scale.epochs * row.passes), seed)
    recipe = replace(
        base,
        width=scale.width,
        input_size=scale.input_size,
        poolings=scale.poolings,
        batch=scale.batch,
        small_share=scale.small_share,
        amp=True,
        specialised="none" if base.specialised == "none" else scale.specialised,
    )
    if data:
        recipe = replace(recipe, **_OWN_DATA.get(experiment.other_data, {}))
    recipe = replace(recipe, **row.changes)
    if not row.start:
        return Plan(recipe, scale.training)
    start = plan_of(experiment, experiment.row(row.start), scale, seed, data)
    # Alternate training gives each of its phases the gentler cycle itself.
    own = recipe if row.operation else _gone_on(recipe)
    return Plan(own, scale.training, start, row.operation)
