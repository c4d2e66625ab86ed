"""Frames that are sent, and what was seen in them."""

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

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


def _name(most: int) -> Any:
    # Scans and proposals are numbers to many; to us they are names.
    return Field(max_length=most, pattern=LINE, coerce_numbers_to_str=True)


_Blank = BeforeValidator(lambda told: None if told == "" else told)
"""Programs send an empty name where they have none."""


_Sample = Annotated[Annotated[str, _name(500)] | None, _Blank]
_Scan = Annotated[Annotated[str, _name(200)] | None, _Blank]
_Technique = Annotated[Annotated[str, _name(50)] | None, _Blank]
_Place = Annotated[Annotated[str, _name(100)] | None, _Blank]
_FrameNumber = Annotated[int, Field(ge=0, le=2**63 - 1)] | None
_Poni = Annotated[str, Field(max_length=20_000, pattern=r"^[^\x00]*$")] | None
_Key = Annotated[str, Field(min_length=1, max_length=100, pattern=LINE)]
_MOST_MOTORS = 1000
_MOST_EXTRA = 200
_MOST_EXTRA_BYTES = 2**14


def _is_small(extra: dict[str, Any] | None) -> dict[str, Any] | None:
    try:
        size = len(json.dumps(extra, allow_nan=False))
    except ValueError as error:
        raise ValueError("a number in it is not finite: leave it out") from error
    if size > _MOST_EXTRA_BYTES:
        raise ValueError(f"{size:,} bytes as JSON, {_MOST_EXTRA_BYTES:,} are taken")
    return extra


class FrameMetadata(Wire):
    """What a client may say about the frames of one submission.

    A frame that was sent before keeps what is not said again.
    """

    sample: _Sample = None
    scan: _Scan = None
    frame_number: _FrameNumber = None
    """Of the first of several frames, the others are counted on from it. Without it, the number at
    the end of the file's name, else what the file says; inside a stack, the index."""
    technique: _Technique = None
    beamline: _Place = None
    proposal: _Place = None
    motors: dict[_Key, Finite] = Field(default_factory=dict, max_length=_MOST_MOTORS)
    """Beside those that the file tells itself."""
    geometry: GeometryIn | None = None
    poni: _Poni = None
    """Text of a PONI file (version 2 or 2.1), instead of `geometry`."""
    extra: Annotated[dict[_Key, JsonValue], AfterValidator(_is_small)] = Field(
        default_factory=dict, max_length=_MOST_EXTRA
    )
    """Whatever else is worth keeping, under names of your own; 16 KiB as JSON."""


class FrameChanges(Wire):
    """Corrections of what is told of a frame: what is not named stays, null forgets.

    Motors and keys of `extra` are corrected one by one.
    """

    sample: _Sample = None
    scan: _Scan = None
    frame_number: _FrameNumber = None
    technique: _Technique = None
    beamline: _Place = None
    proposal: _Place = None
    """What people said of the frame goes with it."""
    motors: dict[_Key, Finite | None] | None = Field(None, max_length=_MOST_MOTORS)
    geometry: GeometryIn | None = None
    poni: _Poni = None
    """Instead of `geometry`."""
    extra: Annotated[dict[_Key, JsonValue] | None, AfterValidator(_is_small)] = Field(
        None, max_length=_MOST_EXTRA
    )


class MetadataChange(Wire):
    """A change of what is told of a frame, by sending it again or by a correction."""

    time: datetime
    author: str | None
    """Name of the key."""
    changes: dict[str, tuple[JsonValue, JsonValue]]
    """By field: what was told before and after, None = nothing."""


class FramePlace(Wire):
    """A proposal and a beamline within which a frame is known."""

    proposal: str | None
    beamline: str | None


class SubmittedFrame(Wire):
    """What became of one frame of a submission."""

    filename: str | None
    frame_id: str | None
    """None where the file was refused before it had an identity."""
    state: State | None
    duplicate: bool
    """The same bytes were known already, within what the caller sees; nothing is stored again."""
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
    """As the sender tells them, else the file."""
    geometry: GeometryIn | None = None
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    header: dict[str, str | int | float] = Field(default_factory=dict)
    shape: tuple[int, int] | None = None
    models: list[ModelRef] = Field(default_factory=list)
    """Model versions with an annotation of this frame."""
    places: list[FramePlace] = Field(default_factory=list)
    """Within which the caller sees the frame, the newest first. This is told of the first one, or
    of the one that `proposal` and `beamline` of the request name."""
    history: list[MetadataChange] | None = None
    """Of the metadata, oldest change first; None unless it was asked for."""


class FramePage(Wire):
    """One page of frames, in the order that was asked for.

    A search that takes long answers with a short page, even an empty one, and goes on at its
    cursor.
    """

    items: list[FrameSummary]
    next_cursor: str | None
    """Give it back as `cursor` for the next page; None on the last one."""
