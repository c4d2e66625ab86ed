"""Files by content: `<first two hex digits>/<sha256>`, durable before anyone hears of them.

A name is never chosen by a client, and a file appears under its name only once it is complete.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from scatterlens_service.keeping.file_locks import hold, is_abandoned, passing_name


class BlobMissingError(FileNotFoundError):
    """No file of that digest is kept here: send it again."""


class BlobDamagedError(ValueError):
    """A kept file no longer has its digest, the disk changed it: send it again."""


class Spool:
    """A file that is being received; hashed while it is written."""

    def __init__(self, folder: "BlobFolder", stream: BinaryIO, path: Path) -> None:
        self._folder = folder
        self._stream = stream
        self._hash = hashlib.sha256()
        self.path = path
        self.size = 0

    @property
    def sha256(self) -> str:
        """Digest of what was written so far, in hex."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Append; `OSError` where the disk is full."""
        self._stream.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def flush(self) -> None:
        """Let others read at `path` what was written so far."""
        self._stream.flush()

    def keep(self) -> str:
        """Move the complete file to its name, surely on disk; returns its sha256."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return self._folder.adopt(self.path, self.sha256)


class BlobFolder:
    """A local or shared folder of files known by their sha256."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """Receive a file; what is not kept by the end of the block is removed."""
        path = self._incoming / passing_name()
        try:
            with path.open("xb") as stream:
                hold(stream.fileno())
                yield Spool(self, stream, path)
        finally:
            path.unlink(missing_ok=True)

    def put_bytes(self, data: bytes) -> str:
        """Keep bytes, surely on disk; returns their sha256. The same bytes are kept once."""
        with self.spool() as spool:
            spool.write(data)
            return spool.keep()

    def path(self, sha256: str) -> Path:
        """Where a file of that digest lies, or would lie."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ValueError(f"{sha256!r} is no sha256 in lower-case hex")
        return self.root / sha256[:2] / sha256

    def open(self, sha256: str) -> BufferedReader:
        """Open a kept file for reading; raises `BlobMissingError`."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise BlobMissingError(f"no file {sha256} is kept here; send it again") from None

    def read(self, sha256: str) -> bytes:
        """Content, verified; raises `BlobMissingError` or `BlobDamagedError`."""
        with self.open(sha256) as stream:
            data = stream.read()
        _require_digest(sha256, hashlib.sha256(data).hexdigest())
        return data

    def verified_path(self, sha256: str) -> Path:
        """Path of a file whose content was just hashed again; raises as `read` does.

        Damaged compressed chunks often decode to wrong pixels without an error, so this comes
        before every decoding.
        """
        with self.open(sha256) as stream:
            _require_digest(sha256, hashlib.file_digest(stream, "sha256").hexdigest())
        return self.path(sha256)

    def use(self, sha256: str) -> bool:
        """Note that a file is used now, for `trim`; False where it is not kept (any more)."""
        try:
            os.utime(self.path(sha256))
        except FileNotFoundError:
            return False
        return True

    def trim(self, most_bytes: int, spare_seconds: float = 60.0) -> int:
        """Remove the files that were not used for longest until the rest fits; returns how many.

        Those used in the last `spare_seconds` stay: somebody may be about to read them. Any
        number of processes may do it at the same time.
        """
        found = sorted(self._uses())
        too_much = sum(size for _, size, _ in found) - most_bytes
        removed = 0
        for used, size, path in found:
            if too_much <= 0 or used > time.time() - spare_seconds:
                break
            path.unlink(missing_ok=True)
            too_much -= size
            removed += 1
        return removed

    def _uses(self) -> Iterator[tuple[float, int, Path]]:
        """Time of the last use, size and path of each kept file."""
        for path in self.root.glob("??/*"):
            with suppress(FileNotFoundError):  # another process trims, too
                about = path.stat()
                yield about.st_mtime, about.st_size, path

    def remove(self, sha256: str) -> bool:
        """Remove a file; False where there was none. Who may do so is for the ledger to say."""
        try:
            self.path(sha256).unlink()
        except FileNotFoundError:
            return False
        return True

    def free_share(self) -> float:
        """Free part of the disk, 0 to 1."""
        usage = shutil.disk_usage(self.root)
        return usage.free / usage.total

    def require_writable(self) -> None:
        """Raise `OSError` where nothing can be received, or nothing received be kept."""
        with self.spool() as spool:
            spool.write(b"?")
            spool.flush()
            kept = self.root / f".{spool.path.name}"
            try:
                spool.path.rename(kept)
            finally:
                kept.unlink(missing_ok=True)

    def clear_incoming(self) -> int:
        """Remove what killed processes left half-received; returns how many files.

        Any number of processes may do it at any time: what is still received is held by a lock.
        """
        removed = 0
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):  # received meanwhile, or removed by another
                if is_abandoned(path):
                    path.unlink()
                    removed += 1
        return removed

    def adopt(self, spooled: Path, sha256: str) -> str:
        """Give a complete, fsynced file of `incoming/` its name; `Spool.keep` calls it."""
        target = self.path(sha256)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            fsync_folder(self.root)
        # Also where the file is kept already: the new bytes are known good, the old may not be.
        spooled.replace(target)
        fsync_folder(target.parent)
        return sha256


def _require_digest(expected: str, found: str) -> None:
    if found != expected:
        raise BlobDamagedError(f"the kept file {expected} now hashes to {found}; send it again")


def fsync_folder(folder: Path) -> None:
    """Make sure that what was renamed into a folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
