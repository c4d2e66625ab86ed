"""Which workers of this machine ended without a goodbye, known as soon as they did.

Each worker holds a file in the home; the kernel lets go of it when the process ends, however it
ends. Workers of other machines are told by their leases alone.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from scatterlens_service.keeping.file_locks import is_held, kernel_id

_FOLDER = "workers"


@contextmanager
def being_present(home: Path, worker_id: str) -> Iterator[None]:
    """Hold the file of a worker during the block; leave none where the home knows no locks."""
    folder = home / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kernel_id()}-{quote(worker_id, safe='')}"
    # Held before it has its name: whoever finds it may trust the lock.
    draft = path.with_name(f".{path.name}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if kernel_id():
                draft.rename(path)
        except OSError:
            pass
        yield
    finally:
        draft.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        os.close(descriptor)


def find_departed(home: Path) -> list[str]:
    """Ids of the workers that were present and are no more, until they are forgotten."""
    return [
        unquote(path.name.partition("-")[2])
        for path in (home / _FOLDER).glob(f"{kernel_id()}-*")
        if _is_free(path)
    ]


def forget_departed(home: Path, worker_ids: list[str]) -> None:
    """Call it once the ledger knows that they are gone."""
    for worker_id in worker_ids:
        (home / _FOLDER / f"{kernel_id()}-{quote(worker_id, safe='')}").unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    try:
        return not is_held(path)
    except FileNotFoundError:
        return False  # it said goodbye at this moment
