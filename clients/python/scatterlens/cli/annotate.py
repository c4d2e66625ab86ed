"""`scatterlens annotate`: files in, a table or JSON lines out, pictures where asked for."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from scatterlens.cli import options
from scatterlens.cli.describing import number_of
from scatterlens.cli.failures import reason_for
from scatterlens.client import Client, Outcome
from scatterlens.errors import BadArgument
from scatterlens.files import File
from scatterlens.result import Result
from scatterlens.schemas import Reason

_BAR = 20
_IN_FULL = 3
"""Up to so many frames get a table each; more share one, with a row for each."""


def annotate(
    files: Annotated[list[str], typer.Argument(help="Detector files in any format we read.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per frame and line.")
    ] = False,
    overlays: Annotated[
        Path | None,
        typer.Option(help="Write a PNG for each tag into this folder.", file_okay=False),
    ] = None,
    frames: options.Frames = "0",
    local: Annotated[
        bool, typer.Option("--local", help="Compute in this process, without a gateway.")
    ] = False,
    model: options.Model = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for each verdict.", min=0)] = 600.0,
    url: options.Url = None,
    key: options.Key = None,
    sample: options.Sample = None,
    scan: options.Scan = None,
    proposal: options.Proposal = None,
    beamline: options.Beamline = None,
    technique: options.Technique = None,
    poni: options.Poni = None,
    motors: options.Motors = None,
    frame_number: options.FrameNumber = None,
    extra: options.Extra = None,
) -> None:
    """Say what is seen in frames, how surely, and (with --overlays) where.

    Exit code 1 if any file failed; the others are annotated all the same.
    """
    metadata = options.given(
        sample=sample,
        scan=scan,
        proposal=proposal,
        beamline=beamline,
        technique=technique,
        poni=poni,
        motors=motors,
        extra=extra,
    )
    numbered = number_of(frame_number)
    if local:
        if metadata or numbered:
            raise BadArgument("With --local nothing is kept: leave out what is said about frames.")
        from scatterlens.cli.local import annotate_locally

        outcomes = annotate_locally(files, frames, model)
    else:
        place = {file: at for at, file in enumerate(dict.fromkeys(files))}

        def about(file: File) -> dict[str, object]:
            number = None if numbered is None else numbered(str(file), place[str(file)])
            return {} if number is None else {"frame_number": number}

        outcomes = _annotate_remotely(files, frames, model, wait, url, key, about, metadata)
    seen = []
    for outcome in _with_progress(outcomes, len(files)):
        seen.append(outcome)
        if as_json:
            typer.echo(json.dumps(_as_dict(outcome)))
        if overlays and outcome.result:
            _write_overlays(outcome.file, outcome.result, overlays)
    if not as_json:
        _print_tables(seen)
    if any(outcome.error for outcome in seen):
        raise typer.Exit(1)


def _annotate_remotely(
    files: list[str],
    frames: str,
    model: str | None,
    wait: float,
    url: str | None,
    key: str | None,
    about: Callable[[File], dict[str, object]],
    metadata: dict[str, object],
) -> Iterator[Outcome]:
    with Client(url, key, retry_s=2.0) as client:
        # Nobody there: say so once, now, and not for every file. What hinders an answer, too.
        for problem in client.health().problems:
            typer.secho(f"The service says: {problem}", err=True, fg="yellow")
    with Client(url, key) as client:
        yield from client.annotate_many(
            files, frames, wait=wait, model=model, about=about, **metadata
        )


def _with_progress(outcomes: Iterator[Outcome], files: int) -> Iterator[Outcome]:
    """Show on stderr how far we are; a stack may turn out to have more frames than one."""
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    console = Console(markup=False, stderr=True)
    bar = Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar as progress:
        task = progress.add_task("annotate", total=files)
        for done, outcome in enumerate(outcomes, start=1):
            progress.update(task, completed=done, total=max(files, done))
            yield outcome


def _as_dict(outcome: Outcome) -> dict[str, object]:
    said: dict[str, object] = {
        "file": outcome.file,
        "frame_id": outcome.frame_id,
        "state": outcome.state,
    }
    if outcome.error:
        return said | {"reason": reason_for(outcome.error).model_dump()}
    result = outcome.result
    assert result is not None
    return said | {
        "model": result.model.model_dump(),
        "probabilities": result.probabilities,
        "tags": result.tags,
        "novelty": result.novelty,
        "mask_fraction": result.annotation.mask_fraction,
        "timings_ms": result.annotation.timings_ms,
    }


def _write_overlays(file: str, result: Result, folder: Path) -> None:
    """Write a picture for each tag; where there is none, for the likeliest attribute."""
    folder.mkdir(parents=True, exist_ok=True)
    sha256, _, index = result.frame_id.partition(".")
    short = f"{sha256[:8]}.{index}" if index else sha256[:8]
    for attribute in result.tags or list(result.probabilities)[:1]:
        path = folder / f"{Path(file).name}.{short}.{attribute}.png"
        path.write_bytes(result.picture(attribute))


def _print_tables(outcomes: list[Outcome]) -> None:
    out = Console(markup=False, soft_wrap=not sys.stdout.isatty())
    done = [(outcome.file, outcome.result) for outcome in outcomes if outcome.result]
    if len(done) <= _IN_FULL:
        for file, result in done:
            out.print(_full_table(file, result))
    else:
        out.print(_short_table(done))
    for outcome in outcomes:
        if outcome.error:
            out.print(_failure(outcome.file, reason_for(outcome.error)))


def _full_table(file: str, result: Result) -> Table:
    model = f"{result.model.name}@{result.model.version}"
    novelty = "" if result.novelty is None else f" · novelty {result.novelty:.2f}"
    table = Table(title=Text(f"{file}\n{model}{novelty}"), title_justify="left")
    table.add_column("attribute", no_wrap=True)
    table.add_column("probability", justify="right")
    table.add_column("", no_wrap=True)
    table.add_column("threshold", justify="right", style="dim")
    by_id = {one.id: one for one in result.annotation.attributes}
    for attribute, probability in result.probabilities.items():
        table.add_row(
            attribute,
            f"{probability:.3f}",
            "█" * round(_BAR * probability),
            f"{by_id[attribute].threshold:.3f}",
            style="bold" if by_id[attribute].tag else "dim",
        )
    return table


def _short_table(done: list[tuple[str, Result]]) -> Table:
    table = Table()
    table.add_column("file", overflow="fold")
    table.add_column("tags, the likeliest first", overflow="fold")
    table.add_column("novelty", justify="right")
    for file, result in done:
        index = result.frame_id.partition(".")[2]
        tags = ", ".join(f"{tag} {result.probabilities[tag]:.2f}" for tag in result.tags)
        table.add_row(
            Text(f"{Path(file).name}{f' [{index}]' if index else ''}"),
            tags or "none above its threshold",
            "" if result.novelty is None else f"{result.novelty:.2f}",
        )
    return table


def _failure(file: str, reason: Reason) -> Text:
    text = Text("failed ", style="red")
    text.append(file, style="bold")
    text.append(f" ({reason.type}): {reason.title}. {reason.detail.rstrip('.')}. ")
    return text.append(reason.remedy, style="italic")
