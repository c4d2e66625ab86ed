"""Wire models: what travels between clients and the gateway, defined once for both sides."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
AttributeId = Annotated[str, Field(max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
LINE = r"^[^\x00-\x1f\x7f]*$"
"""One line of text: control characters belong in no name (and no database takes a NUL)."""


class Wire(BaseModel):
    """Base of all wire models: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid")


class State(StrEnum):
    """Where a frame stands with one model version."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    """A typed verdict on the file: final."""
    QUARANTINED = "quarantined"
    """Work on the frame kept dying; a person should look."""
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the state will not change by itself."""
        return self not in (State.QUEUED, State.LEASED)


class Reason(Wire):
    """Why a frame was refused, failed or quarantined, and what to do about it."""

    type: str
    """Stable word for programs, such as `unreadable` or `wrong_digest`."""
    title: str
    detail: str
    remedy: str


class Problem(Wire):
    """RFC 9457 problem document: the body of every error answer."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    remedy: str | None = None
    frame_id: str | None = None


class GeometryIn(Wire):
    """Where the detector stood, in metres and pixels, (row, col) order."""

    distance_m: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    wavelength_m: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    pixel_size_m: tuple[
        Annotated[float, Field(gt=0, allow_inf_nan=False)],
        Annotated[float, Field(gt=0, allow_inf_nan=False)],
    ]
    beam_center_yx: tuple[Finite, Finite]


class FrameMetadata(Wire):
    """What a client may say about the frames of one submission."""

    sample: Annotated[str, Field(max_length=500, pattern=LINE)] | None = None
    scan: Annotated[str, Field(max_length=200, pattern=LINE)] | None = None
    frame_number: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    technique: Annotated[str, Field(max_length=50, pattern=LINE)] | None = None
    beamline: Annotated[str, Field(max_length=100, pattern=LINE)] | None = None
    proposal: Annotated[str, Field(max_length=100, pattern=LINE)] | None = None
    motors: dict[str, Finite] = Field(default_factory=dict, max_length=1000)
    geometry: GeometryIn | None = None
    poni: Annotated[str, Field(max_length=20_000, pattern=r"^[^\x00]*$")] | None = None
    """Text of a PONI file (version 2 or 2.1), instead of `geometry`."""


class SubmittedFrame(Wire):
    """What became of one frame of a submission."""

    filename: str | None
    frame_id: str | None
    """None where the file was refused before it had an identity."""
    state: State | None
    duplicate: bool
    """The same bytes were known already; nothing was stored again."""
    error: Reason | None = None


class Submission(Wire):
    """Answer to `POST /frames`: one item for each frame, or for each refused file."""

    items: list[SubmittedFrame]


class ModelRef(Wire):
    """A model version by name and content hash."""

    name: str
    version: str


class AttributeResult(Wire):
    """One attribute of one frame as a model saw it."""

    id: str
    probability: Probability
    threshold: Probability
    tag: bool
    """Probability at or above the threshold."""


class Annotation(Wire):
    """All that one model version says about one frame."""

    frame_id: str
    state: State
    model: ModelRef
    attributes: list[AttributeResult] = Field(default_factory=list)
    geometry: GeometryIn | None = None
    mask_fraction: Probability | None = None
    """Share of the detector's pixels that are invalid."""
    novelty: Probability | None = None
    """Percentile among validation frames of how unlike them the frame is; near 1 = unknown kind."""
    timings_ms: dict[str, Finite] = Field(default_factory=dict)
    reason: Reason | None = None


class Agreement(Wire):
    """One attribute of one frame as all the models saw it that have decided and know it."""

    id: str
    models: int
    """How many model versions know the attribute."""
    mean_probability: Probability
    spread: Probability
    """Largest minus smallest probability."""
    tags: int
    """How many of them tag it."""
    agree: bool
    """All of them tag it, or none does."""
    map_overlap: Probability | None
    """Share of the evidence that lies in the same places, mean over pairs of the models that tag
    it: 1 = they look at the same, 0 = nowhere at the same. None where fewer than two tag it, or
    one of these has no evidence for it inside the frame."""


class Annotations(Wire):
    """All that model versions say about one frame, and how far they agree."""

    frame_id: str
    annotations: list[Annotation]
    """Of each model version that was asked, production first; decided or not."""
    agreement: list[Agreement]
    """By the annotations that are done; in the order of production's vocabulary, then others."""


class Rendering(Wire):
    """A picture that a worker has yet to compute: ask again after `Retry-After` seconds."""

    frame_id: str
    state: State
    model: ModelRef


