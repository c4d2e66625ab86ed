"""Options that several commands share, spelt once."""

from typing import Annotated, Any

import typer

_ABOUT = "About the frames"

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
Sample = Annotated[str | None, typer.Option(rich_help_panel=_ABOUT)]
Scan = Annotated[str | None, typer.Option(rich_help_panel=_ABOUT)]
Proposal = Annotated[str | None, typer.Option(rich_help_panel=_ABOUT)]
Beamline = Annotated[str | None, typer.Option(rich_help_panel=_ABOUT)]


def given(**fields: str | None) -> dict[str, Any]:
    """Metadata fields that were given on the command line."""
    return {name: value for name, value in fields.items() if value is not None}
