"""What a served graph says of one part of a benchmark, beside what the simulator knows of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scatterlens_models.preprocess import shrink
from scatterlens_models.session import ModelSession
from scatterlens_models.synthetic.shards import open_shards

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Predictions:
    """N frames with A attributes."""

    probabilities: np.ndarray
    """(N, A)."""
    maps: np.ndarray
    """Attribute maps (N, A, h, w) float16."""
    coverage: np.ndarray
    """Live coverage of the prepared frames, (N, S, S) float16."""
    labels: np.ndarray
    """(N, A) int8: 1 present, 0 absent, -1 unsure."""
    dprime: np.ndarray
    """(N, A) detectability d' of what carries each attribute."""
    evidence: np.ndarray
    """(N, A, 32, 32) uint8."""
    experiments: np.ndarray
    """(N,): frames of one number share an instrument."""
    detectors: np.ndarray
    """(N,) names."""
    exposures: np.ndarray
    """(N,) mean of the compressed counts over live pixels: how bright a frame is."""


def predict_part(
    session: ModelSession, shards: Path, report: Callable[[int, int], None] | None = None
) -> Predictions:
    """Run a bundle over all frames of a part.

    Args:
        session: the bundle, loaded.
        shards: folder of one part, such as bench-v1/test.
        report: called with the frames done and those in all.
    """
    size = session.bundle.preprocess.size
    probabilities, maps, coverage, exposures = [], [], [], []
    with open_shards(shards) as opened:
        for start in range(0, len(opened), _BATCH):
            x = shrink(opened.x(slice(start, start + _BATCH)), size)
            live = x[:, 1].sum(axis=(1, 2))
            exposures.append((x[:, 0] * x[:, 1]).sum(axis=(1, 2)) / np.maximum(live, 1e-6))
            coverage.append(x[:, 1].astype(np.float16))
            for prediction in session.predict(x):
                probabilities.append(prediction.probabilities)
                maps.append(prediction.attribute_maps.astype(np.float16))
            if report is not None:
                report(min(start + _BATCH, len(opened)), len(opened))
        return Predictions(
            np.stack(probabilities),
            np.stack(maps),
            np.concatenate(coverage),
            opened.labels,
            opened.dprime,
            opened.evidence(slice(None)),
            opened.groups,
            np.array([opened.scene(i).instrument.detector for i in range(len(opened))]),
            np.concatenate(exposures),
        )
