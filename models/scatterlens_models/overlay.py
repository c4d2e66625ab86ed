"""Maps of a network on the pixels of the detector."""

import numpy as np

from scatterlens_models.preprocess import Placement


def overlay(cells: np.ndarray, placement: Placement, mask: np.ndarray) -> np.ndarray:
    """Spread a map (h, w) over the detector: float32 (H, W), bilinear, NaN on masked pixels.

    Cell (u, v) covers network pixels `[u S/h, (u+1) S/h)`, so its value stands at the middle of
    those; beyond the outermost middles the value stays that of the outermost cell.
    """
    if mask.shape != placement.shape_yx:
        raise ValueError(f"mask of {mask.shape} does not fit a frame of {placement.shape_yx}")
    height, width = placement.shape_yx
    row, col = placement.detector_to_network(np.arange(height), np.arange(width))
    by_row = _interpolation(row, cells.shape[0], placement.size)  # (H, h)
    by_column = _interpolation(col, cells.shape[1], placement.size)  # (W, w)
    spread = by_row @ cells.astype(np.float32) @ by_column.T
    spread[mask] = np.nan
    return spread


def _interpolation(network: np.ndarray, cells: int, size: int) -> np.ndarray:
    """Weights of each of the cells at positions along one network axis, float32 (N, cells)."""
    position = np.clip((network + 0.5) * cells / size - 0.5, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells))).astype(np.float32)
