"""Attributes and models: what there is, the gate, promotion."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from scatterlens.schemas.base import LINE, Finite, Moment, Wire


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
    map_scale: dict[str, Finite] = Field(default_factory=dict)
    """Evidence that is drawn in full colour, by attribute: it makes colours compare."""
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
    report: bool = False
    """`GET /models/{version}/report` has a page of its evaluation."""
    run_id: str | None
    """The training run that made it."""
    registered: datetime
    registered_by: str
    gate: GateReport | None
    """The newest report, whichever version it compares with."""
    history: list[PromotionEntry]
    """Changes of production from or to this version, the oldest first."""
    reannotations: list[Reannotation]


class ComparedAttribute(Wire):
    """One attribute by two models, over the frames that both annotated."""

    id: str
    both: int
    """Frames that both tag."""
    only_this: int
    only_other: int
    difference: Finite
    """Mean of this model's probability minus the other's."""
    distance: Finite
    """Mean of the difference without its sign."""


class Comparison(Wire):
    """What a model says beside another one, on the newest frames that both annotated."""

    version: str
    against: str
    frames: int
    """2,000 at most."""
    attributes: list[ComparedAttribute]


_Reason = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
Version = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


class OldFrames(Wire):
    """Which frames of the past are meant; empty fields do not narrow."""

    since: Moment | None = None
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