class FrameSummary(Wire):
    """A frame in a list."""

    frame_id: str
    sha256: str
    index: int | None
    """Position inside a stack; None for a file with one image."""
    filename: str | None
    format: str
    size_bytes: int
    submitted: datetime
    sample: str | None = None
    scan: str | None = None
    frame_number: int | None = None
    technique: str | None = None
    beamline: str | None = None
    proposal: str | None = None
    state: State
    tags: list[str]
    """Ids of the attributes above their thresholds, by the production model."""
    novelty: Probability | None = None


class FrameDetail(FrameSummary):
    """A frame with everything known about it."""

    motors: dict[str, Finite] = Field(default_factory=dict)
    geometry: GeometryIn | None = None
    header: dict[str, str | int | float] = Field(default_factory=dict)
    shape: tuple[int, int] | None = None
    models: list[ModelRef] = Field(default_factory=list)
    """Model versions with an annotation of this frame."""


class FramePage(Wire):
    """One page of frames, newest first."""

    items: list[FrameSummary]
    next_cursor: str | None
    """Give it back as `cursor` for the next page; None on the last one."""


LabelValue = Literal["present", "absent", "unsure"]
Region = Annotated[list[tuple[Finite, Finite]], Field(min_length=2, max_length=1000)]
"""Points (row, col) on detector pixels: two are opposite corners of a box, more a polygon."""


class LabelIn(Wire):
    """What a person says about one attribute of a frame."""

    value: LabelValue | None
    """None withdraws what the same author said before."""
    region: Region | None = None
    """Where it is seen."""
    note: Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")] | None = None

    @model_validator(mode="after")
    def _a_withdrawal_has_no_place(self) -> Self:
        if self.value is None and self.region is not None:
            raise ValueError("a label that is withdrawn (null) has no region: leave it out")
        return self


class Shown(Wire):
    """Which model's answer a person had before them while judging."""

    model: Annotated[str, Field(max_length=120, pattern=r"^[^\x00-\x20@]+@[0-9a-f]{12}$")]
    """`name@version`"""
    probabilities: dict[AttributeId, Probability] = Field(default_factory=dict, max_length=500)


class LabelsIn(Wire):
    """Labels of one frame by one author; attributes that are not named keep theirs."""

    labels: dict[AttributeId, LabelIn] = Field(min_length=1, max_length=500)
    shown: Shown | None = None


class LabelEntry(Wire):
    """What one author said about one attribute of a frame."""

    attribute: str
    value: LabelValue | None
    """None in a history = withdrawn."""
    author: str
    time: datetime
    region: Region | None = None
    note: str | None = None
    shown: Shown | None = None


class Consensus(Wire):
    """What the current labels of one attribute come to."""

    attribute: str
    value: LabelValue
    """What most of those who are sure say; unsure where they are even, or nobody is sure."""
    present: int
    absent: int
    unsure: int
    agree: bool
    """All authors say the same."""


class FrameLabels(Wire):
    """What people say about one frame."""

    frame_id: str
    labels: list[LabelEntry]
    """What each author says now, oldest entry first."""
    consensus: list[Consensus]
    history: list[LabelEntry] | None = None
    """All entries, oldest first; None unless it was asked for."""


class ExportedLabel(LabelEntry):
    """A current label with what a data set needs to know of its frame."""

    frame_id: str
    sha256: str
    index: int | None
    """Position inside a stack; None for a file with one image."""
    proposal: str | None = None
    beamline: str | None = None
    scan: str | None = None
    sample: str | None = None


ReviewQueue = Literal["uncertain", "disagreement", "model_vs_human", "novel"]


class ReviewItem(Wire):
    """A frame that a person should look at, and why."""

    frame: FrameSummary
    attribute: str | None
    """Over which the doubt is greatest; None where the frame as a whole is meant."""
    figure: Probability
    """What the queue is ordered by. Of `uncertain`: 1 at the threshold, 0 at the probabilities 0
    and 1; `disagreement`: spread of the models' probabilities; `model_vs_human`: how far the
    probability is from what people say; `novel`: the novelty."""


class ReviewPage(Wire):
    """One page of a review queue, the greatest doubt first."""

    items: list[ReviewItem]
    next_cursor: str | None
    """Give it back as `cursor` for the next page; None on the last one."""


class AttributeInfo(Wire):
    """One entry of the vocabulary in use."""

    id: str
    name: str
    definition: str
    group: str | None = None


ModelState = Literal["production", "active", "candidate", "registered"]


class ModelInfo(Wire):
    """A bundle that the service knows."""

    name: str
    version: str
    method: str
    vocabulary: str
    input_size: int
    active: bool
    production: bool
    attention_names: list[str]
    gradient_maps: list[str] = Field(default_factory=list)
    """Gradient maps that can be asked for; empty where the bundle has no graph for them."""
    metrics: dict[str, object] = Field(default_factory=dict)
    state: ModelState = "registered"
    aliases: list[str] = Field(default_factory=list)
    gate: Literal["passed", "failed"] | None = None
    """What the gate said against the version that is production now; None: it was not asked."""


