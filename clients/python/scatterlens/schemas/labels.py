"""What people say of frames, and frames that wait for a judgement."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scatterlens.schemas.base import AttributeId, Finite, Probability, Wire
from scatterlens.schemas.frames import FrameSummary

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
    """Name of the key by which it was sent, for people to read."""
    person: str
    """Whose judgement it is: `person` of their keys."""
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


class ReviewProgress(Wire):
    """How far the caller has come with a review queue."""

    judged: int | None
    """Frames over which the caller said something: of the attribute, where one is named. None for
    `model_vs_human`, which a frame leaves once it is settled."""
    frames: int
    """Frames that the queue is drawn from, judged ones among them."""
    more: bool
    """There are more: they are counted up to `frames`."""
