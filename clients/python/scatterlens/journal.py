"""What a folder watch has sent already, one JSON line for each file, kept over restarts."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stamp:
    """A file as the directory shows it: another size or time means other content."""

    path: str
    """Relative to the watched folder, with forward slashes."""
    size: int
    mtime_ns: int


class Journal:
    """Stamps of the files that need no sending any more; every addition is on disk at once."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = path.read_bytes() if path.exists() else b""
        self._known = set(_read(text))
        self._stream = open(path, "a", encoding="utf-8", opener=_open_private)
        if text and not text.endswith(b"\n"):
            self._stream.write("\n")  # what comes next shall not be joined to a torn line

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __contains__(self, stamp: Stamp) -> bool:
        return stamp in self._known

    def __len__(self) -> int:
        return len(self._known)

    def add(self, stamp: Stamp) -> None:
        """Remember a file as dealt with."""
        self._known.add(stamp)
        self._stream.write(json.dumps(asdict(stamp)) + "\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def journal_path(home: Path, folder: Path, *purpose: object) -> Path:
    """Return the journal of one folder for one purpose (gateway, proposal, ...)."""
    key = json.dumps([str(folder.resolve()), *map(str, purpose)])
    return home / "watch" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.jsonl"


def _read(text: bytes) -> Iterator[Stamp]:
    for line in text.splitlines():
        try:
            yield Stamp(**json.loads(line))
        except (ValueError, TypeError):
            continue  # torn by a power cut: the file is sent again, which stores nothing twice
