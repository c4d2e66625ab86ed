"""`scatterlens describe`: correct what is told of a frame, or read how it changed."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scatterlens.cli import options
from scatterlens.client import Client
from scatterlens.errors import BadArgument
from scatterlens.schemas import FrameChanges, FrameDetail, FramePlace
from scatterlens.spelling import no_such

_SHOWN = ("filename", "sample", "scan", "frame_number", "technique", "proposal", "beamline")


def describe(
    frame_id: Annotated[str, typer.Argument(help="As `annotate --json` and the browser show it.")],
    sample: options.Sample = None,
    scan: options.Scan = None,
    frame_number: Annotated[int | None, typer.Option(min=0, rich_help_panel=options.ABOUT)] = None,
    technique: options.Technique = None,
    proposal: options.Proposal = None,
    beamline: options.Beamline = None,
    poni: options.Poni = None,
    motors: options.Motors = None,
    extra: options.Extra = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(help="A field, motors.NAME or extra.NAME that is told no more."),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            metavar="PROPOSAL",
            help="Whose record is meant where several proposals know the frame; '' = of none.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="BEAMLINE", help="The same by beamline, where that is needed too."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    url: options.Url = None,
    key: options.Key = None,
) -> None:
    """Correct what is told of a frame, and show it with its history; what is not named stays.

    --proposal and --beamline move the frame there, with what people said of it.
    """
    changes = options.given(
        sample=sample,
        scan=scan,
        technique=technique,
        proposal=proposal,
        beamline=beamline,
        poni=poni,
        motors=motors,
        extra=extra,
    )
    if frame_number is not None:
        changes["frame_number"] = frame_number
    for name in forget or ():
        _forget(changes, name)
    with Client(url, key) as client:
        if changes:
            place = _place(client, frame_id, within, at)
            frame = client.describe(frame_id, within=place, **changes)
        else:
            frame = client.frame(frame_id, history=True, proposal=within, beamline=at)
    if as_json:
        typer.echo(frame.model_dump_json())
    else:
        _print(frame)


def _place(client: Client, frame_id: str, within: str | None, at: str | None) -> FramePlace | None:
    if within is None and at is None:
        return None
    frame = client.frame(frame_id, proposal=within, beamline=at)
    return FramePlace(proposal=frame.proposal, beamline=frame.beamline)


def _forget(changes: dict[str, object], name: str) -> None:
    field, _, key = name.partition(".")
    known = [*FrameChanges.model_fields]
    if field not in known or (key and field not in ("motors", "extra")):
        raise BadArgument(f"--forget: {no_such('field', name, known)}.")
    if not key:
        changes[field] = None
        return
    told = changes.setdefault(field, {})
    assert isinstance(told, dict)
    told[key] = None


def _print(frame: FrameDetail) -> None:
    console = Console(markup=False)
    console.print(frame.frame_id, soft_wrap=True)
    table = Table(show_header=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name in _SHOWN:
        _add(table, name, getattr(frame, name))
    for name, told in (("motors", frame.motors), ("extra", frame.extra)):
        _add(table, name, ", ".join(_pair(*pair) for pair in told.items()) or None)
    if frame.geometry is not None:
        _add(table, "geometry", frame.geometry.model_dump_json())
    for change in frame.history or ():
        said = "; ".join(_change(name, *pair) for name, pair in change.changes.items())
        table.add_row(f"{change.time:%Y-%m-%d %H:%M}", Text(f"{change.author or '?'}: {said}"))
    console.print(table)


def _add(table: Table, name: str, value: object) -> None:
    if value is not None:
        table.add_row(name, Text(f"{value}"))


def _pair(name: str, value: object) -> str:
    return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


def _change(name: str, before: object, after: object) -> str:
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        return f"{name} {json.dumps(before)} -> {json.dumps(after)}"
    return f"{name} {before} -> {after}"
