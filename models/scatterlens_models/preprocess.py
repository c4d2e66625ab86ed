"""From a frame of any size to the square input of a network, and back to detector pixels.

The input is `(2, S, S)` float32. Channel 0 is the compressed mean count of the live detector
pixels under each network pixel, channel 1 the share of the network pixel that live detector
pixels cover. The aspect ratio is kept (a ring stays a circle), detector pixels that straddle two
network pixels count in both by area, and masked pixels count nowhere.

Detector coordinates have pixel centres at integers; network pixel `i` covers detector rows
`[(i - pad) / scale - 0.5, (i + 1 - pad) / scale - 0.5)`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scatterlens_models.frame import Frame

METHOD = "area_mean_log"
"""Names this module's definition of the input in `bundle.json`."""
LOG_RANGE = math.log(65536.0)
"""A mean of 65,535 counts compresses to 1."""
COMPRESSED_CEILING = 1.2
MINIMUM_COVERAGE = 0.01
"""Network pixels with less live area than this carry no value."""


@dataclass(frozen=True)
class PreprocessSpec:
    """All that a bundle must store so that serving prepares frames as training did."""

    size: int
    """Side S of the square network input, in network pixels."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `bundle.json`."""
        return {"method": METHOD, "size": self.size}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "PreprocessSpec":
        """Read `to_dict` back; `ValueError` where another method prepared the input."""
        if content.get("method") != METHOD:
            raise ValueError(
                f"this version prepares frames by {METHOD!r}, not by {content.get('method')!r}: "
                "install the version that the bundle was made with"
            )
        return cls(size=int(content["size"]))


@dataclass(frozen=True)
class Placement:
    """Where a frame lies inside the square network input."""

    shape_yx: tuple[int, int]
    """Rows and columns of the frame."""
    size: int
    """Side of the network input."""
    scale: float
    """Network pixels per detector pixel."""
    pad_yx: tuple[float, float]
    """Empty network pixels above and left of the frame; need not be whole."""

    @classmethod
    def centered(cls, shape_yx: tuple[int, int], size: int) -> "Placement":
        """Largest placement of a frame that keeps its aspect ratio, in the middle."""
        height, width = shape_yx
        scale = size / max(height, width)
        return cls(
            (height, width), size, scale, ((size - height * scale) / 2, (size - width * scale) / 2)
        )

    def network_to_detector(self, row: Any, col: Any) -> tuple[Any, Any]:
        """Detector coordinates of points given in network pixels (scalars or arrays)."""
        pad_y, pad_x = self.pad_yx
        return (row + 0.5 - pad_y) / self.scale - 0.5, (col + 0.5 - pad_x) / self.scale - 0.5

    def detector_to_network(self, row: Any, col: Any) -> tuple[Any, Any]:
        """Network coordinates of points given in detector pixels (scalars or arrays)."""
        pad_y, pad_x = self.pad_yx
        return (row + 0.5) * self.scale + pad_y - 0.5, (col + 0.5) * self.scale + pad_x - 0.5

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "shape_yx": list(self.shape_yx),
            "size": self.size,
            "scale": self.scale,
            "pad_yx": list(self.pad_yx),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Placement":
        """Read `to_dict` back."""
        height, width = content["shape_yx"]
        pad_y, pad_x = content["pad_yx"]
        return cls(
            (int(height), int(width)),
            int(content["size"]),
            float(content["scale"]),
            (float(pad_y), float(pad_x)),
        )


def compress(mean_counts: np.ndarray) -> np.ndarray:
    """Compress mean counts (>= 0) to about 0..1, at most 1.2."""
    return np.minimum(np.log1p(mean_counts) / LOG_RANGE, COMPRESSED_CEILING)


def expand(compressed: np.ndarray) -> np.ndarray:
    """Mean counts of compressed values; what `compress` cut off stays cut off."""
    return np.expm1(compressed * LOG_RANGE)


def block_sums(values: np.ndarray, step: int) -> np.ndarray:
    """Sums over blocks of step x step pixels, the last ones cut off by the edge; float32."""
    rows = values[::step].astype(np.float32)
    for offset in range(1, step):
        part = values[offset::step]
        rows[: len(part)] += part
    sums = rows[:, ::step].copy()
    for offset in range(1, step):
        part = rows[:, offset::step]
        sums[:, : part.shape[1]] += part
    return sums


