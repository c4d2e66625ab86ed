"""`scatterlens synth`: build shards, look at a contact sheet, count the labels.

What simulates needs torch, and is imported on use.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from scatterlens_models.synthetic.sampling import UnknownProfileError
from scatterlens_models.synthetic.shards import BrokenShardError, open_shards
from scatterlens_models.vocabulary import UnknownVocabularyError, load_vocabulary

if TYPE_CHECKING:
    from scatterlens_models.synthetic.leakage import Leak, Probe
    from scatterlens_models.synthetic.prevalence import Implication, Prevalence

synth = typer.Typer(name="synth", help="Simulated frames with known truth.", no_args_is_help=True)
_console = Console(markup=False)


@synth.command("build")
def build_command(
    split: Annotated[str, typer.Option(help="`bench-v1`, or one part: `bench-v1/test`.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards; one folder per part.")],
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Build shards. A build that was stopped goes on where it stopped."""
    from scatterlens_models.synthetic import dataset

    try:
        splits = dataset.find_splits(split)
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress("{task.description}", *columns, console=_console) as progress:
            for part in splits:
                task = progress.add_task(part.name, total=part.frames)
                for frames in dataset.build(part, out / part.name.partition("/")[2], jobs):
                    progress.advance(task, frames)
        manifest = dataset.describe(
            {part.name: out / part.name.partition("/")[2] for part in splits}
        )
    except (
        dataset.UnknownSplitError,
        BrokenShardError,
        dataset.BuildRunningError,
        dataset.UnwritableShardError,
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
    from scatterlens_models.synthetic.prevalence import implications, prevalence

    try:
        shards = open_shards(folder)
    except BrokenShardError as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(2) from None
    with shards:
        labels, dprime = shards.labels, shards.dprime
        vocabulary = shards.vocabulary
    ids = load_vocabulary(vocabulary).ids
    counted = prevalence(labels, dprime)
    _console.print(_prevalence_table(ids, counted, barred=vocabulary == "aam20"))
    _console.print(
        f"{len(labels)} frames, {np.mean((labels == 1).sum(1)):.2f} labels per frame, "
        f"{100 * np.mean((labels != 1).all(1)):.1f} % without"
    )
    if together:
        grid = Table("P(column | row)", *(str(a + 1) for a in range(len(ids))))
        for a, name in enumerate(ids):
            grid.add_row(f"{a + 1} {name}", *(f"{100 * p:.0f}" for p in counted.together[a]))
        _console.print(grid)
        _console.print(_implication_table(implications(labels, ids)))


def _prevalence_table(ids: Sequence[str], counted: "Prevalence", barred: bool) -> Table:
    from scatterlens_models.synthetic.prevalence import COMMON, RARE

    table = Table("attribute", "present %", "unsure %", "hard % of present", "")
    columns = (counted.present, counted.unsure, counted.hard)
    for name, *shares in zip(ids, *columns, strict=True):
        note = ""
        if barred and shares[0] < RARE:
            note = f"below {100 * RARE:.0f} %"
        elif barred and shares[0] > COMMON:
            note = f"above {100 * COMMON:.0f} %"
        table.add_row(name, *(f"{100 * share:.1f}" for share in shares), note)
    return table


def _implication_table(found: "list[Implication]") -> Table:
    table = Table("premise", "consequence", "frames", "%", "unsure %", "without %", "")
    for one in found:
        shares = (one.present, one.unsure, one.present_without)
        note = f"{100 * one.absent:.2f} % break it" if one.must_hold and one.absent > 0 else ""
        texts = (f"{100 * share:.1f}" for share in shares)
        table.add_row(one.premise, one.consequence, str(one.frames), *texts, note)
    return table


@synth.command("leakage")
def leakage_command(
    frames: Annotated[int, typer.Option(min=50, help="One of each experiment.")] = 5000,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    seed: Annotated[int, typer.Option(min=0)] = 20200907,
    start: Annotated[int, typer.Option(min=0, help="First frame index.")] = 4_000_000,
) -> None:
    """Measure what detector, beamstop, exposure and mask tell of the labels: nearly nothing."""
    from scatterlens_models.synthetic import leakage

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress("{task.description}", *columns, console=_console) as progress:
        looked = leakage.survey(seed, start, frames, jobs)
        seen = leakage.gather(progress.track(looked, total=frames, description="frames"))
    for nuisance in leakage.NUISANCES:
        _console.print(_leak_table(nuisance, leakage.leaks(seen, nuisance)))
    bright = seen.on_image
    probes = {"all": leakage.mask_probe(seen.masks, seen.labels)}
    try:
        probes["beam on the image"] = leakage.mask_probe(seen.masks[bright], seen.labels[bright])
    except leakage.TooFewFramesError as error:
        _console.print(f"beam on the image: {error}", style="yellow", soft_wrap=True)
    _console.print(_probe_table(probes))


def _leak_table(nuisance: str, found: "list[Leak]") -> Table:
    """Information on each label, in thousandths of a nat; the largest in the last row."""
    from scatterlens_models.synthetic.leakage import LEAKAGE_BAR

    title = f"{nuisance}: 0.001 nat, * from {1000 * LEAKAGE_BAR:.0f} on"
    table = Table("attribute", "raw", "less chance", "within strata", title=title)
    for leak in found:
        table.add_row(leak.attribute, *map(_milli, leak.figures))
    table.add_section()
    table.add_row("largest", *map(_milli, np.max([leak.figures for leak in found], axis=0)))
    return table


def _milli(information: float) -> str:
    from scatterlens_models.synthetic.leakage import LEAKAGE_BAR

    return f"{1000 * information:.1f}{'*' if information >= LEAKAGE_BAR else ''}"


def _probe_table(probes: "dict[str, Probe]") -> Table:
    heads = ("frames", "mean AP", "base rate", "chance AP", "AP - chance, 95 %", "")
    table = Table("masks alone", *heads)
    for name, probe in probes.items():
        figures = (probe.mean_ap, probe.base_rate, probe.chance)
        interval = f"{probe.low:+.4f} to {probe.high:+.4f}"
        note = "tells labels" if probe.leaks else ""
        table.add_row(name, str(probe.frames), *(f"{x:.4f}" for x in figures), interval, note)
    return table


if __name__ == "__main__":
    synth()
