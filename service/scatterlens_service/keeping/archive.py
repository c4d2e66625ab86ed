"""One file that holds many, each with its sha256: a tar file that is written and read as a stream.

The digest of a member is its own name where it is a blob, else it travels in the member's header.
The last member counts the others and chains their digests, so an archive that ends early, or lacks
one, is known as such.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any, BinaryIO, Self

FORMAT = 1
"""Grows when an older version could not read what a newer one writes."""
_HEAD, _END = "archive.json", "end.json"
_DIGEST = "SCATTERLENS.sha256"
_CHUNK_BYTES = 2**20
_IN_MEMORY_BYTES = 2**23
"""Smaller files are read once: nothing can change them between their digest and their copy."""
_MOST_BYTES_OF_JSON = 2**26
_EARLY = "the archive is damaged or ends too early; copy it again, or use another backup"


class BadArchiveError(ValueError):
    """The archive cannot be used; the text says why, and what to do."""


class UnstableFileError(OSError):
    """A file changed while it was read: try again when it rests."""


class _Hashed:
    """Reads a stream up to a length, and hashes what it gives."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self.left = size
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes; none at the end."""
        data = self._stream.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        self._hash.update(data)
        return data

    @property
    def sha256(self) -> str:
        """Of what was read so far, in hex."""
        return self._hash.hexdigest()


@dataclass(frozen=True)
class Member:
    """A file within an archive, while it is its turn; what is read of it is hashed."""

    name: str
    size: int
    sha256: str
    """What its bytes must hash to."""
    _source: _Hashed

    def chunks(self) -> Iterator[bytes]:
        """Give its bytes, and compare their digest at the end.

        Raises:
            BadArchiveError: it is damaged, or the archive ends within it.
        """
        try:
            while chunk := self._source.read(_CHUNK_BYTES):
                yield chunk
        except (tarfile.TarError, EOFError) as error:
            raise BadArchiveError(_EARLY) from error
        if self._source.left or self._source.sha256 != self.sha256:
            raise BadArchiveError(f"{self.name} in the archive is damaged; use another backup")

    def read(self) -> bytes:
        """All of it; raises as `chunks` does."""
        if self.size > _MOST_BYTES_OF_JSON:
            raise BadArchiveError(f"{self.name} in the archive is too large; use another backup")
        return b"".join(self.chunks())


class ArchiveWriter:
    """Adds members to an archive; `finish` makes it a whole one."""

    def __init__(self, stream: BinaryIO, head: dict[str, Any]) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT)
        self._chain = hashlib.sha256()
        self.members = 0
        self.size = 0
        """Bytes of all members."""
        self.add_bytes(_HEAD, _encode({"format": FORMAT, **head}))

    def add_bytes(self, name: str, data: bytes) -> str:
        """Add a member from memory; returns its sha256."""
        digest = hashlib.sha256(data).hexdigest()
        self._add(name, len(data), io.BytesIO(data), digest)
        return digest

    def add_file(self, name: str, path: Path) -> str:
        """Add a file as it is now, as long as it is now; returns its sha256.

        Raises:
            UnstableFileError: its bytes change while they are read.
            FileNotFoundError: it is gone.
        """
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size <= _IN_MEMORY_BYTES:
                return self.add_bytes(name, stream.read(_IN_MEMORY_BYTES))
            first = _Hashed(stream, size)
            while first.read(_CHUNK_BYTES):
                pass
            stream.seek(0)
            self._add(name, size, stream, first.sha256)
        return first.sha256

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._tar.fileobj is not None:
            # Else its stream tries again to write the rest, once it is collected.
            self._tar.fileobj.closed = True  # pyright: ignore[reportAttributeAccessIssue]

    def finish(self) -> None:
        """Close the archive with what its reader must have seen."""
        data = _encode({"members": self.members, "chain": self._chain.hexdigest()})
        self.add_bytes(_END, data)
        self._tar.close()

    def _add(self, name: str, size: int, stream: IO[bytes], sha256: str) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        if PurePosixPath(name).name != sha256:
            entry.pax_headers = {_DIGEST: sha256}
        hashed = _Hashed(stream, size)
        changed = f"{name} changed while it was read; try again when it rests"
        try:
            self._tar.addfile(entry, hashed)  # pyright: ignore[reportArgumentType]
        except OSError as error:
            if error.errno is not None:
                raise
            raise UnstableFileError(changed) from error  # it became shorter
        if hashed.sha256 != sha256:
            raise UnstableFileError(changed)
        _forget_members(self._tar)
        self._chain.update(_link(name, sha256))
        self.members += 1
        self.size += size


def read_archive(stream: BinaryIO) -> tuple[dict[str, Any], Iterator[Member]]:
    """What an archive says of itself, and its members in their order.

    The iterator ends without an error only where the archive is whole. Each member must be read
    before the next is asked for; one that is not is read, and compared, by the iterator.

    Raises:
        BadArchiveError: it is none, or is damaged, or a newer version wrote it.
    """
    chain = hashlib.sha256()
    entries = _entries(stream)
    first = next(entries, None)
    if first is None or first.name != _HEAD:
        raise BadArchiveError("this is no backup of Scatterlens; name a file that `backup` wrote")
    head = _decode(first.read())
    chain.update(_link(first.name, first.sha256))
    if head.get("format") != FORMAT:
        raise BadArchiveError(
            f"the archive was written by version {head.get('version')}, which is newer than this"
            " one; install that version, or a newer one, to restore it"
        )
    return head, _members(entries, chain)


def _members(entries: Iterator[Member], chain: Any) -> Iterator[Member]:
    seen = 1
    for member in entries:
        if member.name == _END:
            if _decode(member.read()) != {"members": seen, "chain": chain.hexdigest()}:
                raise BadArchiveError("members of the archive are missing; use another backup")
            return
        yield member
        for _ in member.chunks():
            pass
        chain.update(_link(member.name, member.sha256))
        seen += 1
    raise BadArchiveError(_EARLY)


def _entries(stream: BinaryIO) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            while entry := tar.next():
                _forget_members(tar)
                name = PurePosixPath(entry.name)
                source = tar.extractfile(entry) if entry.isreg() else None
                if source is None or name.is_absolute() or ".." in name.parts:
                    raise BadArchiveError(
                        f"{entry.name[:100]!r} in the archive is no plain file; use another backup"
                    )
                digest = entry.pax_headers.get(_DIGEST, name.name)
                yield Member(entry.name, entry.size, digest, _Hashed(source, entry.size))
    except (tarfile.TarError, EOFError) as error:
        raise BadArchiveError(_EARLY) from error


def _forget_members(tar: tarfile.TarFile) -> None:
    # A million blobs are a gigabyte of headers, which nobody looks at again.
    vars(tar)["members"].clear()


def _link(name: str, sha256: str) -> bytes:
    return f"{sha256}  {name}\n".encode()


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def _decode(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BadArchiveError("what the archive says of itself is damaged; use another backup")
    return value
