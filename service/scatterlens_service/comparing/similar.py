"""Frames that a network sees alike: exact cosines over all features, which are kept in memory."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Engine

from scatterlens_service import ledger

_PORTION = 5_000
_BLOCK = 16_384
_LOOK_AGAIN = 1_000
"""Ids looked at twice: of annotations that are written at once, a later one may appear first."""


@dataclass(eq=False)
class _Matrix:
    """Features of one model version, each of length 1; float16, as they are stored."""

    frame_ids: list[str] = field(default_factory=list)
    blocks: list[np.ndarray] = field(default_factory=list)
    """(_BLOCK, D) each; of the last one as many rows as there are frames left."""
    newest: int = 0
    recent: set[int] = field(default_factory=set)
    """Annotations above `newest - _LOOK_AGAIN` that are held."""

    def add(self, frame_id: str, vector: bytes) -> None:
        features = np.frombuffer(vector, "<f2").astype(np.float32)
        row = len(self.frame_ids) % _BLOCK
        if row == 0:
            self.blocks.append(np.zeros((_BLOCK, len(features)), np.float16))
        self.blocks[-1][row] = features / max(float(np.linalg.norm(features)), 1e-12)
        self.frame_ids.append(frame_id)

    def cosines(self, features: np.ndarray) -> np.ndarray:
        """With every frame, float32 (N,)."""
        wanted = features.astype(np.float32)
        wanted = wanted / max(float(np.linalg.norm(wanted)), 1e-12)
        found = [block.astype(np.float32) @ wanted for block in self.blocks]
        return np.concatenate(found)[: len(self.frame_ids)] if found else np.zeros(0, np.float32)


class SimilarFrames:
    """Holds the features of the model that was asked for last, and follows the ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._version = ""
        self._matrix = _Matrix()

    def nearest(
        self, version: str, features: np.ndarray
    ) -> tuple[Iterator[tuple[str, float]], int]:
        """Frames by their cosine with `features` (D,), the likest first; how many there are."""
        with self._lock:
            self._catch_up(version)
            cosines = self._matrix.cosines(features)
            frame_ids = self._matrix.frame_ids[:]
        return _best_first(cosines, frame_ids), len(frame_ids)

    def _catch_up(self, version: str) -> None:
        if version != self._version:
            self._version, self._matrix = version, _Matrix()
        matrix = self._matrix
        after = matrix.newest - _LOOK_AGAIN
        while True:
            with ledger.reading(self._engine) as session:
                rows = ledger.features_after(session, version, after, _PORTION)
            for annotation_id, frame_id, vector in zip(
                rows.annotation_ids, rows.frame_ids, rows.vectors, strict=True
            ):
                if annotation_id not in matrix.recent:
                    matrix.add(frame_id, vector)
                    matrix.recent.add(annotation_id)
            if not rows.annotation_ids:
                return
            after = matrix.newest = max(matrix.newest, rows.annotation_ids[-1])
            oldest = matrix.newest - _LOOK_AGAIN
            matrix.recent = {one for one in matrix.recent if one > oldest}
            if len(rows.annotation_ids) < _PORTION:
                return


def _best_first(cosines: np.ndarray, frame_ids: list[str]) -> Iterator[tuple[str, float]]:
    taken, wanted = 0, 256
    while taken < len(cosines):
        # The best few are found without sorting all; whoever may see few of them asks for more.
        wanted = min(wanted, len(cosines))
        best = np.argpartition(-cosines, wanted - 1)[:wanted]
        best = best[np.lexsort((best, -cosines[best]))]
        for at in best[taken:]:
            yield frame_ids[at], float(np.clip(cosines[at], -1, 1))
        taken, wanted = wanted, wanted * 8
