"""Files to send: paths, or bytes that are in memory already."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scatterlens.errors import BadArgument, CannotRead, MissingFile

File = str | os.PathLike[str] | bytes
"""A path, or the bytes of a file."""

_CHUNK = 2**20


@contextmanager
def reading(file: File) -> Iterator[None]:
    """Raise what the system says of a file as `CannotRead`."""
    try:
        yield
    except OSError as error:
        kind = MissingFile if isinstance(error, FileNotFoundError) else CannotRead
        raise kind(error.errno, error.strerror or str(error), label(file)) from error


def open_file(file: File) -> BinaryIO:
    """Open a file at its start; `CannotRead` where that cannot be."""
    if isinstance(file, bytes):
        return io.BytesIO(file)
    with reading(file):
        return path_of(file).open("rb")


def sha256(file: File) -> bytes:
    """Digest of the bytes, 32 of them."""
    digest = hashlib.sha256()
    with open_file(file) as source, reading(file):
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def label(file: File) -> str:
    """Return the path as it was given; empty for bytes."""
    return "" if isinstance(file, bytes) else str(path_of(file))


def path_of(file: str | os.PathLike[str]) -> Path:
    """Return a path; `BadArgument` where it is none."""
    try:
        return Path(file)
    except TypeError as error:
        raise BadArgument(f"A path is a str or a Path, not {type(file).__name__}") from error
