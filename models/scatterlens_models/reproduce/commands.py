"""`scatterlens reproduce`: the experiments of the papers. Heavy imports come on use."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from scatterlens_models.evaluation.curve import Progress as Step
    from scatterlens_models.reproduce.rows import Row
    from scatterlens_models.reproduce.running import Report

_console = Console(markup=False)


def reproduce(
    experiment: Annotated[
        str,
        typer.Argument(help="aam-table1, aam-table2, aam-fashion, loss-attention, maap or icasc."),
    ],
    scale: Annotated[str, typer.Option(help="smoke, slim or full.")] = "slim",
    data: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="aam-fashion: folder of the four idx files; aam-table2: of labelled real frames;"
            " icasc: VOC2012; loss-attention: COCO 2014.",
        ),
    ] = None,
    shards: Annotated[
        Path, typer.Option(help="Folder of `synth build`: train, validation, test.")
    ] = Path("data/bench-v1"),
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/reproduce"),
    results: Annotated[Path, typer.Option(help="Folder of result files and tables.")] = Path(
        "docs/results"
    ),
    rows: Annotated[str | None, typer.Option(help="Only these rows, such as a,g.")] = None,
    seeds: Annotated[str | None, typer.Option(help="In place of the scale's, such as 1,2.")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing; write the table of what has ended.")
    ] = False,
) -> None:
    """Run an experiment of a paper, or go on with it; every run that ends leaves a result file."""
    import torch

    from scatterlens_models.reproduce.experiments import find_experiment
    from scatterlens_models.reproduce.material import MaterialError
    from scatterlens_models.reproduce.results import ResultError
    from scatterlens_models.reproduce.running import RunError
    from scatterlens_models.reproduce.scales import find_scale
    from scatterlens_models.reproduce.sweep import Asked, pending, run, write_table
    from scatterlens_models.training.checkpoint import CheckpointError

    torch.set_num_threads(threads)
    try:
        chosen = find_experiment(experiment)
        budget = find_scale(scale, "" if data is None else chosen.other_data)
        picked = tuple(chosen.row(row) for row in rows.split(",")) if rows else chosen.rows
        drawn = _numbers(seeds) if seeds else budget.seeds
        asked = Asked(chosen, budget, data, shards, out, results, picked, drawn, device)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    try:
        missing = [] if table_only else pending(asked)
        if missing:
            with _progress() as bar:
                run(asked, missing, _shown(bar, len(missing)))
        text = write_table(asked)
    except (CheckpointError, MaterialError, ResultError, RunError) as error:
        _console.print(str(error), style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None
    typer.echo(text)
    _console.print(f"written: {asked.folder / 'table.md'}", soft_wrap=True)


def _numbers(seeds: str) -> tuple[int, ...]:
    try:
        return tuple(int(seed) for seed in seeds.split(","))
    except ValueError:
        raise ValueError(f"seeds are whole numbers such as 1,2, not {seeds!r}") from None


def _shown(bar: Progress, count: int) -> "Callable[[int, Row, int], Report]":
    """Two bars: runs, with the share of the one that is going on, and its steps."""
    whole, steps = bar.add_task("runs", total=count), bar.add_task("", total=None)

    def begin(seed: int, row: "Row", number: int) -> "Report":
        name = f"{row.name}, seed {seed}"
        bar.update(whole, completed=number)
        bar.reset(steps, total=None, description=name)

        def show(progress: "Step") -> None:
            text, share = f"{name}  loss {progress.loss:.4f}", progress.step / progress.steps
            bar.update(steps, description=text, total=progress.steps, completed=progress.step)
            bar.update(whole, completed=number + share)

        return show

    return begin


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:.1f} %", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=_console,
    )
