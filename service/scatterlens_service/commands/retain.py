"""`scatterlens retain`: what the retention policy removes, or would remove."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scatterlens_service import ledger
from scatterlens_service.commands.serve import Home
from scatterlens_service.keeping.homes import HomeError, be_private, describe_ledger, find_ledger
from scatterlens_service.migrations import migrate_engine
from scatterlens_service.tending import retention

console = Console(markup=False, highlight=False)
errors = Console(markup=False, stderr=True, highlight=False)


def retain(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    raw_days: Annotated[
        float | None, typer.Option(min=0, help="Instead of SCATTERLENS_RETAIN_RAW_DAYS.")
    ] = None,
    preview_days: Annotated[
        float | None, typer.Option(min=0, help="Instead of SCATTERLENS_RETAIN_PREVIEW_DAYS.")
    ] = None,
    map_days: Annotated[
        float | None, typer.Option(min=0, help="Instead of SCATTERLENS_RETAIN_MAP_DAYS.")
    ] = None,
    home: Home = None,
) -> None:
    """Remove files, previews and maps of frames that are too old; labelled frames are left alone.

    Where the settings name days, the service does the same every hour. 0 days = never.
    """
    be_private()
    try:
        settings = find_ledger(home)
    except HomeError as error:
        errors.print(Text.assemble(("Nothing was removed:", "red"), f" {error}"), soft_wrap=True)
        raise typer.Exit(2) from None
    given = {
        "retain_raw_days": raw_days,
        "retain_preview_days": preview_days,
        "retain_map_days": map_days,
    }
    settings = settings.model_copy(
        update={name: days for name, days in given.items() if days is not None}
    )
    errors.print(f"Ledger: {describe_ledger(settings)}", style="dim", soft_wrap=True)
    if not retention.is_configured(settings):
        errors.print("Nothing is ever too old: set SCATTERLENS_RETAIN_RAW_DAYS, or --raw-days.")
        raise typer.Exit(2)
    engine = ledger.open_engine(settings.database)
    try:
        migrate_engine(engine)
        if dry_run:
            found = retention.plan(settings, engine)
        else:
            found = retention.apply(settings, engine)
    finally:
        engine.dispose()
    console.print(_table(found, "would be removed" if dry_run else "removed"))


def _table(freed: retention.Freed, what: str) -> Table:
    table = Table("", what, "bytes")
    table.add_row("files of frames", f"{freed.files:,}", f"{freed.file_bytes:,}")
    about = "about " if what.startswith("would") else ""
    table.add_row("previews", f"{freed.previews:,}", f"{about}{freed.preview_bytes:,}")
    table.add_row("maps", f"{freed.maps:,}", f"{about}{freed.map_bytes:,}")
    return table
