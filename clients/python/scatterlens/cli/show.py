"""`scatterlens show`: what a file holds, as the decoder sees it, without a gateway."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from scatterlens.cli.local import local_part
from scatterlens.errors import ScatterlensError

if TYPE_CHECKING:
    import numpy as np

_HEADER_LINES = 12
_MOTORS = 24
_LONGEST_VALUE = 80
_TERMINAL_SIDE = 64
_INK = " .:-=+*#%@"
"""From dark to bright where a terminal has no colours; masked pixels are `/`."""


class CannotShow(ScatterlensError, ValueError):  # noqa: N818
    """The file gives no image; the text says why and what helps."""


def show(
    file: Annotated[Path, typer.Argument(help="A detector file in any format we read.")],
    index: Annotated[int, typer.Option(help="Which frame of a stack.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Write the picture to this PNG instead.", dir_okay=False)
    ] = None,
) -> None:
    """Look at one file: format, shape, masked pixels, geometry, header, a small picture."""
    from scatterlens.cli import drawing  # needs numpy, which --help does not

    console = Console(markup=False)
    frame, frames = _decode(file, index)
    console.print(_facts(file, frame, index, frames))
    if out is None:
        pixels = drawing.grey_picture(frame, min(console.width, _TERMINAL_SIDE))
        if console.color_system:
            console.print(_colored(pixels))
        else:
            console.print(_typed(pixels, drawing.MASKED))
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(drawing.encode_png(drawing.grey_picture(frame, drawing.PNG_SIDE)))
        console.print(f"written: {out}", soft_wrap=True)


def _decode(file: Path, index: int) -> tuple[Any, int]:
    """Decode in the limited child; errors of the file become one line with its remedy."""
    child = local_part("decoder", "`scatterlens show`")
    try:
        with child() as decoder:
            return decoder.decode(file, index), decoder.probe(file).frames
    except FileNotFoundError:
        raise CannotShow(f"There is no file {file}. Check the path.") from None
    except (ValueError, RuntimeError, OSError) as error:
        raise CannotShow(f"{file}: {error}") from error


def _facts(file: Path, frame: Any, index: int, frames: int) -> Table:
    """Everything about a frame that fits a screen, one fact a row."""
    import numpy as np

    live = frame.image[~frame.mask]
    table = Table(title=str(file), title_justify="left", show_header=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    rows, cols = frame.image.shape
    table.add_row("format", frame.format + (" (a picture: no counts)" if frame.lossy else ""))
    table.add_row("shape", f"{rows} x {cols} (row, col)")
    if frames > 1:
        table.add_row("frame", f"{index} of {frames}")
    table.add_row("masked", f"{frame.mask.mean():.2%} of the pixels")
    table.add_row("saturated", f"{int(frame.saturated.sum())} pixels")
    if live.size:
        low, middle, high = np.percentile(live, (0, 50, 100))
        table.add_row("counts", f"min {low:g}, median {middle:g}, max {high:g}")
    table.add_row("geometry", _geometry(frame.geometry))
    motors = [f"{name} {value:g}" for name, value in frame.motors.items()]
    if motors:
        more = f", ... and {len(motors) - _MOTORS} more" if len(motors) > _MOTORS else ""
        table.add_row("motors", Text(", ".join(motors[:_MOTORS]) + more))
    header = list(frame.header.items())
    for name, value in header[:_HEADER_LINES]:
        table.add_row(Text(str(name)), Text(str(value)[:_LONGEST_VALUE]))
    if len(header) > _HEADER_LINES:
        table.add_row("", f"... and {len(header) - _HEADER_LINES} more header entries")
    return table


def _geometry(geometry: Any) -> str:
    if geometry is None:
        return "none in the file (or only a detector's defaults)"
    pixel = " x ".join(f"{1e6 * side:g}" for side in geometry.pixel_size_m)
    center = ", ".join(f"{position:.1f}" for position in geometry.beam_center_yx)
    return (
        f"distance {geometry.distance_m:g} m, wavelength {1e10 * geometry.wavelength_m:g} Å, "
        f"pixel {pixel} µm, beam center (row, col) {center}"
    )


def _colored(pixels: "np.ndarray") -> Text:
    """Two pixels to a character cell: the upper half block has one colour, its ground the other."""
    import numpy as np

    if len(pixels) % 2:
        pixels = np.concatenate([pixels, np.full_like(pixels[:1], 0)])
    text = Text(no_wrap=True)
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        for above, below in zip(upper, lower, strict=True):
            colors = (Color.from_rgb(*map(float, rgb)) for rgb in (above, below))
            text.append("▀", Style(color=next(colors), bgcolor=next(colors)))
        text.append("\n")
    return text


def _typed(pixels: "np.ndarray", masked: tuple[int, int, int]) -> Text:
    """Two pixels to a character cell, as one character by brightness."""
    rows = [
        "".join(
            "/" if tuple(rgb) == masked else _INK[int(rgb[0]) * len(_INK) // 256] for rgb in row
        )
        for row in pixels[::2]
    ]
    return Text("\n".join(rows), no_wrap=True)
