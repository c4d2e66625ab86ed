"""`scatterlens backup` and `scatterlens restore`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from scatterlens.cli.faults import explain
from scatterlens_models.showing import progress_bar, shown_on
from scatterlens_service.commands.serve import Home
from scatterlens_service.keeping import backup as backups
from scatterlens_service.keeping.archive import BadArchiveError
from scatterlens_service.keeping.homes import (
    HomeError,
    be_private,
    find_ledger,
    find_settings,
    require_whole,
)

_SHOWN = 5
console = Console(markup=False, highlight=False)
errors = Console(markup=False, stderr=True, highlight=False)


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write; it must not exist.")],
    home: Home = None,
) -> None:
    """Save everything that a home keeps in one archive, also while it is served.

    Exit code 1 if files were damaged or missing already: the archive holds all the others.
    """
    be_private()
    try:
        settings = find_ledger(home)
        with progress_bar(errors) as bar:
            done = backups.back_up(settings, file, shown_on(bar))
    except (HomeError, backups.CannotBackUpError, OSError, SQLAlchemyError) as error:
        errors.print(
            Text.assemble(("No backup was made:", "red"), f" {_said(error)}"), soft_wrap=True
        )
        raise typer.Exit(2) from None
    console.print(
        f"{settings.home} is in {file}: {done.rows:,} rows, {done.files:,} files,"
        f" {done.size_bytes:,} bytes.",
        soft_wrap=True,
    )
    for what, names in (("missing", done.missing), ("damaged", done.damaged)):
        if names:
            errors.print(
                Text.assemble(
                    (f"{len(names):,} files of frames or answers were {what} already:", "red"),
                    f" {', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''}",
                ),
                soft_wrap=True,
            )
    if done.missing or done.damaged:
        raise typer.Exit(1)


def restore(
    file: Annotated[Path, typer.Argument(help="An archive that `scatterlens backup` wrote.")],
    home: Home = None,
) -> None:
    """Fill an empty home from a backup; with SCATTERLENS_DATABASE_URL an empty PostgreSQL, too."""
    be_private()
    settings = find_settings(home)
    try:
        require_whole(settings)
        with progress_bar(errors) as bar:
            rows, files = backups.restore(settings, file, shown_on(bar))
    except (
        *(HomeError, backups.CannotRestoreError, BadArchiveError),
        *(OSError, SQLAlchemyError),
    ) as error:
        errors.print(
            Text.assemble(("Nothing was restored:", "red"), f" {_said(error)}"), soft_wrap=True
        )
        raise typer.Exit(2) from None
    console.print(
        f"{file} is in {settings.home}: {rows:,} rows, {files:,} files. Start it with:"
        f" scatterlens serve --home {settings.home}",
        soft_wrap=True,
    )


def _said(error: Exception) -> str:
    told = explain(error, "backup", None)
    return told[0] if told else f"{error}"