def prepare(frame: Frame, spec: PreprocessSpec) -> tuple[np.ndarray, Placement]:
    """Prepare one frame: float32 (2, S, S), and where the frame lies in it."""
    size = spec.size
    placement = Placement.centered((frame.image.shape[0], frame.image.shape[1]), size)
    (height, width), (pad_y, pad_x) = placement.shape_yx, placement.pad_yx
    rows = np.empty((2, size, width), np.float32)
    by_row = _bands(height, size, placement.scale, pad_y)
    by_row.sum_counts(frame.image, rows[0])
    by_row.sum_live(frame.mask, rows[1])
    columns = np.ascontiguousarray(rows.reshape(2 * size, width).T)  # (W, 2 S)
    totals = np.empty((size, 2 * size), np.float32)
    _bands(width, size, placement.scale, pad_x).sum_counts(columns, totals)
    total, live = totals.T.reshape(2, size, size)
    return _join(total, live, live * np.float32(placement.scale**2)), placement


def shrink(prepared: np.ndarray, size: int) -> np.ndarray:
    """Make a smaller input (..., 2, size, size) from prepared ones (..., 2, S, S).

    Means are taken over counts, weighted by coverage: averaging the compressed values would
    shift every steep flank.
    """
    side = prepared.shape[-1]
    if size > side:
        raise ValueError(f"cannot shrink an input of {side} to {size}: prepare the frame anew")
    area = _area_matrix(side, size)  # (size, S), rows sum to S / size
    coverage = prepared[..., 1, :, :]
    live = np.where(coverage >= MINIMUM_COVERAGE, coverage, np.float32(0))
    total = area @ (expand(prepared[..., 0, :, :]) * live) @ area.T
    weight = area @ live @ area.T
    return _join(total, weight, (area @ coverage @ area.T) * np.float32((size / side) ** 2))


def _join(total: np.ndarray, live: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """Stack compressed means and coverage (..., 2, S, S) from sums over live area."""
    coverage = np.minimum(coverage, np.float32(1))
    seen = (coverage >= MINIMUM_COVERAGE) & (live > 0)
    mean = np.divide(total, live, out=np.zeros_like(total), where=seen)
    return np.stack([compress(mean), coverage], axis=-3).astype(np.float32, copy=False)


@dataclass(frozen=True)
class _Bands:
    """Which detector rows lie under the network rows, and by how much.

    Network rows are taken four at a time: the rows under them fit the cache, and one small
    matrix product costs less than four products with a vector (measured: 1.0 against 2.1 ms for
    1679 x 1475 pixels; eight at a time are slower again).
    """

    starts: list[int]
    """First detector row of each group."""
    weights: np.ndarray
    """Share of each detector row in each network row, float32 (groups, 4, depth)."""

    def sum_counts(self, image: np.ndarray, out: np.ndarray) -> None:
        """Weighted sums of rows (N, W) into network rows (S, W)."""
        depth = self.weights.shape[2]
        for group, (start, weights) in enumerate(zip(self.starts, self.weights, strict=True)):
            rows = out[4 * group : 4 * group + 4]
            np.matmul(weights[: len(rows)], image[start : start + depth], out=rows)

    def sum_live(self, mask: np.ndarray, out: np.ndarray) -> None:
        """Weighted numbers of unmasked pixels of rows (N, W) into network rows (S, W)."""
        depth = self.weights.shape[2]
        live = np.empty((depth, mask.shape[1]), np.float32)
        for group, (start, weights) in enumerate(zip(self.starts, self.weights, strict=True)):
            rows = out[4 * group : 4 * group + 4]
            np.logical_not(mask[start : start + depth], out=live, casting="unsafe")
            np.matmul(weights[: len(rows)], live, out=rows)


def _bands(length: int, size: int, scale: float, pad: float) -> _Bands:
    """Bands of `length` detector rows under `size` network rows."""
    groups = -(-size // 4)
    edges = np.clip((np.arange(4 * groups + 1) - pad) / scale, 0, length)
    low, high = edges[:-1].reshape(groups, 4, 1), edges[1:].reshape(groups, 4, 1)
    depth = min(length, int(np.max(np.ceil(high[:, 3]) - np.floor(low[:, 0]))))
    starts = np.minimum(np.floor(low[:, :1]), length - depth)
    rows = starts + np.arange(depth)
    shares = np.maximum(np.minimum(rows + 1, high) - np.maximum(rows, low), 0)
    return _Bands(starts.ravel().astype(int).tolist(), shares.astype(np.float32))


def _area_matrix(side: int, size: int) -> np.ndarray:
    """Overlap of `size` equal cells with `side` pixels along one axis, float32 (size, side)."""
    matrix = np.empty((size, side), np.float32)
    _bands(side, size, size / side, 0.0).sum_counts(np.eye(side, dtype=np.float32), matrix)
    return matrix
