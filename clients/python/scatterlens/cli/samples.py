"""`scatterlens samples`: frames that come with the package, to try everything with."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

NAMES = ("frame.cbf", "scan.h5")


def samples(
    to: Annotated[
        Path | None, typer.Option(help="Copy them into this folder.", file_okay=False)
    ] = None,
) -> None:
    """Tell where the sample frames lie, or copy them: simulated ones, of this project."""
    with as_file(files("scatterlens") / "samples") as folder:
        for name in NAMES:
            path = folder / name
            if to is not None:
                to.mkdir(parents=True, exist_ok=True)
                path = Path(shutil.copyfile(path, to / name))
            typer.echo(path)
