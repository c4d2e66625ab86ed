"""What a request asks for when it asks for frames: one filter for lists, counts and exports."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import AfterValidator, Field

from scatterlens.schemas import Moment, Probability, State
from scatterlens_models.bundle import Bundle
from scatterlens_service import ledger
from scatterlens_service.gateway.cursors import read_cursor, write_cursor
from scatterlens_service.gateway.deps import ChosenModel, Since, in_utc
from scatterlens_service.gateway.errors import InvalidError

Line = Annotated[str | None, Query(max_length=500, pattern=r"^[^\x00]*$")]
Terms = list[Annotated[str, Field(max_length=100)]]

_NUMBER = r"(-?0x[01]\.[0-9a-f]{1,13}p[+-]\d{1,4}|0x0\.0p\+0)"


def _filter(
    model: ChosenModel,
    tag: Annotated[
        Terms,
        Query(
            default_factory=list,
            max_length=50,
            description="`ring`, `ring>0.8`, `ring<0.2`; all must hold.",
        ),
    ],
    without: Annotated[
        Terms,
        Query(
            default_factory=list, alias="not", max_length=50, description="None of these may hold."
        ),
    ],
    query: Annotated[
        Line,
        Query(
            description="About the attributes: `ring > 0.8 and not (halo or textured < 0.2)`. One"
            " alone means that it is tagged; names in quotes will do as well as ids."
        ),
    ] = None,
    proposal: Line = None,
    beamline: Line = None,
    scan: Line = None,
    technique: Annotated[Line, Query(description="In any case.")] = None,
    detector: Annotated[Line, Query(description="Part of the detector's name.")] = None,
    sample: Annotated[Line, Query(description="Part of the sample's name.")] = None,
    since: Since = None,
    until: Annotated[
        Annotated[Moment, AfterValidator(in_utc)] | None,
        Query(description="Sent before this time; UTC where no zone is told."),
    ] = None,
    state: Annotated[State | None, Query(description="With the chosen model.")] = None,
    labelled: Annotated[
        bool | None, Query(description="Somebody labels it now, or nobody does.")
    ] = None,
    uncertain: Annotated[
        Probability | None,
        Query(description="Some attribute is at least so near its threshold: 1 = at it."),
    ] = None,
    disagreeing: Annotated[
        Probability | None,
        Query(description="The models differ by at least this over some attribute."),
    ] = None,
    novel: Annotated[Probability | None, Query(description="The novelty is at least this.")] = None,
) -> ledger.FrameFilter:
    known = known_attributes(model)
    parts = [ledger.parse_query(text, known) for text in tag]
    parts += [ledger.Not(ledger.parse_query(text, known)) for text in without]
    if query is not None and query.strip():
        parts.append(ledger.parse_query(query, known))
    return ledger.FrameFilter(
        query=ledger.Both(tuple(parts)) if parts else None,
        proposal=proposal,
        beamline=beamline,
        scan=scan,
        technique=technique,
        detector=detector,
        sample=sample,
        since=since,
        until=until,
        state=state,
        labelled=labelled,
        uncertain=uncertain,
        disagreeing=disagreeing,
        novel=novel,
    )


Filter = Annotated[ledger.FrameFilter, Depends(_filter)]


def known_attributes(model: Bundle) -> list[ledger.Known]:
    """What may be asked of a model's answers, in the order of its vocabulary."""
    return [
        ledger.Known(attribute.id, attribute.name, float(threshold))
        for attribute, threshold in zip(model.vocabulary.attributes, model.thresholds, strict=True)
    ]


def find_position(model: Bundle, attribute: str) -> int:
    """Place of an attribute in the model's vocabulary; `InvalidError` names those it has."""
    if attribute not in model.vocabulary.ids:
        raise InvalidError(
            "unknown_attribute",
            "Unknown attribute",
            f"The model has no attribute {attribute!r}.",
            f"Choose one of {', '.join(model.vocabulary.ids)}.",
            known=list(model.vocabulary.ids),
        )
    return model.vocabulary.ids.index(attribute)


def _order(
    model: ChosenModel,
    wanted: Filter,
    order: Annotated[
        Literal["newest", "oldest", "frame_number", "novelty", "probability"],
        Query(description="`frame_number` within a `scan`; `probability` of the attribute `of`."),
    ] = "newest",
    of: Annotated[str | None, Query(max_length=64)] = None,
) -> ledger.Order:
    if order == "frame_number" and wanted.scan is None:
        raise InvalidError(
            "no_scan",
            "Frame numbers are those of a scan",
            "`order=frame_number` comes without a `scan`.",
            "Name the scan, or choose another order.",
        )
    if order != "probability":
        return ledger.Order(order)
    if of is None:
        raise InvalidError(
            "no_attribute",
            "Probabilities are those of an attribute",
            "`order=probability` comes without `of`.",
            "Name the attribute, as in `order=probability&of=ring`.",
        )
    return ledger.Order(order, of, find_position(model, of))


Ordering = Annotated[ledger.Order, Depends(_order)]


@dataclass(frozen=True)
class Start:
    """Where a list begins, and which way it goes."""

    order: ledger.Order
    beyond: str | None
    """A frame of the list; None = at its end."""


def _start(
    order: Ordering,
    after: Annotated[
        str | None,
        Query(max_length=100, description="A frame of the list: give what follows it."),
    ] = None,
    before: Annotated[
        str | None,
        Query(
            max_length=100,
            description="A frame of the list: give what stands before it, the nearest first.",
        ),
    ] = None,
) -> Start:
    if before is None:
        return Start(order, after)
    if after is not None:
        raise InvalidError(
            "two_ways",
            "A list goes one way",
            "Both `after` and `before` are told.",
            "Ask twice, once for each.",
        )
    return Start(replace(order, backwards=True), before)


Beginning = Annotated[Start, Depends(_start)]


def write_place(order: ledger.Order, place: ledger.Place) -> str:
    """The cursor of a page; hexadecimal, so that the value comes back to the last bit."""
    return write_cursor(f"{_named(order)}:{float(place.value).hex()}:{place.id}")


def read_place(order: ledger.Order, cursor: str) -> ledger.Place:
    """Read `write_place` back; a cursor of another order is refused."""
    # Fewer digits than the largest id of a database has, which is more than it will ever count.
    found = read_cursor(cursor, rf"{_named(order)}:{_NUMBER}:(\d{{1,18}})")
    return ledger.Place(float.fromhex(found[1]), int(found[2]))


def _named(order: ledger.Order) -> str:
    name = order.by if order.attribute is None else f"{order.by}-{order.attribute}"
    return f"{name}-backwards" if order.backwards else name
