"""`scatterlens synth compare`: how like real frames the simulated ones are."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from scatterlens_models.synthetic.sampling import UnknownProfileError

_console = Console(markup=False)


def compare(
    folder: Annotated[Path, typer.Argument(help="Real frames: INDEX.csv, LABELS.csv, files.")],
    out: Annotated[Path, typer.Option(help="PNG to write: simulated beside real frames.")],
    figures: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 20200907,
    frames: Annotated[int, typer.Option(min=2, help="Simulated frames.")] = 320,
    profile: Annotated[str, typer.Option(help="realistic or paper.")] = "realistic",
    half: Annotated[
        str | None, typer.Option(help="A or B: only that half of the real sources.")
    ] = None,
) -> None:
    """Compare simulated frames with real ones: picture, statistics and domain test."""
    from scatterlens_models.evaluation import domain_test, realism

    try:
        chosen = realism.find_real(folder, half)
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress("{task.description}", *columns, console=_console) as progress:
            read = realism.real_examples(folder, chosen)
            real = [e for e in progress.track(read, len(chosen), description="real") if e]
            indices = realism.experiments(frames)
            made = realism.simulated_examples(seed, indices, profile)
            simulated = list(progress.track(made, frames, description="simulated"))
            indices = realism.null_indices([example.source for example in real])
            made = realism.simulated_examples(seed, indices, profile)
            null = list(progress.track(made, len(indices), description="simulated, null"))
        with _console.status("comparing"):
            found = realism.compare(real, simulated, null)
            realism.side_by_side(out, simulated, real)
    except (realism.NoRealFramesError, domain_test.TooFewFramesError, UnknownProfileError) as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(2) from None
    found = {"seed": seed, "profile": profile, "half": half, **found}
    if figures is not None:
        figures.parent.mkdir(parents=True, exist_ok=True)
        figures.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    _console.print(_realism_table(found))
    real_zeros, simulated_zeros = found["statistics"]["zero_share"]["means"]
    _console.print(f"mean zero share: real {real_zeros:.3f}, simulated {simulated_zeros:.3f}")
    for name, test in found["domain_test"].items():
        low, high = test["interval"]
        _console.print(
            f"AUC, {name.replace('_', ' ')}: {test['auc']:.2f} ({low:.2f} to {high:.2f})"
        )
    _console.print(f"few sources: read the AUC beside its null; intervals are 90 %. Wrote {out}")


def _realism_table(found: dict) -> Table:
    real, simulated = found["real"], found["simulated"]
    title = (
        f"{real['frames']} real frames of {real['sources']} sources, "
        f"{simulated['frames']} simulated ones of {simulated['experiments']} experiments"
    )
    table = Table(title=title, box=box.SIMPLE, pad_edge=False)
    table.add_column("statistic", no_wrap=True)
    for head in ("real 10, 50, 90 %", "sim. 10, 50, 90 %", "P(real\nlarger)", "bar"):
        table.add_column(head, justify="right", no_wrap=True)
    words = {True: "met", False: "NOT met", None: ""}
    for name, row in found["statistics"].items():
        values = (" ".join(f"{x:.2g}" for x in row[kind]) for kind in ("real", "simulated"))
        table.add_row(name, *values, f"{row['real_larger']:.2f}", words[row["bar_met"]])
    return table