class GateFrames(Wire):
    """Frames that a gate measured two models on."""

    name: str
    frames: int
    experiments: int


class GateCheck(Wire):
    """One figure of a candidate beside that of production, on the same frames."""

    frames: str
    """Name of the frames."""
    figure: str
    """`mean_ap`, `ap`, `mean_ece` or `pointing`."""
    attribute: str | None = None
    candidate: Finite | None
    production: Finite | None
    """None where the frames do not define the figure."""
    loss: Finite | None
    """How much worse the candidate is, in units of the figure; negative where it is better."""
    interval: tuple[Finite, Finite] | None = None
    """Of the loss, over draws of experiments; None where none is taken."""
    tolerance: Finite
    passed: bool
    note: str | None = None


class GateReport(Wire):
    """Whether a candidate is no worse than production beyond the tolerances."""

    candidate: str
    """Version."""
    against: str
    """Version that was production."""
    passed: bool
    frames: list[GateFrames]
    checks: list[GateCheck]


class PromotionEntry(Wire):
    """A change of production."""

    kind: Literal["promote", "rollback"]
    from_version: str
    to_version: str
    reason: str
    gate: Literal["passed", "failed", "none"]
    """What the gate had said; a promotion with another word than `passed` was an override."""
    by: str
    time: datetime


class Reannotation(Wire):
    """A request that a model looks at frames of the past, and how far it came."""

    id: int
    version: str
    queued: int
    """Frames queued so far."""
    finished: datetime | None


class ModelDetail(Wire):
    """A registered model version with all that is known of it."""

    name: str
    version: str
    method: str
    vocabulary: str
    state: ModelState
    aliases: list[str]
    metrics: dict[str, object]
    card: str | None
    """Markdown."""
    run_id: str | None
    """The training run that made it."""
    registered: datetime
    registered_by: str
    gate: GateReport | None
    """The newest report, whichever version it compares with."""
    history: list[PromotionEntry]
    """Changes of production from or to this version, the oldest first."""
    reannotations: list[Reannotation]


_Reason = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
Version = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


class OldFrames(Wire):
    """Which frames of the past are meant; empty fields do not narrow."""

    since: datetime | None = None
    """Sent at this time or later; UTC where no zone is told."""
    proposal: Annotated[str, Field(max_length=100, pattern=LINE)] | None = None
    beamline: Annotated[str, Field(max_length=100, pattern=LINE)] | None = None
    scan: Annotated[str, Field(max_length=200, pattern=LINE)] | None = None
    sample: Annotated[str, Field(max_length=500, pattern=LINE)] | None = None
    """Part of the sample's name."""


class PromoteIn(Wire):
    """Why a model becomes production."""

    reason: _Reason
    override: bool = False
    """Although the gate refuses it or was not asked; for admins."""
    reannotate: OldFrames | None = None
    """Frames of the past that it shall look at too."""


class RollbackIn(Wire):
    """Why production goes back."""

    reason: _Reason
    leaving: Version | None = None
    """Only away from this version: the same request sent twice goes back once."""


class CandidateIn(Wire):
    """Which version is to be production next."""

    version: Version | None
    """None: none."""


class WorkerInfo(Wire):
    """A worker process that reported within the last seconds."""

    id: str
    device: str
    """What was asked for: `cpu` or `cuda`."""
    provider: str
    """What really runs, as onnxruntime says."""
    seen_seconds_ago: float
    models: list[str] = Field(default_factory=list)
    """Versions that it holds."""


class Health(Wire):
    """Whether the service can take frames and answer them."""

    status: Literal["ok", "degraded"]
    version: str
    queued: int
    leased: int
    oldest_queued_seconds: float | None
    workers: list[WorkerInfo]
    problems: list[str]


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


class Event(Wire):
    """One line of the event stream: a frame, a training run or the models changed."""

    id: int
    """Grows by time; send it back as `Last-Event-ID` to go on after it."""
    kind: Literal["submitted", "done", "failed", "quarantined", "labelled", "training", "model"]
    frame_id: str | None = None
    """None where the event is of no frame."""
    model: ModelRef | None = None
    tags: list[str] = Field(default_factory=list)
    time: datetime
    training: TrainingChange | None = None
    """Of the kind `training`; told to keys that see all frames."""
    change: Literal["registered", "gated", "promoted", "rolled_back"] | None = None
    """What happened to the model; None where the event is of a frame."""
