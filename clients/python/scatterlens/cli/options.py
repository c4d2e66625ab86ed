"""Options that several commands share, spelt once."""

from pathlib import Path
from typing import Annotated, Any

import typer

from scatterlens.cli.describing import read_motors, read_pairs, read_poni

ABOUT = "About the frames"
"""Heading of what is said about frames, in `--help`."""

Url = Annotated[
    str | None,
    typer.Option(help="Gateway. Default: SCATTERLENS_URL, else what `serve` wrote here."),
]
Key = Annotated[
    str | None,
    typer.Option(help="API key. Default: SCATTERLENS_KEY, else what `serve` wrote here."),
]
Frames = Annotated[
    str, typer.Option(help="Which frames of a stack: an index, a range `i:j`, or `all`.")
]
Model = Annotated[
    str | None, typer.Option(help="Model by name, version or name@version. Default: production.")
]
Sample = Annotated[str | None, typer.Option(rich_help_panel=ABOUT)]
Scan = Annotated[str | None, typer.Option(rich_help_panel=ABOUT)]
Proposal = Annotated[str | None, typer.Option(rich_help_panel=ABOUT)]
Beamline = Annotated[str | None, typer.Option(rich_help_panel=ABOUT)]
Technique = Annotated[str | None, typer.Option(help="SAXS, GIWAXS, ...", rich_help_panel=ABOUT)]
Poni = Annotated[
    Path | None,
    typer.Option(help="PONI file with the geometry.", dir_okay=False, rich_help_panel=ABOUT),
]
Motors = Annotated[
    list[str] | None,
    typer.Option(help="Positions, such as th=0.5,phi=2.", rich_help_panel=ABOUT),
]
Extra = Annotated[
    list[str] | None,
    typer.Option(help="Whatever else, such as operator=ada.", rich_help_panel=ABOUT),
]
FrameNumber = Annotated[
    str | None,
    typer.Option(
        help="Number of the first frame, or a pattern that finds it in file names, such as"
        " 'saxs_([0-9]+)_dark'. Default: the number at the end of the name.",
        rich_help_panel=ABOUT,
    ),
]


def given(
    *,
    poni: Path | None = None,
    motors: list[str] | None = None,
    extra: list[str] | None = None,
    **fields: str | None,
) -> dict[str, Any]:
    """Metadata fields that were given on the command line."""
    said = {
        **fields,
        "poni": read_poni(poni),
        "motors": read_motors(motors) or None,
        "extra": read_pairs(extra, "--extra") or None,
    }
    return {name: value for name, value in said.items() if value is not None}
