"""Removing files that no row names any more: at once after a change, or by the next sweep."""

from sqlalchemy import Engine

from scatterlens_service import ledger
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_service.keeping.file_locks import may_remove_files
from scatterlens_service.settings import Settings


def remove_files(engine: Engine, settings: Settings) -> int:
    """Remove what waits for it; returns how many files. While a backup is made, all of it waits."""
    with ledger.reading(engine) as session:
        if not ledger.has_removals(session):
            return 0
    folders = {
        ledger.BLOBS: BlobFolder(settings.blob_folder),
        ledger.RENDERS: BlobFolder(settings.render_folder),
    }
    removed = 0
    while True:
        with may_remove_files(settings.home) as may:
            if not may:
                return removed
            with ledger.writing(engine) as session:
                ledger.own_files(session)
                # Before the commit: where that fails, the rows stay, and the files are gone once.
                for folder, sha256 in ledger.take_removals(session):
                    removed += folders[folder].remove(sha256)
        with ledger.reading(engine) as session:
            if not ledger.has_removals(session):
                return removed
