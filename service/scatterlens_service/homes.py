"""The folder of everything kept: where its ledger is, and whether it may be used."""

import os
from pathlib import Path

from sqlalchemy import make_url

from scatterlens_service.settings import Settings

RESTORING = "RESTORE-INCOMPLETE"
"""Lies in a home until everything was restored into it."""


class HomeError(RuntimeError):
    """The home cannot be used; the text says why, and what to do."""


def database_file(settings: Settings) -> Path | None:
    """File of the ledger; None where it is in PostgreSQL."""
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite" or url.database is None:
        return None
    return Path(url.database)


def require_whole(settings: Settings) -> None:
    """Raise `HomeError` where a restoration into this home did not come to its end."""
    if (settings.home / RESTORING).exists():
        raise HomeError(
            f"{settings.home} was not restored completely; remove what is in it, and restore the"
            " backup again"
        )


def require_ledger(settings: Settings) -> None:
    """Raise `HomeError` where a ledger in a file would be made by opening it."""
    file = database_file(settings)
    if file is not None and not file.is_file():
        raise HomeError(f"there is no ledger in {settings.home}; name the home with --home")


def be_private() -> None:
    """From now on this process, and those that it starts, make files for their owner alone."""
    os.umask(0o077)
