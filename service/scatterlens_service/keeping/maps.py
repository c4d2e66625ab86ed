"""Arrays that workers stored with their annotations."""

from functools import lru_cache

from scatterlens_models.stored import StoredAnnotation, unpack
from scatterlens_service.keeping.blobs import BlobFolder

_KEPT = 4
"""Frames whose arrays stay in memory: the overlays of one frame are asked for one by one."""


class StoredMaps:
    """Reads maps and previews; the last few stay unpacked."""

    def __init__(self, blobs: BlobFolder) -> None:
        self.load = lru_cache(maxsize=_KEPT)(lambda sha256: _load(blobs, sha256))


def _load(blobs: BlobFolder, sha256: str) -> StoredAnnotation:
    return unpack(blobs.read(sha256))
