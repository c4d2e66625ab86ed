"""`scatterlens models gate`. Heavy imports come on use."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from scatterlens_models.bundle import BundleError, bundle_folder, load_bundle
from scatterlens_models.showing import shown_on

_console = Console(markup=False)


def gate(
    candidate: Annotated[str, typer.Argument(help="Folder of a bundle, or a shipped name.")],
    against: Annotated[str, typer.Option(help="Folder of production, or a shipped name.")],
    shards: Annotated[
        Path | None, typer.Option(help="Folder of one part, such as bench-v1/test.")
    ] = None,
    manifest: Annotated[
        list[Path] | None, typer.Option(help="A dataset with test frames; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the report to this JSON file too.", dir_okay=False)
    ] = None,
) -> None:
    """Say whether a bundle is no worse than another on the same frames; exit code 1 if worse.

    This only tells. `scatterlens gate` does the same with a registered model and records it.
    """
    from scatterlens_models.datasets.errors import DatasetError
    from scatterlens_models.evaluation.gate_frames import NoGateError, run_gate
    from scatterlens_models.evaluation.gate_table import gate_table
    from scatterlens_models.synthetic.shards import BrokenShardError

    with Progress(console=_console, transient=True) as bar:
        try:
            ours, theirs = (load_bundle(bundle_folder(name)) for name in (candidate, against))
            verdict = run_gate(ours, theirs, shards, manifest or (), report=shown_on(bar))
        except (BundleError, BrokenShardError, DatasetError, NoGateError) as error:
            _console.print(str(error), style="red", soft_wrap=True)
            raise typer.Exit(2) from None
    _console.print(gate_table(verdict))
    if out is not None:
        out.write_text(json.dumps(verdict.to_report(), indent=1) + "\n", encoding="utf-8")
    if not verdict.passed:
        raise typer.Exit(1)
