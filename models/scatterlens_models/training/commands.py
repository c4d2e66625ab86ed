"""`scatterlens train` and `scatterlens transfer`. Heavy imports come on use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from scatterlens_models.bundle import Bundle, BundleError, bundle_folder, load_bundle
from scatterlens_models.showing import progress_bar

if TYPE_CHECKING:
    from scatterlens_models.training.recipe import Recipe

_console = Console(markup=False)


def train(
    recipe: Annotated[str, typer.Argument(help="slim-METHOD; `models methods` lists them.")],
    run: Annotated[Path, typer.Option(help="Folder of the run; a stopped run goes on.")],
    shards: Annotated[
        Path | None, typer.Option(help="Learn from a folder of `synth build`, whole.")
    ] = None,
    dataset: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Learn from datasets, mixed."),
    ] = None,
    blobs: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Folder of a service's blobs, for --dataset."
        ),
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Write the bundle to this folder.")] = None,
    passes: Annotated[int, typer.Option(min=1, help="Frames shown in all.")] = 60_000,
    frames: Annotated[int | None, typer.Option(min=1, help="Use the first frames only.")] = None,
    seed: Annotated[int, typer.Option()] = 1,
    width: Annotated[float, typer.Option(help="Factor on the channels of the paper.")] = 0.25,
    batch: Annotated[int, typer.Option(min=2, help="Frames of a step.")] = 16,
    size: Annotated[int, typer.Option(help="Input side, pixels.")] = 128,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    amp: Annotated[bool, typer.Option(help="Multiply in bfloat16.")] = False,
    ema: Annotated[float, typer.Option(help="Decay of the mean weights; 0 = last weights.")] = 0,
    evidence: Annotated[
        float, typer.Option(help="Weight of the evidence loss: maps shall lie on the evidence.")
    ] = 0,
    patience: Annotated[
        int, typer.Option(min=0, help="Evaluations without a better mAP that end it; 0 = never.")
    ] = 0,
    evaluations: Annotated[int, typer.Option(min=1, help="How often mAP is measured.")] = 6,
    specialised: Annotated[
        str | None, typer.Option(help="none, sampled or exact; default: as the recipe says.")
    ] = None,
    compiled: Annotated[bool, typer.Option(help="Fuse kernels: minutes to start.")] = False,
    start: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Checkpoint to go on from.")
    ] = None,
    operation: Annotated[
        str | None,
        typer.Option(help="Of MAAP: train alternately, on frames so made (roi, enhance, ...)."),
    ] = None,
    gradients: Annotated[
        bool, typer.Option(help="Give the bundle a graph of inner gradient maps.")
    ] = False,
) -> None:
    """Train a network on simulated frames, or on datasets of any, and export it."""
    import dataclasses

    from scatterlens_models.training.asked import RecipeError, method_of

    try:
        method = method_of(recipe)
    except RecipeError as error:
        raise typer.BadParameter(f"{error}") from None

    import torch

    from scatterlens_models.training.recipe import continued, slim
    from scatterlens_models.training.run import run_training

    torch.set_num_threads(threads)
    chosen = dataclasses.replace(
        slim(method, passes, seed),
        width=width,
        batch=batch,
        input_size=size,
        amp=amp,
        ema=ema,
        evidence_weight=evidence,
        patience=patience,
    )
    if specialised is not None:
        chosen = dataclasses.replace(chosen, specialised=specialised)
    if operation is not None:
        # Alternate training gives each of its phases the gentler cycle itself.
        chosen = dataclasses.replace(chosen, start=str(start or ""))
    elif start is not None:
        chosen = continued(chosen, start)
    if dataset and shards is None:
        if frames or operation or compiled or device != "cpu":
            raise typer.BadParameter(
                "--frames, --operation, --compiled and --device go with --shards alone"
            )
        _train_on(dataset, blobs, chosen, run, bundle, recipe, threads, evaluations, gradients)
        return
    if shards is None or dataset:
        raise typer.BadParameter("give --shards or --dataset, and not both")
    with progress_bar() as bar:
        task = bar.add_task(recipe, total=None)

        def show(progress) -> None:
            text = f"{recipe}  loss {progress.loss:.4f}"
            if progress.mean_ap is not None:
                bar.console.print(f"{progress.passes} passes: mAP {progress.mean_ap:.4f}")
            bar.update(task, description=text, total=progress.steps, completed=progress.step)

        made = run_training(
            chosen,
            shards,
            run,
            bundle,
            recipe,
            frames,
            compiled,
            show,
            operation,
            gradients,
            device,
            evaluations,
        )
    if made is not None:
        _console.print(f"bundle {made.name} {made.version} in {made.path}")


def _train_on(
    datasets: list[Path],
    blobs: Path | None,
    recipe: "Recipe",
    run: Path,
    bundle: Path | None,
    name: str,
    threads: int,
    evaluations: int,
    gradients: bool,
) -> None:
    """Describe a job in the folder of the run, and do it."""
    import shutil
    from dataclasses import asdict

    from scatterlens_models.training.asked import NOT_TO_OVERRIDE
    from scatterlens_models.training.job import run_job
    from scatterlens_models.training.job_file import (
        BUNDLE_FOLDER,
        JOB_FILE,
        Job,
        Line,
        read_job,
        write_job,
    )
    from scatterlens_models.training.refusals import refusal_of

    job = Job(
        recipe=name,
        overrides={k: v for k, v in asdict(recipe).items() if k not in NOT_TO_OVERRIDE},
        name=name,
        datasets=tuple(path.resolve() for path in datasets),
        blobs=blobs and blobs.resolve(),
        start=Path(recipe.start).resolve() if recipe.start else None,
        evaluations=evaluations,
        threads=threads,
        gradients=gradients,
    )
    if not (run / JOB_FILE).exists():
        write_job(run, job)
    elif read_job(run) != job:
        raise typer.BadParameter(f"{run} holds a run of another job; take another folder")
    with progress_bar() as bar:
        task = bar.add_task(name, total=1.0)

        def show(line: Line) -> None:
            text = f"{name}  {line.stage}" + ("" if line.loss is None else f" {line.loss:.4f}")
            bar.update(task, description=text, completed=line.share)

        try:
            result = run_job(run, show)
        except Exception as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            _console.print(f"{refusal.detail}\n{refusal.remedy}", style="red", soft_wrap=True)
            raise typer.Exit(1) from None
    made = run / BUNDLE_FOLDER
    if bundle is not None:
        shutil.copytree(made, bundle, dirs_exist_ok=True)
        made = bundle
    _console.print(f"bundle {result.name} {result.version} in {made}")


def transfer(
    base: Annotated[str, typer.Argument(help="Folder of a bundle, or a shipped name.")],
    labels: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="CSV as `datasets import csv` reads it."),
    ],
    frames: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of the labelled files.")
    ],
    bundle: Annotated[Path, typer.Option(help="Write the new bundle to this folder.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the model; default: that of the folder.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    always: Annotated[
        bool, typer.Option(help="Take every new head, better or not than the one there is.")
    ] = False,
) -> None:
    """Adapt a bundle to a beamline from a few labelled frames."""
    import numpy as np

    from scatterlens_models.datasets.counting import labels_of
    from scatterlens_models.datasets.errors import DatasetError
    from scatterlens_models.datasets.importing.tables import read_csv
    from scatterlens_models.datasets.preparing import prepare_members
    from scatterlens_models.training.head_graph import BaseGraphError
    from scatterlens_models.training.transfer import TransferError
    from scatterlens_models.training.transfer import transfer as adapt

    if (bundle.exists() and not (bundle / "bundle.json").is_file()) or bundle.is_file():
        raise typer.BadParameter(f"{bundle} exists and is no bundle: name a folder of its own")
    try:
        loaded = load_bundle(bundle_folder(base))
        if bundle.resolve() == loaded.path.resolve():
            raise typer.BadParameter("--bundle is the bundle to start from: name another folder")
        members = read_csv(labels, loaded.vocabulary, frames)
        made = adapt(
            loaded,
            np.stack(list(prepare_members(members, loaded.preprocess))),
            labels_of(members, len(loaded.vocabulary.ids)),
            [member.frame_id for member in members],
            bundle,
            name or bundle.name,
            seed,
            always,
        )
    except (BundleError, DatasetError, TransferError, BaseGraphError) as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(1) from None
    _show(made)


def _show(made: Bundle) -> None:
    table = Table("attribute", "head", "present", "absent", "AP, not seen", "why")
    for entry in made.content["heads"]:
        reached = entry.get("held_out_ap")
        table.add_row(
            entry["attribute"],
            entry["head"],
            str(entry["present"]),
            str(entry["absent"]),
            "-" if reached is None else f"{reached:.3f}",
            entry.get("reason", ""),
        )
    _console.print(table)
    _console.print(f"bundle {made.name} {made.version} in {made.path}")
