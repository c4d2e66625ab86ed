"""Frames that are sent, and what was seen in them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from scatterlens.schemas.base import LINE, Finite, ModelRef, Probability, Reason, State, Wire


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
    frame_number: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
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
    model: ModelRef | None
    """None where no model has a part in it."""


class RadialProfile(Wire):
    """Mean counts of the live pixels by ring around the direct beam, one pixel wide each."""

    frame_id: str
    geometry: GeometryIn | None
    """As the sender tells it, else the file; where None, there is no q."""
    center_yx: tuple[Finite, Finite]
    """The direct beam; the middle of the frame where it is not known."""
    chi_range_deg: tuple[Finite, Finite]
    radius_px: list[Finite]
    """Middles of the rings, in pixel widths."""
    q_inv_nm: list[Finite] | None
    intensity: list[Finite | None]
    """Mean counts per pixel; None in a ring without a live pixel."""
    sigma: list[Finite | None]
    """Standard error of the mean if counts are Poisson distributed."""
    pixels: list[int]
    """Live pixels in each ring."""


class AzimuthalProfile(Wire):
    """Mean counts of the live pixels by direction, within a range of rings; one degree each."""

    frame_id: str
    geometry: GeometryIn | None
    center_yx: tuple[Finite, Finite]
    radius_range_px: tuple[Finite, Finite]
    q_range_inv_nm: tuple[Finite, Finite] | None
    chi_deg: list[Finite]
    """Middles of the sectors: 0 along growing columns, 90 along growing rows."""
    intensity: list[Finite | None]
    sigma: list[Finite | None]
    pixels: list[int]


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
    detector: str | None = None
    """As the file calls it; None until it was decoded, or where the file tells none."""
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
    """One page of frames, in the order that was asked for.

    A search that takes long answers with a short page, even an empty one, and goes on at its
    cursor.
    """

    items: list[FrameSummary]
    next_cursor: str | None
    """Give it back as `cursor` for the next page; None on the last one."""
