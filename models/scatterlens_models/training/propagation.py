"""The high level of MAAP: training frames that show what the last convolution attends to.

He & Peng (2018), section 3.2. A map of the last convolution is thresholded (Otsu) and its largest
component boxed; six operations A* make the new frames. For training data only: cropping changes
the relation of pixels to q.

Where the paper is silent: the map is brought to the size of the frame (bilinear) before the
threshold; the threshold looks at live pixels alone, since gaps and beamstop are no background;
components touch by edges and corners; a map without contrast keeps the whole frame; a crop keeps
at least a quarter of each side. Multiplying acts on the value channel, and what A* sets to zero
counts as masked: to the network's own standardisation that is the mean, as the zero of a
normalised image is in the paper.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.nets.layers import Net
from scatterlens_models.nets.maap import activation_attention

BINS = 256
SMALLEST_CROP = 0.25
"""Share of the frame's side that a crop keeps at least."""
_BATCH = 64


class Box(NamedTuple):
    """Rows [top, bottom) and columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int


def otsu(values: np.ndarray) -> float:
    """Threshold with the largest variance between what lies below and above it (Otsu 1979).

    On a histogram of 256 bins; the middle of the last bin below. NaN where all values are equal.
    """
    if values.size == 0 or values.min() == values.max():
        return float("nan")
    counts, edges = np.histogram(values, BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    moment = np.cumsum(counts * middles)
    mean_below = moment[:-1] / below
    mean_above = (moment[-1] - moment[:-1]) / np.maximum(above, 1)
    return float(middles[np.argmax(below * above * (mean_below - mean_above) ** 2)])


def region(attention: np.ndarray, live: np.ndarray) -> Box:
    """Box around the largest connected part above Otsu's threshold of the live pixels.

    Args:
        attention: A at the size of the frame, (S, S).
        live: pixels that count, bool (S, S).
    """
    whole = Box(0, attention.shape[0], 0, attention.shape[1])
    threshold = otsu(attention[live])
    if np.isnan(threshold):
        return whole
    parts = np.empty(attention.shape, np.int32)
    count = ndimage.label((attention > threshold) & live, np.ones((3, 3)), output=parts)
    if count == 0:
        return whole
    sizes = np.bincount(parts.ravel())[1:]
    rows, columns = ndimage.find_objects(parts)[int(np.argmax(sizes))]
    return Box(rows.start, rows.stop, columns.start, columns.stop)


def _inside(attention: np.ndarray, box: Box) -> np.ndarray:
    inside = np.zeros(attention.shape, bool)
    inside[box.top : box.bottom, box.left : box.right] = True
    return inside


WEIGHTS: dict[str, Callable[[np.ndarray, Box], np.ndarray]] = {
    "uncorrelated": lambda a, box: np.where(_inside(a, box), 1.0, 0.0),
    "enhance": lambda a, box: np.where(_inside(a, box), a + 1, 0.0),
    "reduce": lambda a, box: np.where(_inside(a, box), 1.0, a),
    "allsoft": lambda a, box: a,
    "allsoft_plus_one": lambda a, box: a + 1,
}
"""A* of the paper's table, by name: from A (S, S) and R to weights (S, S)."""
OPERATIONS = ("roi", *WEIGHTS)
"""The six ways to make a frame; `roi` crops to R, the others multiply by A*."""


def crop(x_CSS: np.ndarray, box: Box) -> np.ndarray:
    """The frame inside a box (at least a quarter of each side), brought to its old size."""
    size = x_CSS.shape[-1]
    rows, columns = _widened(box.top, box.bottom, size), _widened(box.left, box.right, size)
    part = torch.from_numpy(np.ascontiguousarray(x_CSS[:, rows, columns], np.float32))[None]
    return functional.interpolate(
        part, size=(size, size), mode="bilinear", align_corners=False
    ).numpy()[0]


def _widened(start: int, stop: int, size: int) -> slice:
    need = max(round(SMALLEST_CROP * size), 1)
    if stop - start < need:
        start = min(max((start + stop - need) // 2, 0), size - need)
        stop = start + need
    return slice(start, stop)


def guided_frame(x_CSS: np.ndarray, attention: np.ndarray, operation: str) -> np.ndarray:
    """D*: a prepared frame (2, S, S) as one operation makes it from A (S, S).

    Raises:
        ValueError: an unknown operation; the message lists the six.
    """
    if operation not in OPERATIONS:
        raise ValueError(f"no operation {operation!r}; there are {', '.join(OPERATIONS)}")
    box = region(attention, x_CSS[1] > 0)
    if operation == "roi":
        return crop(x_CSS, box)
    weights = WEIGHTS[operation](attention, box)
    return np.stack((x_CSS[0] * weights, x_CSS[1] * (weights > 0))).astype(np.float32)


def high_attention(net: Net, x_BCSS: torch.Tensor) -> np.ndarray:
    """A of the last convolution at the size of the frames, (B, S, S) float32."""
    with torch.inference_mode():
        attention = activation_attention(net.last(net.inner(x_BCSS)))
        return functional.interpolate(
            attention, size=x_BCSS.shape[-2:], mode="bilinear", align_corners=False
        )[:, 0].numpy()


def guide(net: Net, examples: Examples, operation: str) -> Examples:
    """D* of a whole training set from one pass of a trained network; all else stays."""
    net.eval()
    made = torch.empty_like(examples.x)
    for start in range(0, len(examples.x), _BATCH):
        x_BCSS = examples.x[start : start + _BATCH].float()
        for i, attention in enumerate(high_attention(net, x_BCSS)):
            frame = guided_frame(x_BCSS[i].numpy(), attention, operation)
            made[start + i] = torch.from_numpy(frame).to(made.dtype)
    return replace(examples, x=made)
