"""Finding frames: counts, similar ones, saved searches, scans."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from scatterlens.schemas.base import LINE, Finite, Probability, Wire
from scatterlens.schemas.frames import FrameSummary


class FrameCount(Wire):
    """How many frames a search finds."""

    count: int
    exact: bool
    """False where counting took too long: there are at least so many."""


class SimilarFrame(Wire):
    """A frame that a model's network sees alike."""

    frame: FrameSummary
    similarity: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
    """Cosine of the angle between the features of both."""


class SimilarFrames(Wire):
    """The frames most like one, the likest first; itself left out."""

    items: list[SimilarFrame]
    compared: int
    """Frames whose features were looked at."""


class SearchIn(Wire):
    """A search to be kept."""

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=LINE)]
    query: Annotated[str, Field(max_length=4000, pattern=r"^[\x21-\x7e]*$")]
    """Parameters of `GET /frames`, as in an address: `query=ring%20%3E%200.8&scan=7`."""


class SavedSearch(SearchIn):
    """A search that was kept."""

    id: int
    time: datetime


class SavedSearches(Wire):
    """All searches that the caller keeps, by name."""

    items: list[SavedSearch]


class ScanSummary(Wire):
    """A scan of one proposal at one beamline."""

    scan: str
    proposal: str | None
    beamline: str | None
    frames: int
    first: datetime
    last: datetime


class ScanPage(Wire):
    """One page of scans, the one with the newest frame first."""

    items: list[ScanSummary]
    next_cursor: str | None


class Timeline(Wire):
    """How a model's answers go along a scan: columns of equal length, in the order of `x`."""

    scan: str
    proposal: str | None = None
    beamline: str | None = None
    against: str
    """`frame_number`, or the name of a motor."""
    frames: int
    """Points there are."""
    every: int
    """Each so-manieth of them is here, from the first on, and the last: 1 = all."""
    x: list[Finite]
    frame_ids: list[str]
    probabilities: dict[str, list[Probability]]
    """Of each attribute asked for."""
