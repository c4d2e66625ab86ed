"""The pointing game: does the strongest cell of an overlay lie on the evidence?

Zhang et al., "Top-down neural attention by excitation backprop", IJCV 2018, on evidence masks
that the simulator knows. Over positive labels only, always beside a random live cell and the
centre of the network input.
"""

from dataclasses import dataclass

import numpy as np

EVIDENCE_SHARE = 0.8
"""The mask is the smallest set of pixels with this share of an attribute's weight."""


@dataclass(frozen=True)
class Pointing:
    """Share of hits, per attribute (A,); NaN without positives."""

    hits: np.ndarray
    random: np.ndarray
    """Expected share for a live cell drawn at random."""
    centre: np.ndarray
    """Share for the centre of the network input."""
    positives: np.ndarray
    """How many labels each share rests on."""


def evidence_mask(weights: np.ndarray, share: float = EVIDENCE_SHARE) -> np.ndarray:
    """Smallest set of pixels that holds `share` of the weight, bool (..., h, w)."""
    flat = weights.reshape(*weights.shape[:-2], -1).astype(np.float64)
    order = np.argsort(-flat, axis=-1, kind="stable")
    sorted_weights = np.take_along_axis(flat, order, axis=-1)
    total = sorted_weights.sum(axis=-1, keepdims=True)
    before = np.cumsum(sorted_weights, axis=-1) - sorted_weights
    chosen = (before < share * total) & (sorted_weights > 0)
    mask = np.zeros(flat.shape, dtype=bool)
    np.put_along_axis(mask, order, chosen, axis=-1)
    return mask.reshape(weights.shape)


def _pixel(cells: np.ndarray, grid: int, side: int) -> np.ndarray:
    """Index on a `side` grid of the centre of each cell of a `grid` grid."""
    return np.minimum(((cells + 0.5) * side / grid).astype(int), side - 1)


def pointing_game(
    maps_NAhw: np.ndarray,
    evidence_NAHW: np.ndarray,
    labels_NA: np.ndarray,
    coverage_NHW: np.ndarray,
) -> Pointing:
    """Play the game over all positive labels.

    Cells that are zero in every map are not pointed at: nothing of a patch network covers the
    border of its grid, and zero is more than evidence against an attribute everywhere else.

    Args:
        maps_NAhw: attribute maps.
        evidence_NAHW: evidence weights of the simulator (uint8), usually 32 x 32.
        labels_NA: 1 where an attribute counts.
        coverage_NHW: live coverage of the prepared frame, any square grid that `h` divides.
    """
    count, attributes, h, w = maps_NAhw.shape
    side = evidence_NAHW.shape[-1]
    rows, cols = _pixel(np.arange(h), h, side), _pixel(np.arange(w), w, side)
    block = coverage_NHW.shape[-1] // h
    live_Nhw = coverage_NHW.reshape(count, h, block, w, block).mean(axis=(2, 4)) > 0.5
    covered_hw = (maps_NAhw != 0).any(axis=(0, 1))
    shares = np.full((3, attributes), np.nan)
    positives = np.zeros(attributes, dtype=int)
    for a in range(attributes):
        chosen = np.flatnonzero(
            (labels_NA[:, a] == 1) & (evidence_NAHW[:, a].reshape(count, -1).max(axis=1) > 0)
        )
        positives[a] = len(chosen)
        if not len(chosen):
            continue
        masks = evidence_mask(evidence_NAHW[chosen, a])
        pointed = np.where(covered_hw, maps_NAhw[chosen, a], -np.inf)
        peak = pointed.reshape(len(chosen), -1).argmax(axis=1)
        hit = masks[np.arange(len(chosen)), rows[peak // w], cols[peak % w]]
        cells = masks[:, rows[:, None], cols[None, :]]
        live = live_Nhw[chosen]
        random = (cells & live).sum(axis=(1, 2)) / np.maximum(live.sum(axis=(1, 2)), 1)
        shares[:, a] = hit.mean(), random.mean(), masks[:, side // 2, side // 2].mean()
    return Pointing(shares[0], shares[1], shares[2], positives)
