"""`scatterlens explain`: pictures of where a model looked in a frame, computed in this process."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scatterlens.cli import options
from scatterlens.cli.local import CannotAnnotate, local_part
from scatterlens.errors import ScatterlensError
from scatterlens.schemas import Annotation


class CannotExplain(ScatterlensError, ValueError):  # noqa: N818
    """A file that gives no pictures; the text says why and what helps."""


def explain(
    file: Annotated[Path, typer.Argument(help="A detector file in any format we read.")],
    model: Annotated[
        str | None, typer.Option(help="Name or folder of a bundle. Default: the shipped one.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="cam (default): evidence for an attribute; gradcam, a_ch, a_px: its gradient at"
            " an inner layer; patch, attention: what the network attends to. Give it repeatedly."
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(help="Id of an attribute; repeatedly for several. Default: the frame's tags."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Write the pictures into this folder.", file_okay=False)
    ] = Path("explained"),
    frames: options.Frames = "0",
) -> None:
    """Write a picture for each map of a frame: where a model looked, by one or more methods.

    They come to lie in a folder for the frame: `OUT/FILE.ID/MODEL.METHOD.ATTRIBUTE.png`.
    """
    from scatterlens.cli.drawing import overlay_picture  # needs numpy, which --help does not

    console = Console(markup=False, soft_wrap=True)
    computed = local_part("explain", "`scatterlens explain`")
    found = computed(file, frames, model, tuple(method or ("cam",)), tuple(attribute or ()))
    refused = False
    try:
        for one in found:
            annotation: Annotation = one.said
            if annotation.reason:
                said = annotation.reason
                console.print(
                    f"failed {file} ({said.type}): {said.title}. {said.detail}", style="red"
                )
                console.print(said.remedy)
                refused = True
                continue
            folder = out / f"{file.name}.{_short(annotation.frame_id)}"
            folder.mkdir(parents=True, exist_ok=True)
            table = _table(file, annotation, folder)
            for shown in one.maps:
                name = f"{annotation.model.name}.{shown.method}.{shown.name}.png"
                values, full = shown.values - shown.dark, shown.full_colour - shown.dark
                (folder / name).write_bytes(overlay_picture(one.frame, values, full))
                likely = "" if shown.probability is None else f"{shown.probability:.3f}"
                table.add_row(shown.method, shown.name, likely, name)
            console.print(table)
    except OSError as error:
        raise CannotExplain(f"{file}: {error.strerror or error}. Check the path.") from error
    except ValueError as error:
        raise CannotAnnotate(str(error)) from error
    if refused:
        raise typer.Exit(1)


def _table(file: Path, annotation: Annotation, folder: Path) -> Table:
    model = f"{annotation.model.name}@{annotation.model.version}"
    table = Table(title=Text(f"{file}\n{model}\npictures in {folder}"), title_justify="left")
    table.add_column("method", no_wrap=True)
    table.add_column("of", no_wrap=True)
    table.add_column("probability", justify="right")
    table.add_column("picture", overflow="fold")
    return table


def _short(frame_id: str) -> str:
    """First digits of the file's hash, with the index inside a stack."""
    sha256, _, index = frame_id.partition(".")
    return f"{sha256[:8]}.{index}" if index else sha256[:8]
