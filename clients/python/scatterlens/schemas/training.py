"""Training runs: asked for, advanced, come to an end."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from scatterlens.schemas.base import LINE, AttributeId, Finite, Probability, Reason, State, Wire

TrainingStage = Literal["load", "pretrain", "train", "export"]


class TrainingProgress(Wire):
    """Where a run's process stood when it last said so."""

    stage: TrainingStage
    share: Probability
    """Of the stage."""
    eta_seconds: Finite | None = None
    """Until the stage ends."""
    loss: Finite | None = None
    mean_ap: Finite | None = None
    """The newest point of the curve."""


class TrainingChange(Wire):
    """What an event says of a training run."""

    run_id: str
    state: State
    progress: TrainingProgress | None = None


class TrainingRequest(Wire):
    """A training that is asked for: it learns from all labels of the service as they stand when
    a trainer begins, and from simulated frames beside them."""

    recipe: Annotated[str, Field(max_length=100, pattern=LINE)] | None = None
    """`slim-METHOD`; `scatterlens models methods` lists the methods. None = production's."""
    name: Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9][a-z0-9_.-]*$")] | None = None
    """Of the line of models; None = that of the recipe."""
    start: Annotated[str, Field(max_length=120, pattern=LINE)] = "auto"
    """Weights to go on from: `nothing`, a model by name or version, a run by its id; `auto` =
    production's, where its bundle holds weights of the recipe's method, else nothing."""
    passes: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Frames shown in all, repetitions counted. None = 3,000 from the weights of a model, which are
    moved gently; 60,000 else."""
    pretrain_passes: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Simulated frames alone that are shown first."""
    simulated: Annotated[int, Field(ge=0, le=1_000_000)] = 2000
    """Simulated frames to learn from; a fifth as many calibrate, and as many again judge."""
    weight: Annotated[float, Field(gt=0, le=10**6, allow_inf_nan=False)] = 20.0
    """How often a labelled frame is drawn beside a simulated one."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    vocabulary: Annotated[str, Field(max_length=64)] | None = None
    """By which the labels are read; None = production's."""
    attributes: Annotated[list[AttributeId], Field(max_length=500)] | None = None
    """The run is refused where training shows one of these nowhere; None = all."""
    overrides: dict[Annotated[str, Field(max_length=64)], bool | int | Finite | str] = Field(
        default_factory=dict, max_length=50
    )
    """Other fields of the recipe, such as `batch` or `learning_rate`."""
    evaluations: Annotated[int, Field(ge=1, le=200)] = 6
    """Points of the curve."""
    gradients: bool = False
    """Give the bundle a graph of inner gradient maps."""
    note: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] | None = None
    """Why, for people."""


class Beside(Wire):
    """Another model on the validation frames of a run."""

    model: str
    """`name@version`"""
    mean_ap: Finite | None = None


class TrainingResult(Wire):
    """What a run came to."""

    name: str
    version: str
    """Of the bundle."""
    dataset: str
    """Id of the manifest that it learned from."""
    mean_ap: Finite | None = None
    """On the run's own validation frames, at the end: no figure to compare with those of another
    run or of a benchmark. None where their labels define none."""
    validation_frames: int = 0
    production: Beside | None = None
    """What was production when the run began, on the same frames."""
    kept_calibration: list[str] = Field(default_factory=list)
    """Attributes with too few labels to calibrate, that keep what the start's bundle had."""
    uncalibrated: list[str] = Field(default_factory=list)
    """Those that have none to keep."""


class Training(Wire):
    """A training run and where it stands."""

    id: str
    by: str
    trigger: Literal["person", "policy"]
    time: datetime
    """When it was asked for."""
    finished: datetime | None = None
    state: State
    request: TrainingRequest
    progress: TrainingProgress | None = None
    result: TrainingResult | None = None
    reason: Reason | None = None


class TrainingList(Wire):
    """The newest runs, newest first."""

    items: list[Training]
