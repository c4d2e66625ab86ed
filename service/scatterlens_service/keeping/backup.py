"""One archive of everything that a home needs, made while it is served, and a home out of one.

Rows come first, of one moment, then the files. A file is kept before the row that names it is
written, so no row of that moment lacks its file; files that came later do no harm.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from sqlalchemy import Engine, make_url

from scatterlens_service import ledger, migrations
from scatterlens_service.keeping.archive import ArchiveWriter, BadArchiveError, Member, read_archive
from scatterlens_service.keeping.blobs import BlobFolder, fsync_folder
from scatterlens_service.keeping.file_locks import keeping_files
from scatterlens_service.keeping.homes import RESTORING, database_file
from scatterlens_service.ledger import dump
from scatterlens_service.settings import Settings

Report = Callable[[str, int, int], None]
"""What is done, how much of it, of how much."""

_ROWS, _COUNTERS, _FILES = "ledger", "counters.json", "home"
_NOT_KEPT = ("connection.json", "renders", RESTORING)
"""Of one running service, or made anew when it is asked for."""
_UNFINISHED = (".partial", ".lock")
_ARRIVING = ".arriving-"


class CannotBackUpError(RuntimeError):
    """No backup was made; the text says why, and what to do."""


class CannotRestoreError(RuntimeError):
    """Nothing was restored; the text says why, and what to do."""


@dataclass(frozen=True)
class BackedUp:
    """What an archive holds, and what its home lacked already."""

    rows: int
    files: int
    size_bytes: int
    missing: tuple[str, ...]
    """sha256 of files that the ledger counts on and the home no longer has."""
    damaged: tuple[str, ...]
    """sha256 of files whose bytes no longer fit; the archive holds them as they are."""


def back_up(settings: Settings, target: Path, report: Report) -> BackedUp:
    """Write an archive of a home, and read it back; it has its name only once it is whole.

    Raises:
        CannotBackUpError: no ledger, a ledger that a newer version wrote, or a bad target.
        OSError: the disk is full, or a file changes all the time.
    """
    target = target.expanduser().absolute()
    if target.exists():
        raise CannotBackUpError(f"{target} exists; choose another name, or remove it")
    if not target.parent.is_dir():
        raise CannotBackUpError(f"there is no folder {target.parent}; make it first")
    if target.parent.resolve().is_relative_to(settings.home.resolve()):
        raise CannotBackUpError(
            f"{target} lies within the home that it is to save; choose a place"
            " outside, best on another disk"
        )
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            with keeping_files(settings.home):
                done = _write(settings, file, report)
            file.flush()
            os.fsync(file.fileno())
            _read_back(file, report)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    fsync_folder(target.parent)
    return done


def restore(settings: Settings, source: Path, report: Report) -> tuple[int, int]:
    """Fill an empty home, and an empty database, from an archive; returns rows and files.

    Nothing is left where it fails. A home whose restoration was killed says so.

    Raises:
        CannotRestoreError: the home or the database is not empty.
        BadArchiveError: the archive is damaged, incomplete, or of a newer version.
        OSError: it cannot be read, or the disk is full.
    """
    home = settings.home
    if home.exists() and any(home.iterdir()):
        raise CannotRestoreError(f"{home} is not empty; name a new folder with --home")
    with source.open("rb") as stream:
        head, members = read_archive(stream)
        if not migrations.knows(str(head.get("revision"))):
            raise BadArchiveError(
                f"its ledger was written by version {head.get('version')}, which is newer than"
                " this one; install that version, or a newer one, to restore it"
            )
        made = not home.exists()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            (home / RESTORING).touch(0o600)
            fsync_folder(home)
            counts = _fill(settings, head, members, report)
            os.sync()  # all files at once: one by one takes minutes for a hundred thousand
            (home / RESTORING).unlink()
            fsync_folder(home)
        except BaseException:
            _empty(home, made)
            raise
    return counts


def _write(settings: Settings, file, report: Report) -> BackedUp:
    engine = ledger.open_engine(settings.database)
    try:
        return _write_from(engine, settings, file, report)
    finally:
        engine.dispose()


def _write_from(engine: Engine, settings: Settings, file, report: Report) -> BackedUp:
    blobs = BlobFolder(settings.blob_folder)
    with ExitStack() as stack:
        with ledger.reading(engine) as session:
            revision = dump.read_revision(session)
            if revision is None:
                raise CannotBackUpError(f"there is no ledger in {settings.home}; name its home")
            if not migrations.knows(revision):
                raise CannotBackUpError(
                    "a newer version wrote this ledger; back up with that version"
                )
            head = {
                "version": version("scatterlens"),
                "revision": revision,
                "time": time.time(),
                "database": engine.dialect.name,
            }
            archive = stack.enter_context(ArchiveWriter(file, head))
            rows = 0
            for number, portion in enumerate(dump.dump_rows(session)):
                said = json.dumps(
                    {"table": portion.table, "columns": portion.columns, "rows": portion.rows}
                )
                archive.add_bytes(f"{_ROWS}/{number:08}.json", said.encode())
                rows += len(portion.rows)
                report("rows of the ledger", rows, 0)
            archive.add_bytes(
                f"{_ROWS}/{_COUNTERS}", json.dumps(dump.dump_counters(session)).encode()
            )
            missing = [one for one in dump.named_files(session) if not blobs.path(one).is_file()]
        files, damaged = _add_files(settings, archive, report)
        archive.finish()
    return BackedUp(rows, files, archive.size, tuple(missing), tuple(damaged))


def _add_files(settings: Settings, archive: ArchiveWriter, report: Report) -> tuple[int, list[str]]:
    total = sum(_size(path) for _, path in _home_files(settings))
    files, done, damaged = 0, 0, []
    report("files", 0, total)
    for name, path in _home_files(settings):
        size = _size(path)
        with suppress(FileNotFoundError):  # a run tidies up, a cache is trimmed
            digest = archive.add_file(f"{_FILES}/{name}", path)
            if name.parts[0] == settings.blob_folder.name and digest != path.name:
                damaged.append(path.name)
            files += 1
        done += size
        report("files", min(done, total), total)
    return files, damaged


def _home_files(settings: Settings) -> Iterator[tuple[PurePosixPath, Path]]:
    """All that a home holds and cannot be made anew: whatever is not named here is kept."""
    database = database_file(settings)
    left_out = () if database is None else (database.name, f"{database.name}-")
    for entry in sorted(settings.home.iterdir()):
        if entry.name in _NOT_KEPT or (left_out and entry.name.startswith(left_out)):
            continue
        yield from _files_below(entry, PurePosixPath(entry.name), frozenset())


def _files_below(
    path: Path, name: PurePosixPath, above: frozenset[Path]
) -> Iterator[tuple[PurePosixPath, Path]]:
    if path.name.endswith(_UNFINISHED) or path.name.startswith(_ARRIVING):
        return
    if path.is_dir():
        real = path.resolve()
        if real in above or name == PurePosixPath("blobs/incoming"):
            return
        with suppress(FileNotFoundError):
            for entry in sorted(path.iterdir()):
                yield from _files_below(entry, name / entry.name, above | {real})
    elif path.is_file():
        yield name, path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read_back(file, report: Report) -> None:
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        _, members = read_archive(file)
        for _ in members:
            report("read back", file.tell(), total)
    except BadArchiveError as error:
        raise CannotBackUpError(
            f"what was written does not read back ({error}); look at the disk of the archive"
        ) from error


def _fill(
    settings: Settings, head: dict, members: Iterator[Member], report: Report
) -> tuple[int, int]:
    """Rows in one transaction, which ends after the last file: all of it, or nothing."""
    engine = ledger.open_engine(settings.database)
    try:
        with ledger.writing(engine) as session:
            if not dump.is_empty(session):
                shown = make_url(settings.database).render_as_string(hide_password=True)
                raise CannotRestoreError(f"the database {shown} is not empty; name an empty one")
            migrations.upgrade(session.connection(), str(head["revision"]))
            counters: dict[str, int] = {}
            rows = files = 0
            for member in members:
                name = PurePosixPath(member.name)
                if name.parts[0] == _FILES:
                    _put(member, settings.home.joinpath(*name.parts[1:]))
                    files += 1
                    report("files", files, 0)
                elif name.name == _COUNTERS:
                    counters = json.loads(member.read())
                else:
                    rows += dump.load_rows(session, [dump.Portion(**json.loads(member.read()))])
                    report("rows of the ledger", rows, 0)
            dump.load_counters(session, counters)
    finally:
        engine.dispose()
    return rows, files


def _put(member: Member, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for chunk in member.chunks():
                file.write(chunk)
    except FileExistsError as error:
        said = f"{member.name} is in the archive twice; use another backup"
        raise BadArchiveError(said) from error


def _empty(home: Path, made: bool) -> None:
    """Remove what was restored; the note that it is not whole goes last."""
    for entry in home.iterdir():
        if entry.name != RESTORING:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    (home / RESTORING).unlink(missing_ok=True)
    if made:
        home.rmdir()
