"""Commands of this package: `models`, `synth`, `train`, `evaluate`, `transfer`.

Heavy imports come on use.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from scatterlens_models.bundle import (
    Bundle,
    BundleError,
    bundle_folder,
    load_bundle,
    shipped_bundles,
)
from scatterlens_models.evaluation.commands import gate
from scatterlens_models.synthetic.commands import synth
from scatterlens_models.training.commands import transfer

__all__ = ["evaluate", "models", "synth", "train", "transfer"]

models = typer.Typer(name="models", help="Bundles: list, verify, gate.", no_args_is_help=True)
models.command("gate")(gate)
_console = Console()


@models.command("shipped")
def shipped_command() -> None:
    """List the bundles that come with the package."""
    table = Table("name", "version", "method", "vocabulary", "input", "mAP")
    for path in shipped_bundles().values():
        bundle = load_bundle(path)
        mean_ap = bundle.metrics.get("mean_ap")
        table.add_row(
            bundle.name,
            bundle.version,
            bundle.method,
            bundle.vocabulary.name,
            f"{bundle.preprocess.size} px",
            "-" if mean_ap is None else f"{mean_ap:.3f}",
        )
    _console.print(table)


@models.command("methods")
def methods_command() -> None:
    """List the networks that can be trained, by name."""
    from scatterlens_models.nets import METHODS

    for name in METHODS:
        _console.print(name)


@models.command("verify")
def verify_command(path: Annotated[Path, typer.Argument(help="Folder of a bundle.")]) -> None:
    """Check every hash of a bundle."""
    try:
        bundle = load_bundle(path)
    except BundleError as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(1) from None
    _console.print(f"{bundle.name} {bundle.version}: every file is the one that was sealed")


@models.command("shrink")
def shrink_command(
    bundle: Annotated[str, typer.Argument(help="Folder of a bundle, or a shipped name.")],
    folder: Annotated[Path, typer.Argument(help="Write the smaller bundle to this new folder.")],
    shards: Annotated[Path, typer.Option(help="Frames to judge by, such as bench-v1/validation.")],
) -> None:
    """Store the weights in half precision, where the answers stay as good."""
    from scatterlens_models.training.shrinking import ShrinkError, shrink_bundle

    loaded = load_bundle(bundle_folder(bundle))
    try:
        made, before, after = shrink_bundle(loaded, folder, shards)
    except (ShrinkError, FileExistsError) as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(1) from None
    sizes = [sum(f.stat().st_size for f in b.path.iterdir()) / 2**20 for b in (loaded, made)]
    _console.print(
        f"{made.name} {made.version}: {sizes[0]:.1f} to {sizes[1]:.1f} MiB,"
        f" mAP {before:.4f} to {after:.4f}"
    )


def train(
    recipe: Annotated[str, typer.Argument(help="slim-METHOD; `models methods` lists them.")],
    shards: Annotated[Path, typer.Option(help="Folder of `synth build`: train, validation, test.")],
    run: Annotated[Path, typer.Option(help="Folder of the run; a stopped run goes on.")],
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
    """Train a network on simulated frames and export it."""
    import dataclasses

    import torch

    from scatterlens_models.nets import METHODS
    from scatterlens_models.training.recipe import continued, slim
    from scatterlens_models.training.run import run_training

    method = recipe.removeprefix("slim-")
    if method not in METHODS or not recipe.startswith("slim-"):
        raise typer.BadParameter(f"no recipe {recipe!r}; there is slim- and {', '.join(METHODS)}")
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
    with _progress() as bar:
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


def evaluate(
    bundle: Annotated[str, typer.Argument(help="Folder of a bundle, or a shipped name.")],
    shards: Annotated[Path, typer.Option(help="Folder of one part, such as bench-v1/test.")],
    real: Annotated[Path | None, typer.Option(help="Folder of real frames with labels.")] = None,
    record: Annotated[bool, typer.Option(help="Write figures and card into the bundle.")] = False,
    curves: Annotated[
        list[Path] | None, typer.Option(help="Run folders; their curves go into the card.")
    ] = None,
    twin: Annotated[
        Path | None, typer.Option(help="Measured bundle of the plain twin, for the card.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Picture of real frames with overlays.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Bundle to compare with on the real frames.")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write report.html and report.json into this folder.", file_okay=False),
    ] = None,
) -> None:
    """Measure a bundle: mAP, pointing game, real frames; or (--page) everything, as a web page."""
    from scatterlens_models.evaluation.report import compare_on_real, figures, render_card
    from scatterlens_models.training.export import record_metrics

    path = bundle_folder(bundle)
    loaded = load_bundle(path)
    if real is None and (sheet is not None or against is not None):
        raise typer.BadParameter("--sheet and --against use real frames: give them by --real")
    if page is not None and (record or real is not None or curves):
        raise typer.BadParameter("--page is a report of its own: it goes with --twin alone")
    if sheet is not None and real is not None:
        from scatterlens_models.evaluation.sheet import real_sheet

        real_sheet(loaded, real, sheet)
    plain = None if twin is None else load_bundle(twin)
    if page is not None:
        _write_page(loaded, shards, plain, page)
        return
    found = figures(loaded, shards, real, curves or [], plain)
    card = render_card(loaded, found)
    _console.print(card)
    if against is not None and real is not None:
        other = load_bundle(against)
        gain, (low, high) = compare_on_real(loaded, other, real)
        _console.print(
            f"on real frames: mean AP {gain:+.4f} against {other.name} {other.version}"
            f" (90 % interval {low:+.4f} to {high:+.4f})"
        )
    if record:
        sealed = record_metrics(path, found, card)
        _console.print(f"recorded; the version is now {sealed.version}")


def _write_page(bundle: Bundle, shards: Path, twin: Bundle | None, folder: Path) -> None:
    from scatterlens_models.evaluation.page import examples, write_report
    from scatterlens_models.evaluation.predictions import Predictions, predict_part
    from scatterlens_models.evaluation.study import study
    from scatterlens_models.session import ModelSession

    with _progress() as bar:

        def predict(one: Bundle) -> Predictions:
            task = bar.add_task(one.name, total=None)
            return predict_part(
                ModelSession(one),
                shards,
                lambda done, total: bar.update(task, completed=done, total=total),
            )

        found = predict(bundle)
        beside = None if twin is None else predict(twin)
    pictures = examples(bundle, found, shards, bundle.vocabulary.ids)
    part = f"{shards.resolve().parent.name}/{shards.name}"
    path = write_report(folder, bundle, study(bundle, found, beside), pictures, part)
    _console.print(f"written: {path}", soft_wrap=True)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.1f} %"),
        TimeRemainingColumn(),
        console=_console,
    )
