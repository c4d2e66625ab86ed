"""How far several models agree about one frame: in probabilities, and in where they look.

Every model sees the frame in the middle of a square, as large as fits. So the maps of all of them
cover one and the same square, whatever their input sizes, and differ only in how finely they
divide it.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cache
from itertools import combinations
from statistics import fmean

import numpy as np

from scatterlens.schemas import Agreement, State
from scatterlens_models.preprocess import Placement
from scatterlens_models.stored import NotKeptError, StoredAnnotation
from scatterlens_service import ledger

_DARK = 1e-6
"""Below what float16 maps hold: the sum of a map that is positive nowhere."""


def compare(
    annotations: Sequence[ledger.StoredAnnotation],
    first: Sequence[str],
    load: Callable[[str], StoredAnnotation],
) -> list[Agreement]:
    """Compare the annotations that are done, for each attribute that any of them knows.

    Attributes of `first` come first, in that order. `load` reads the arrays of an annotation by
    its blob; it is asked only where two models tag the same attribute.
    """
    done = [one for one in annotations if one.state is State.DONE]
    known = dict.fromkeys(score.id for one in done for score in one.scores)
    order = [attribute for attribute in first if attribute in known]
    load_once = cache(load)
    every = dict.fromkeys([*order, *known])
    return [_compare_one(attribute, done, load_once) for attribute in every]


def _compare_one(
    attribute: str,
    done: Sequence[ledger.StoredAnnotation],
    load: Callable[[str], StoredAnnotation],
) -> Agreement:
    # A score's place among its model's scores is that of its map among the model's maps.
    found = [
        (one, position, score)
        for one in done
        for position, score in enumerate(one.scores)
        if score.id == attribute
    ]
    probabilities = [score.probability for _, _, score in found]
    tagging = [(one.blob, position) for one, position, score in found if score.tag and one.blob]
    overlap = None
    if len(tagging) > 1:
        arrays = [(load(blob), position) for blob, position in tagging]
        with suppress(NotKeptError):  # words outlive places
            maps = [stored.attribute_maps[position] for stored, position in arrays]
            overlap = map_overlap(maps, arrays[0][0].placement)
    tags = sum(score.tag for _, _, score in found)
    return Agreement(
        id=attribute,
        models=len(found),
        mean_probability=fmean(probabilities),
        spread=max(probabilities) - min(probabilities),
        tags=tags,
        agree=tags in (0, len(found)),
        map_overlap=overlap,
    )


def map_overlap(maps: Sequence[np.ndarray], placement: Placement) -> float | None:
    """Mean share of evidence in common over all pairs of maps (h, w) of one frame, 0 to 1.

    For two maps a and b it is `2 sum(min(a, b)) / sum(a + b)`, the soft form of twice the
    intersection over both areas; each is the positive part of a map inside the frame, on the
    finest grid of all, scaled to sum one: where models look counts, not how strongly. None where
    a map is positive nowhere inside the frame.
    """
    shape = (max(one.shape[0] for one in maps), max(one.shape[1] for one in maps))
    inside = frame_share(placement, shape)
    shares = []
    for one in maps:
        evidence = regrid(np.maximum(one.astype(np.float64), 0), shape) * inside
        total = evidence.sum()
        if total < _DARK:
            return None
        shares.append(evidence / total)
    # The shares sum to one, so the sum of both in the denominator is two.
    return min(1.0, fmean(float(np.minimum(a, b).sum()) for a, b in combinations(shares, 2)))


def regrid(cells: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring a map onto another grid over the same square; each cell hands on its sum by area."""
    return _areas(shape[0], cells.shape[0]) @ cells @ _areas(shape[1], cells.shape[1]).T


def frame_share(placement: Placement, shape: tuple[int, int]) -> np.ndarray:
    """Share of each cell (h, w) that lies inside the frame, 0 to 1; the rest is padding."""
    return np.outer(
        *(
            _covered(pad / placement.size, 1 - pad / placement.size, count)
            for pad, count in zip(placement.pad_yx, shape, strict=True)
        )
    )


def spread(layers: Iterable[np.ndarray]) -> np.ndarray:
    """Standard deviation over models of their evidence 0..1 at each pixel: 0 to 0.5, (H, W).

    The layers are taken one by one: those of a large detector do not fit memory together.
    """
    rest = iter(layers)
    mean = next(rest)
    squares, count = np.zeros_like(mean), 1
    for layer in rest:
        # Welford: sums of squares would lose the small differences.
        count += 1
        step = layer - mean
        mean = mean + step / np.float32(count)
        squares += step * (layer - mean)
    return np.sqrt(squares / np.float32(count))


def _areas(fine: int, coarse: int) -> np.ndarray:
    """Share of each of `coarse` cells of a line that lies in each of `fine` cells, (fine, coarse).

    Columns sum to one.
    """
    edges = np.arange(fine + 1) * coarse / fine
    cells = np.arange(coarse)
    low, high = edges[:-1, None], edges[1:, None]
    return np.maximum(np.minimum(high, cells + 1) - np.maximum(low, cells), 0)


def _covered(low: float, high: float, count: int) -> np.ndarray:
    """Share of each of `count` equal cells of the unit line within `low..high`, (count,)."""
    cells = np.arange(count)
    return np.maximum(np.minimum(high * count, cells + 1) - np.maximum(low * count, cells), 0)
