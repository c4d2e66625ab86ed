"""`scatterlens synth`: build shards, look at a contact sheet, count the labels."""

import json
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from scatterlens_models.synthetic.dataset import (
    BrokenShardError,
    BuildRunningError,
    UnknownSplitError,
    UnwritableShardError,
    build,
    describe,
    find_splits,
    open_shards,
)
from scatterlens_models.synthetic.sampling import UnknownProfileError
from scatterlens_models.vocabulary import UnknownVocabularyError, load_vocabulary

synth = typer.Typer(name="synth", help="Simulated frames with known truth.", no_args_is_help=True)
_console = Console()


@synth.command("build")
def build_command(
    split: Annotated[str, typer.Option(help="`bench-v0`, or one part: `bench-v0/test`.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards; one folder per part.")],
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Build shards. A build that was stopped goes on where it stopped."""
    try:
        splits = find_splits(split)
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress("{task.description}", *columns, console=_console) as progress:
            for part in splits:
                task = progress.add_task(part.name, total=part.frames)
                for frames in build(part, out / part.name.partition("/")[2], jobs):
                    progress.advance(task, frames)
        manifest = describe({part.name: out / part.name.partition("/")[2] for part in splits})
    except (
        UnknownSplitError,
        BrokenShardError,
        BuildRunningError,
        UnwritableShardError,
    ) as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(2) from None
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    _console.print(f"shards and manifest.json in {out}")


@synth.command("sheet")
def sheet_command(
    out: Annotated[Path, typer.Argument(help="PNG to write.")],
    seed: Annotated[int, typer.Option()] = 20200907,
    start: Annotated[int, typer.Option(help="First frame index.")] = 0,
    step: Annotated[int, typer.Option(min=1, help="Distance of the indices.")] = 50,
    frames: Annotated[int, typer.Option(min=1)] = 40,
    evidence: Annotated[str, typer.Option(help="Outline this attribute's evidence.")] = "",
    profile: Annotated[str, typer.Option(help="realistic or paper.")] = "realistic",
) -> None:
    """Write a contact sheet of simulated frames with their labels."""
    from scatterlens_models.synthetic.sheet import contact_sheet

    indices = range(start, start + frames * step, step)
    try:
        contact_sheet(out, seed, indices, evidence or None, profile)
    except UnknownProfileError as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(2) from None
    _console.print(f"wrote {out}")


@synth.command("frames")
def frames_command(
    out: Annotated[Path, typer.Argument(help="Folder for files, PONI and truth.")],
    suffix: Annotated[str, typer.Option("--format", help="edf, cbf, tif or h5.")] = "cbf",
    frames: Annotated[int, typer.Option(min=1)] = 10,
    seed: Annotated[int, typer.Option()] = 20200907,
    start: Annotated[int, typer.Option(min=0, help="First frame index.")] = 0,
    step: Annotated[int, typer.Option(min=1, help="Distance of the indices.")] = 50,
    vocabulary: Annotated[str, typer.Option(help="aam20, experimental20 or full.")] = "full",
) -> None:
    """Write detector files at full resolution, with geometry and known truth."""
    from scatterlens_models.synthetic.frames import UnknownFormatError, write_frames

    indices = range(start, start + frames * step, step)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress("{task.description}", *columns, console=_console) as progress:
            for _ in progress.track(
                write_frames(out, seed, indices, suffix, vocabulary=vocabulary),
                total=frames,
                description=suffix,
            ):
                pass
    except (UnknownFormatError, UnknownVocabularyError) as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(2) from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        _console.print(
            f"cannot write into {out}: {reason}. Make room, then run the same command again.",
            style="red",
            soft_wrap=True,
        )
        raise typer.Exit(2) from None
    _console.print(f"{frames} frames in {out}")


@synth.command("stats")
def stats_command(
    folder: Annotated[Path, typer.Argument(help="Folder of one part's shards.")],
    together: Annotated[bool, typer.Option(help="Also P(column | row).")] = False,
) -> None:
    """Count labels: present, unsure, hard, and which occur together."""
    try:
        shards = open_shards(folder)
    except BrokenShardError as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(2) from None
    with shards:
        labels, dprime = shards.labels, shards.dprime
        ids = load_vocabulary(shards.vocabulary).ids
    table = Table("attribute", "present %", "unsure %", "hard % of present")
    for a, name in enumerate(ids):
        present = labels[:, a] == 1
        hard = np.mean(dprime[present, a] < 40) if present.any() else 0.0
        shares = (present.mean(), (labels[:, a] == -1).mean(), hard)
        table.add_row(name, *(f"{100 * share:.1f}" for share in shares))
    _console.print(table)
    _console.print(
        f"{len(labels)} frames, {np.mean((labels == 1).sum(1)):.2f} labels per frame, "
        f"{100 * np.mean((labels != 1).all(1)):.1f} % without"
    )
    if together:
        positive = (labels == 1).astype(float)
        joint = positive.T @ positive / np.maximum(positive.sum(0)[:, None], 1)
        grid = Table("P(column | row)", *(str(a + 1) for a in range(len(ids))))
        for a, name in enumerate(ids):
            grid.add_row(f"{a + 1} {name}", *(f"{100 * p:.0f}" for p in joint[a]))
        _console.print(grid)


if __name__ == "__main__":
    synth()
