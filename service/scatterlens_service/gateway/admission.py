"""Whether new frames are taken at all: decided before a body is read."""

import shutil
import time
from dataclasses import dataclass

from sqlalchemy import Engine

from scatterlens_service import ledger
from scatterlens_service.gateway.errors import BusyError, ProblemError, StorageError
from scatterlens_service.gateway.receiving import storage_problem
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_service.settings import Settings

_ENOUGH_FREE_BYTES = 5 * 2**30
"""A disk with so much room is not full, however large it is."""
_LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Disk:
    """Where frames are kept."""

    total_bytes: int
    free_bytes: int
    needed_bytes: int
    """With less than that free no frames are taken."""


class Admission:
    """Looks at queue and disk, at most once a second."""

    def __init__(self, settings: Settings, engine: Engine, blobs: BlobFolder) -> None:
        self._settings = settings
        self._engine = engine
        self._blobs = blobs
        self._looked = float("-inf")
        self._refusal: ProblemError | None = None

    def disk(self) -> Disk:
        """How much room there is for frames, and how much there must be."""
        usage = shutil.disk_usage(self._blobs.root)
        needed = min(self._settings.min_free_share * usage.total, _ENOUGH_FREE_BYTES)
        return Disk(usage.total, usage.free, int(needed))

    def check(self) -> None:
        """Raise `BusyError` or `StorageError` while the service is full."""
        if time.monotonic() - self._looked > _LOOK_AGAIN_SECONDS:
            self._refusal = self._look()
            self._looked = time.monotonic()
        if self._refusal is not None:
            raise self._refusal.with_traceback(None)

    def _look(self) -> ProblemError | None:
        settings = self._settings
        disk = self.disk()
        if disk.free_bytes < disk.needed_bytes:
            return StorageError(
                "disk_full",
                "The disk is nearly full",
                f"{disk.free_bytes:,} bytes are free where frames are kept.",
                "Make room there; then the same request is taken.",
                headers={"Retry-After": "30"},
            )
        try:
            self._blobs.require_writable()
        except OSError as error:
            # Which folder and why is for the operator: the log has it.
            refusal = storage_problem(error)
            refusal.__cause__ = error
            return refusal
        with ledger.reading(self._engine) as session:
            status = ledger.queue_status(session)
        if status.queued + status.leased >= settings.max_queue:
            return BusyError(
                "queue_full",
                "The queue is full",
                f"{status.queued + status.leased:,} frames are waiting already.",
                "Send it again later; more workers drain the queue faster.",
                headers={"Retry-After": "5"},
            )
        return None
