"""`scatterlens samples`: frames that come with the package, to try everything with."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from scatterlens.errors import BadArgument

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
                path = _copy(path, to / name)
            typer.echo(path)


def _copy(source: Path, target: Path) -> Path:
    if target.exists() and target.read_bytes() != source.read_bytes():
        raise BadArgument(f"{target} is another file: name another folder, or take it away first.")
    return Path(shutil.copyfile(source, target))
