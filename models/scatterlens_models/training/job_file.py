"""What a training process is told, and what it says: `job.json` in, lines of JSON out.

Whoever starts the process reads and writes these without torch.
"""

from pathlib import Path
from typing import Annotated, get_args

from pydantic import BaseModel, Field, ValidationError

from scatterlens.schemas import Reason, TrainingResult, TrainingStage

JOB_FILE = "job.json"
LOG_FILE = "job.log"
"""Where whoever starts the process keeps what it writes to standard error."""
DATASET_FILE = "dataset.jsonl"
BUNDLE_FOLDER = "bundle"
RESULT_FILE = "result.json"
"""There once a run came to its end."""
START_FILES = ("checkpoint.safetensors", "recipe.json", "frames.txt")
"""Of the folder of a loop that has ended: its weights, and what they have seen."""
PRETRAIN_FOLDER = "pretrain"
TRAIN_FOLDER = "train"

STAGES: tuple[TrainingStage, ...] = get_args(TrainingStage)


class JobFileError(ValueError):
    """A `job.json` that cannot be read; write it anew as `docs/how-to/train-from-corrections.md`
    says."""


class Corrections(BaseModel, extra="forbid"):
    """Labels of a service as they stood at one moment, to be made into a dataset."""

    labels: Path
    """JSON lines, as `datasets import service` reads them."""
    vocabulary: str
    weight: Annotated[float, Field(gt=0)] = 20.0
    """How often a labelled frame is drawn beside a simulated one."""
    simulated: Annotated[int, Field(ge=0)] = 2000
    """Simulated frames to learn from; a fifth as many calibrate, and as many again judge."""
    before: Path | None = None
    """An earlier dataset whose frames keep their split."""


class Job(BaseModel, extra="forbid"):
    """One training run; paths are relative to its folder."""

    recipe: str
    """`slim-METHOD`."""
    overrides: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Fields of `training.recipe.Recipe` that differ from the recipe's."""
    name: str
    """Of the line of models that the bundle belongs to."""
    datasets: tuple[Path, ...] = ()
    """Manifests to learn from."""
    weights: tuple[float, ...] | None = None
    """How often the frames of each manifest are drawn beside those of the others."""
    corrections: Corrections | None = None
    blobs: Path | None = None
    """Folder of the blobs of a service, where members are blobs."""
    shards: tuple[Path, ...] = ()
    """Folders of built shards; recipes that lie within them are read instead of simulated."""
    start: Path | None = None
    """Weights to go on from (safetensors): of `base`, or among the `START_FILES` of a run."""
    base: Path | None = None
    """Bundle of these weights: it says what they have seen, and lends its calibration to
    attributes that cannot be calibrated anew."""
    production: Path | None = None
    """Bundle that is production: measured on the run's validation frames, too."""
    pretrain_passes: Annotated[int, Field(ge=0)] = 0
    """Frames of the simulated part alone that are shown first."""
    attributes: tuple[str, ...] | None = None
    """Ids that training must show at least once; all where None."""
    evaluations: Annotated[int, Field(ge=1)] = 6
    """Points of the curve."""
    threads: Annotated[int, Field(ge=1)] = 1
    gradients: bool = False
    """Give the bundle a graph of inner gradient maps."""


class Line(BaseModel):
    """One line of standard output: where the run stands, or how it ended."""

    stage: TrainingStage | None = None
    share: float = 0.0
    """Of the stage, 0 to 1."""
    eta_seconds: float | None = None
    """Until the stage ends."""
    loss: float | None = None
    mean_ap: float | None = None
    """The newest point of the curve."""
    result: TrainingResult | None = None
    refusal: Reason | None = None


def read_job(folder: Path) -> Job:
    """Read the job of a run's folder.

    Raises:
        JobFileError: there is none, or it is none of this version.
    """
    path = folder / JOB_FILE
    try:
        return Job.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise JobFileError(f"{path} cannot be read ({error.strerror}): write it first") from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "the file"
        raise JobFileError(f"{path}: {place}: {fault['msg']}: correct it") from error


def write_job(folder: Path, job: Job) -> None:
    """Write the job of a run's folder, in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{JOB_FILE}.partial"
    partial.write_text(job.model_dump_json(indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / JOB_FILE)
