"""Files to send: paths, or bytes that are in memory already."""

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

File = str | os.PathLike[str] | bytes
"""A path, or the bytes of a file."""

_CHUNK = 2**20


def open_file(file: File) -> BinaryIO:
    """Open a file at its start."""
    return io.BytesIO(file) if isinstance(file, bytes) else Path(file).open("rb")


def sha256(file: File) -> bytes:
    """Digest of the bytes, 32 of them."""
    digest = hashlib.sha256()
    with open_file(file) as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def label(file: File) -> str:
    """Return the path as it was given; empty for bytes."""
    return "" if isinstance(file, bytes) else os.fspath(file)
