"""Commands of this package: `models`, `synth`, `train`, `evaluate`, `transfer`.

Heavy imports come on use.
"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scatterlens_models.bundle import (
    Bundle,
    BundleError,
    bundle_folder,
    load_bundle,
    shipped_bundles,
)
from scatterlens_models.evaluation.commands import gate
from scatterlens_models.evaluation.realism_command import compare
from scatterlens_models.showing import progress_bar
from scatterlens_models.synthetic.commands import synth
from scatterlens_models.training.commands import train, transfer

__all__ = ["evaluate", "models", "synth", "train", "transfer"]

models = typer.Typer(name="models", help="Bundles: list, verify, gate.", no_args_is_help=True)
models.command("gate")(gate)
synth.command("compare")(compare)
_console = Console(markup=False)


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
    from scatterlens_models.training.asked import METHOD_NAMES

    for name in METHOD_NAMES:
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
        str | None, typer.Option(help="Bundle to compare with on the real frames.")
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
        other = load_bundle(bundle_folder(against))
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

    with progress_bar() as bar:

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
