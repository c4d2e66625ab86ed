"""Do the patches that a network selects lie on what they are selected for?

Shi et al. (IEEE TIP 2021), section V: patch precision and recall, and localisation of one object
by the box around all selected patches. Rectangles and boxes are (y0, x0, y1, x1) in pixels of the
network input, upper ends excluded.

Rectangles are nominal: convolutions before the patch layer see a little further than the 9 x 9
cells that a patch is cut from.
"""

from dataclasses import dataclass

import numpy as np

from scatterlens_models.nets.loss_attention.grid import PATCH


@dataclass(frozen=True)
class PatchAgreement:
    """Selected and rightly labelled patches (hits) beside the true ones."""

    precision: float
    """Share of the hits that are true; NaN without hits."""
    recall: float
    """Share of the true patches that are hits; NaN without true patches."""
    f_score: float
    """Harmonic mean of both."""
    hits: int
    true: int


@dataclass(frozen=True)
class Localisation:
    """Share of frames whose box around the selected patches fits the one true box."""

    share: float
    """With an IoU above the limit; NaN without frames."""
    share_right_class: float
    """With the right class, too."""
    frames: int


def patch_rectangles(grid: tuple[int, int], patch_stride: int, halvings: int) -> np.ndarray:
    """Nominal rectangles of the patches of an (h, w) grid, row by row: int (M, 4).

    Args:
        grid: patches down and across.
        patch_stride: cells from patch to patch.
        halvings: how often the backbone halves the grid; a cell is 2**halvings pixels wide.
    """
    cell = 2**halvings
    rows, columns = np.meshgrid(*(np.arange(n) * patch_stride * cell for n in grid), indexing="ij")
    corner = np.stack((rows.ravel(), columns.ravel()), axis=1)
    return np.concatenate((corner, corner + PATCH * cell), axis=1)


def _overlap(rectangles_M4: np.ndarray, low: np.ndarray, high: np.ndarray, axis: int) -> np.ndarray:
    """Length that each rectangle shares with each interval along an axis, (M, n)."""
    start = np.maximum(rectangles_M4[:, axis, None], low[None])
    stop = np.minimum(rectangles_M4[:, axis + 2, None], high[None])
    return np.maximum(stop - start, 0)


def _area(rectangles_M4: np.ndarray) -> np.ndarray:
    height = rectangles_M4[:, 2] - rectangles_M4[:, 0]
    return height * (rectangles_M4[:, 3] - rectangles_M4[:, 1])


def inside_boxes(rectangles_M4: np.ndarray, boxes_N4: np.ndarray) -> np.ndarray:
    """Patches with more than half of their area inside one of some boxes, bool (M,)."""
    boxes = np.asarray(boxes_N4, dtype=float).reshape(-1, 4)
    down = _overlap(rectangles_M4, boxes[:, 0], boxes[:, 2], 0)
    across = _overlap(rectangles_M4, boxes[:, 1], boxes[:, 3], 1)
    return np.any(down * across > 0.5 * _area(rectangles_M4)[:, None], axis=1)


def inside_mask(
    rectangles_M4: np.ndarray, mask_HW: np.ndarray, side: tuple[int, int] | None = None
) -> np.ndarray:
    """Patches with more than half of their area inside a mask, bool (M,).

    Args:
        rectangles_M4: in pixels of the network input.
        mask_HW: bool, on any grid that covers the whole input.
        side: height and width of the input in pixels, where the mask's grid is another.
    """
    height, width = mask_HW.shape
    down, across = side or (height, width)
    rows, columns = np.linspace(0, down, height + 1), np.linspace(0, across, width + 1)
    shared = np.einsum(
        "my,yx,mx->m",
        _overlap(rectangles_M4, rows[:-1], rows[1:], 0),
        mask_HW.astype(float),
        _overlap(rectangles_M4, columns[:-1], columns[1:], 1),
    )
    # Half an area that is exact in pixels may be off by rounding on another grid.
    return shared > (0.5 + 1e-9) * _area(rectangles_M4)


def selected_patches(weights_NM: np.ndarray, xi: float = 0.0) -> np.ndarray:
    """Patches that count, bool (N, M): those with a weight above xi / M.

    Loss-Attention has set the others to zero itself, so it takes xi = 0; mean pooling selects all
    with xi = 0, too. Attention and gated attention take the xi that Loss-Attention had.
    """
    return weights_NM > xi / weights_NM.shape[1]


def predicted_labels(patch_logits_NMA: np.ndarray, exclusive: bool = False) -> np.ndarray:
    """What each patch shows, bool (N, M, A): the largest logit, or all with probability > 0.5."""
    if not exclusive:
        return patch_logits_NMA > 0
    best = patch_logits_NMA.argmax(axis=2)
    return best[:, :, None] == np.arange(patch_logits_NMA.shape[2])


def patch_agreement(
    selected_NM: np.ndarray, predicted_NMA: np.ndarray, labels_NA: np.ndarray, true_NM: np.ndarray
) -> PatchAgreement:
    """Precision and recall of patches, counted over all frames together.

    Args:
        selected_NM: bool, from `selected_patches`.
        predicted_NMA: bool, from `predicted_labels`.
        labels_NA: 1 where a frame shows an attribute.
        true_NM: bool, from `inside_boxes` or `inside_mask`.
    """
    shares_label = (predicted_NMA & (labels_NA == 1)[:, None, :]).any(axis=2)
    hit = selected_NM & shares_label
    hits, true, both = (int(found.sum()) for found in (hit, true_NM, hit & true_NM))
    precision = both / hits if hits else float("nan")
    recall = both / true if true else float("nan")
    return PatchAgreement(precision, recall, f_score(precision, recall), hits, true)


def f_score(precision: float, recall: float) -> float:
    """Harmonic mean; zero where both are, NaN where one is."""
    total = precision + recall
    return 2 * precision * recall / total if total != 0 else 0.0


def bounding_box(rectangles_M4: np.ndarray, selected_M: np.ndarray) -> np.ndarray:
    """Smallest box around the selected patches, (4,); NaN where none is selected."""
    chosen = rectangles_M4[selected_M]
    if not len(chosen):
        return np.full(4, np.nan)
    return np.concatenate((chosen[:, :2].min(axis=0), chosen[:, 2:].max(axis=0))).astype(float)


def intersection_over_union(box: np.ndarray, other: np.ndarray) -> float:
    """IoU of two boxes (4,); zero where one of them is NaN or empty."""
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    if not shared > 0:
        return 0.0
    return shared / float(_area(np.stack((box, other))).sum() - shared)


def localisation(
    rectangles_M4: np.ndarray,
    selected_NM: np.ndarray,
    boxes_N4: np.ndarray,
    right_class_N: np.ndarray,
    limit: float = 0.5,
) -> Localisation:
    """How often the box around the selected patches fits; only frames with a single object.

    The paper does not say whether the class must be right, so both shares are given.

    Args:
        rectangles_M4: from `patch_rectangles`.
        selected_NM: bool, from `selected_patches`.
        boxes_N4: the true box of each frame.
        right_class_N: bool, whether the frame's class was found.
        limit: what the IoU must exceed.
    """
    fits = np.array(
        [
            intersection_over_union(bounding_box(rectangles_M4, selected), box) > limit
            for selected, box in zip(selected_NM, boxes_N4, strict=True)
        ],
        dtype=bool,
    )
    if not len(fits):
        return Localisation(float("nan"), float("nan"), 0)
    return Localisation(float(fits.mean()), float((fits & right_class_N).mean()), len(fits))
