"""Do overlays lie on the evidence: energy inside, and precision and recall of cells.

On positive labels alone, against the evidence masks that the simulator knows. A map is looked at
as its overlay shows it: its positive part. Always beside a map that knows nothing (even over all
live cells) and a blob in the centre of the network input.
"""

from dataclasses import dataclass
from math import lcm

import numpy as np

from scatterlens_models.evaluation.patches import f_score
from scatterlens_models.evaluation.pointing import evidence_mask

SELECTED = 0.5
"""A cell is selected where a map exceeds this share of its own maximum."""
BLOB = 0.125
"""Deviation of the centre's blob, as a share of the input's side."""


@dataclass(frozen=True)
class OverlayQuality:
    """Each (A,); NaN without positives."""

    energy_inside: np.ndarray
    """Mean share of a map's positive part that lies on the evidence; 0 for a dark map."""
    precision: np.ndarray
    """Share of selected cells that lie on evidence, over all frames together."""
    recall: np.ndarray
    """Share of the cells on evidence that are selected."""
    f_score: np.ndarray


def even_maps(coverage_NHW: np.ndarray, grid: int) -> np.ndarray:
    """Maps (N, 1, grid, grid) that are even over live cells."""
    return (_on_grid(coverage_NHW.astype(np.float32), grid) > 0.5)[:, None].astype(np.float32)


def centre_maps(count: int, grid: int) -> np.ndarray:
    """Maps (count, 1, grid, grid) of a blob in the middle."""
    place = (np.arange(grid) + 0.5) / grid - 0.5
    line = np.exp(-0.5 * (place / BLOB) ** 2)
    return np.broadcast_to(np.outer(line, line).astype(np.float32), (count, 1, grid, grid))


def overlay_quality(
    maps_NAhw: np.ndarray, evidence_NAHW: np.ndarray, labels_NA: np.ndarray
) -> OverlayQuality:
    """Measure maps against evidence over all positive labels.

    Args:
        maps_NAhw: attribute maps, or (N, 1, h, w) where one map stands for all attributes.
        evidence_NAHW: evidence weights of the simulator (uint8).
        labels_NA: 1 where an attribute counts.
    """
    attributes = labels_NA.shape[1]
    found = np.full((4, attributes), np.nan)
    for a in range(attributes):
        shown = evidence_NAHW[:, a].reshape(len(labels_NA), -1).max(axis=1) > 0
        chosen = np.flatnonzero((labels_NA[:, a] == 1) & shown)
        if not len(chosen):
            continue
        own = a if maps_NAhw.shape[1] > 1 else 0
        maps = np.maximum(maps_NAhw[chosen, own].astype(np.float32), 0)
        inside = _on_grid(evidence_mask(evidence_NAHW[chosen, a]).astype(np.float32), maps.shape[1])
        totals = maps.sum(axis=(1, 2))
        share = (maps * inside).sum(axis=(1, 2)) / np.where(totals > 0, totals, 1)
        selected = maps > SELECTED * np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12)
        true = inside > 0.5
        hits = int((selected & true).sum())
        precision = hits / max(int(selected.sum()), 1)
        recall = hits / max(int(true.sum()), 1)
        found[:, a] = share.mean(), precision, recall, f_score(precision, recall)
    return OverlayQuality(*found)


def _on_grid(values_NHW: np.ndarray, grid: int) -> np.ndarray:
    """Means over the cells of another square grid."""
    side = values_NHW.shape[-1]
    common = lcm(side, grid)
    values_NHW = values_NHW.repeat(common // side, axis=1).repeat(common // side, axis=2)
    block = common // grid
    return values_NHW.reshape(len(values_NHW), grid, block, grid, block).mean(axis=(2, 4))
