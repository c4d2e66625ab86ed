"""The policy that removes old files, previews and maps; labelled frames are never touched.

What is removed is written down where it was, so that who asks for it hears why it is gone.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from scatterlens_models.stored import without
from scatterlens_service import ledger
from scatterlens_service.keeping.blobs import BlobDamagedError, BlobFolder, BlobMissingError
from scatterlens_service.keeping.removing import remove_files
from scatterlens_service.ledger import Part
from scatterlens_service.settings import Settings
from scatterlens_service.tending.troubles import Troubles

_log = logging.getLogger(__name__)

_DAY_SECONDS = 86_400.0
_EVERY_SECONDS = 3600.0
_PORTION = 100
_SAMPLE = 100
"""Annotations that are looked into to say how many bytes all of them will give free."""

Report = Callable[[str, int], None]
"""What was removed, and how many more of it."""


@dataclass
class Freed:
    """What a policy removes, or would remove."""

    files: int = 0
    file_bytes: int = 0
    previews: int = 0
    preview_bytes: int = 0
    maps: int = 0
    map_bytes: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is old enough."""
        return not (self.files or self.previews or self.maps)


def is_configured(settings: Settings) -> bool:
    """Whether anything is ever removed."""
    return any((settings.retain_raw_days, settings.retain_preview_days, settings.retain_map_days))


def plan(settings: Settings, engine: Engine) -> Freed:
    """What would be removed now; bytes of previews and maps are reckoned from a sample."""
    freed = Freed()
    blobs = BlobFolder(settings.blob_folder)
    with ledger.reading(engine) as session:
        if settings.retain_raw_days:
            seconds = settings.retain_raw_days * _DAY_SECONDS
            freed.files, freed.file_bytes = ledger.count_old_files(session, seconds)
        for part, days in _parts(settings):
            seconds = days * _DAY_SECONDS
            count = ledger.count_old_annotations(session, seconds, part)
            sample = ledger.old_annotations(session, seconds, part, 0, _SAMPLE)
            saved = [_saved(blobs, one.blob, part) for one in sample]
            size = round(count * sum(saved) / len(saved)) if saved else 0
            _count(freed, part, count, size)
    return freed


def apply(settings: Settings, engine: Engine, stop: threading.Event | None = None) -> Freed:
    """Remove what is old enough, portion by portion, until `stop`."""
    freed, stop = Freed(), stop or threading.Event()
    _remove_raw(settings, engine, freed, stop)
    for part, days in _parts(settings):
        _remove_part(settings, engine, part, days * _DAY_SECONDS, freed, stop)
    remove_files(engine, settings)
    return freed


def retain_forever(settings: Settings, engine: Engine, stop: threading.Event) -> None:
    """Apply the policy now and every hour, until `stop`."""
    troubles = Troubles(_log)
    while True:
        try:
            freed = apply(settings, engine, stop)
            troubles.end("retention")
            if not freed.is_nothing:
                _log.info("removed as too old: %s", freed)
        except (SQLAlchemyError, OSError) as error:
            troubles.meet("retention", f"old files cannot be removed: {error}")
        if stop.wait(_EVERY_SECONDS):
            return


def _parts(settings: Settings) -> list[tuple[Part, float]]:
    days: list[tuple[Part, float]] = [
        ("preview", settings.retain_preview_days),
        ("maps", settings.retain_map_days),
    ]
    return [(part, number) for part, number in days if number]


def _remove_raw(settings: Settings, engine: Engine, freed: Freed, stop: threading.Event) -> None:
    seconds = settings.retain_raw_days * _DAY_SECONDS
    while seconds and not stop.is_set():
        with ledger.reading(engine) as session:
            old = ledger.old_files(session, seconds, _PORTION)
        with ledger.writing(engine) as session:
            gone = ledger.remove_raw(session, seconds, [one.sha256 for one in old])
        freed.files += len(gone)
        freed.file_bytes += sum(one.size_bytes for one in gone)
        remove_files(engine, settings)
        if len(old) < _PORTION:
            return


def _remove_part(
    settings: Settings,
    engine: Engine,
    part: Part,
    seconds: float,
    freed: Freed,
    stop: threading.Event,
) -> None:
    blobs = BlobFolder(settings.blob_folder)
    after = 0
    while not stop.is_set():
        with ledger.reading(engine) as session:
            old = ledger.old_annotations(session, seconds, part, after, _PORTION)
        for one in old:
            smaller = _smaller(blobs, one.blob, part)
            with ledger.writing(engine) as session:
                ledger.share_files(session)
                blob = one.blob if smaller is None else blobs.put_bytes(smaller)
                done = ledger.replace_arrays(session, one, blob, seconds, [part])
                if not done and blob != one.blob:
                    ledger.add_removals(session, ledger.BLOBS, [blob])
            if done:
                size = _size(blobs, one.blob) - len(smaller or b"")
                _count(freed, part, 1, max(size, 0))
            after = one.id
        remove_files(engine, settings)
        if len(old) < _PORTION:
            return


def _count(freed: Freed, part: Part, count: int, size: int) -> None:
    if part == "preview":
        freed.previews, freed.preview_bytes = freed.previews + count, freed.preview_bytes + size
    else:
        freed.maps, freed.map_bytes = freed.maps + count, freed.map_bytes + size


def _saved(blobs: BlobFolder, blob: str, part: Part) -> int:
    smaller = _smaller(blobs, blob, part)
    return 0 if smaller is None else max(_size(blobs, blob) - len(smaller), 0)


def _smaller(blobs: BlobFolder, blob: str, part: Part) -> bytes | None:
    """Packed arrays without a part; None where they are lost already."""
    try:
        return without(blobs.read(blob), part)
    except (BlobMissingError, BlobDamagedError):
        return None


def _size(blobs: BlobFolder, sha256: str) -> int:
    try:
        return blobs.path(sha256).stat().st_size
    except FileNotFoundError:
        return 0
