"""Putting bundles in their place: unpacked within limits, copied whole, or not at all."""

import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from scatterlens_models.bundle import Bundle, BundleError, verify_bundle
from scatterlens_service.keeping.blobs import fsync_folder
from scatterlens_service.keeping.file_locks import hold, is_abandoned, passing_name
from scatterlens_service.settings import Settings

_MOST_FILES = 64
_ARRIVING = ".arriving-"
_CHUNK_BYTES = 2**20


class BadArchiveError(ValueError):
    """A zip file that holds no bundle, or more than it may; the text says what it should hold."""


def unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Write the files of a zipped bundle into an empty folder.

    The archive holds the bundle's files, bare or in one folder, and nothing else.

    Raises:
        BadArchiveError: no zip file, too many or too large files, or a name that leads elsewhere.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            entries = [entry for entry in packed.infolist() if not entry.is_dir()]
            names = _flat_names(entries)
            left = max_bytes
            for entry, name in zip(entries, names, strict=True):
                left = _unpack_one(packed, entry, folder / name, left)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        # Encrypted, of an unknown compression, cut off, or with a checksum that does not fit.
        raise BadArchiveError(f"the zip file cannot be read: {error}; pack it again") from error


def _flat_names(entries: list[zipfile.ZipInfo]) -> list[str]:
    if not 0 < len(entries) <= _MOST_FILES:
        raise BadArchiveError(
            f"the zip file holds {len(entries)} files, a bundle has 1 to {_MOST_FILES};"
            " pack the folder of one bundle"
        )
    paths = [PurePosixPath(entry.filename) for entry in entries]
    for entry, path in zip(entries, paths, strict=True):
        mode = entry.external_attr >> 16
        odd = path.is_absolute() or ".." in path.parts or len(path.parts) > 2
        if odd or "\\" in entry.filename or (mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode)):
            raise BadArchiveError(
                f"{entry.filename[:100]!r} is no plain file of a bundle; pack the folder of one"
                " bundle and nothing else"
            )
    names = [path.name for path in paths]
    if len({path.parent for path in paths}) > 1 or len(set(names)) < len(names):
        raise BadArchiveError("the files lie in several folders; pack the folder of one bundle")
    return names


def _unpack_one(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write one file; returns how many bytes may still come."""
    with packed.open(entry) as source, target.open("xb") as sink:
        # Counted as they come: what the archive says of its sizes may be a lie.
        while chunk := source.read(_CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise BadArchiveError(
                    "the zip file grows beyond what a bundle may hold; if it is one, raise"
                    " SCATTERLENS_MAX_BUNDLE_BYTES"
                )
            sink.write(chunk)
    return left


@contextmanager
def arriving(settings: Settings) -> Iterator[Path]:
    """An empty folder beside the registered bundles; removed at the end of the block."""
    folder = settings.model_folder / f"{_ARRIVING}{passing_name()}"
    folder.mkdir(parents=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    hold(descriptor)
    try:
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def clear_arriving(settings: Settings) -> None:
    """Remove what killed processes left half-arrived."""
    for folder in settings.model_folder.glob(f"{_ARRIVING}*"):
        with suppress(FileNotFoundError):  # arrived meanwhile, or removed by another
            if not is_abandoned(folder):
                continue
            shutil.rmtree(folder, ignore_errors=True)


def install(settings: Settings, source: Path) -> Bundle:
    """Copy a bundle to `models/<version>/`: complete and verified, or not at all.

    A version that is there and whole stays as it is; one that was damaged is replaced.

    Raises:
        BundleError: the source is no sound bundle.
    """
    with arriving(settings) as folder:
        _copy(source, folder)
        arrived = verify_bundle(folder)
        target = settings.model_folder / arrived.version
        if target.exists():
            if _is_whole(target, arrived.version):
                return verify_bundle(target)
            # Renamed, not deleted: a folder that is not empty cannot be replaced in one step.
            target.rename(folder.with_name(f"{folder.name}-damaged"))
            shutil.rmtree(folder.with_name(f"{folder.name}-damaged"), ignore_errors=True)
        try:
            folder.rename(target)
        except OSError:
            # Another process installed the same version meanwhile.
            if not _is_whole(target, arrived.version):
                raise
    fsync_folder(settings.model_folder)
    return verify_bundle(target)


def _copy(source: Path, folder: Path) -> None:
    """Copy what `bundle.json` lists and nothing else, surely on disk."""
    listed = verify_bundle(source).content["files"]
    for name in ("bundle.json", *listed):
        with (source / name).open("rb") as original, (folder / name).open("xb") as copy:
            shutil.copyfileobj(original, copy)
            copy.flush()
            os.fsync(copy.fileno())
    fsync_folder(folder)


def _is_whole(folder: Path, version: str) -> bool:
    try:
        return verify_bundle(folder).version == version
    except BundleError:
        return False
