"""`scatterlens gate`: measure a registered model against production, and record what was found.

The gateway runs no model, so this is for a worker, a trainer or a person at the command line.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.text import Text
from sqlalchemy import Engine

from scatterlens_models.bundle import BundleError
from scatterlens_models.datasets.errors import DatasetError
from scatterlens_models.evaluation.gate import Verdict
from scatterlens_models.evaluation.gate_frames import NoGateError, run_gate
from scatterlens_models.evaluation.gate_table import gate_table
from scatterlens_models.showing import shown_on
from scatterlens_models.synthetic.shards import BrokenShardError
from scatterlens_service import ledger, registry
from scatterlens_service.keeping.homes import HomeError, be_private, find_ledger
from scatterlens_service.migrations import migrate_engine
from scatterlens_service.registry.bundles import load_version
from scatterlens_service.settings import Settings


def gate_version(
    settings: Settings,
    engine: Engine,
    version: str,
    report: Callable[[str, int, int], None] | None = None,
) -> Verdict:
    """Measure a registered version against production, and record the report.

    Raises:
        UnknownVersionError: it was never registered.
        NoGateError: the settings name no frames, or the two know different attributes.
        BundleError, BrokenShardError, DatasetError: something is gone or damaged.
    """
    with ledger.reading(engine) as session:
        if ledger.get_model(session, version) is None:
            raise registry.UnknownVersionError(f"no model of version {version} is registered")
    verdict = run_gate(
        load_version(settings, version),
        registry.production_bundle(settings, engine),
        settings.gate_shards,
        settings.gate_manifests,
        settings.blob_folder,
        report,
    )
    registry.record_gate(engine, version, verdict.to_report())
    return verdict


def gate(
    version: Annotated[str, typer.Argument(help="Of a registered model, as `models list` shows.")],
    shards: Annotated[
        Path | None, typer.Option(help="Simulated test frames; default: SCATTERLENS_GATE_SHARDS.")
    ] = None,
    manifest: Annotated[
        list[Path] | None,
        typer.Option(help="A dataset with test frames; default: SCATTERLENS_GATE_MANIFESTS."),
    ] = None,
) -> None:
    """Measure a registered model against production and record whether it may be promoted.

    Exit code 1 if it may not.
    """
    given = {"gate_shards": shards, "gate_manifests": tuple(manifest or ()) or None}
    out, err = Console(markup=False), Console(markup=False, stderr=True)
    try:
        found = find_ledger(None)
    except HomeError as error:
        err.print(Text.assemble(("The gate was not run:", "red"), f" {error}"), soft_wrap=True)
        raise typer.Exit(2) from None
    be_private()
    settings = found.model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    engine = ledger.open_engine(settings.database)
    try:
        migrate_engine(engine)
        registry.register_known(settings, engine)
        with Progress(console=err, transient=True) as bar:
            verdict = gate_version(settings, engine, version, shown_on(bar))
    except UNMEASURED as error:
        err.print(
            Text.assemble(("The gate was not run:", "red"), f" {error.args[0]}"), soft_wrap=True
        )
        raise typer.Exit(2) from None
    finally:
        engine.dispose()
    out.print(gate_table(verdict))
    if not verdict.passed:
        raise typer.Exit(1)


UNMEASURED = (
    *(BundleError, BrokenShardError, DatasetError, NoGateError),
    registry.UnknownVersionError,
)
