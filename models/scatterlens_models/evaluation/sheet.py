"""A contact sheet of real frames with overlays: do they sit on the features?"""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from scatterlens_models.annotate import annotate_frames
from scatterlens_models.bundle import Bundle
from scatterlens_models.datasets.real_frames import RealFrame, decode_all, read_real
from scatterlens_models.frame import Frame
from scatterlens_models.overlay import overlay
from scatterlens_models.session import ModelSession

OVERLAYS = 2
COLUMNS = 2 * (1 + OVERLAYS)


def choose(frames: Sequence[RealFrame], count: int) -> list[RealFrame]:
    """Frames with something to see, sources taken in turn so that all appear."""
    by_source: dict[str, list[RealFrame]] = {}
    for frame in frames:
        if frame.usable and (frame.labels == 1).any():
            by_source.setdefault(frame.source, []).append(frame)
    turns = zip_longest(*by_source.values())
    return [frame for turn in turns for frame in turn if frame is not None][:count]


def log_picture(frame: Frame) -> np.ndarray:
    """Logarithm of counts between percentiles of live pixels, 0 to 1; NaN where masked."""
    values = np.log1p(np.maximum(frame.image, 0))
    low, high = np.percentile(values[~frame.mask], [1, 99.7]) if (~frame.mask).any() else (0, 1)
    shown = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    return np.where(frame.mask, np.nan, shown)


def real_sheet(bundle: Bundle, folder: Path, path: Path, count: int = 12) -> None:
    """Write a PNG: each real frame beside the overlays of its strongest labelled attributes.

    Titles give the probability and, in brackets, whether an eye saw the attribute.
    """
    session = ModelSession(bundle)
    vocabulary = bundle.vocabulary
    frames = choose(read_real(folder, vocabulary), count)
    decoded = decode_all(folder, frames)
    annotations = annotate_frames(decoded, session)
    rows = -(-len(frames) * (1 + OVERLAYS) // COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 2.9 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    panel = iter(axes)
    for chosen, frame, annotation in zip(frames, decoded, annotations, strict=True):
        picture = log_picture(frame)
        axis = next(panel)
        axis.imshow(picture, cmap="gray_r", interpolation="nearest")
        axis.set_title(f"{chosen.source}\n{chosen.file[-28:]}", fontsize=7)
        seen = np.flatnonzero(chosen.labels == 1)
        strongest = seen[np.argsort(-annotation.probabilities[seen])][:OVERLAYS]
        for a in strongest:
            axis = next(panel)
            cells = np.maximum(annotation.stored.attribute_maps[a].astype(np.float32), 0)
            spread = overlay(cells / bundle.map_scale[a], annotation.stored.placement, frame.mask)
            axis.imshow(picture, cmap="gray_r", interpolation="nearest")
            axis.imshow(
                spread, cmap="inferno", vmin=0, vmax=1, alpha=np.clip(np.nan_to_num(spread), 0, 0.7)
            )
            title = f"{vocabulary.ids[a]} {annotation.probabilities[a]:.2f} [seen]"
            axis.set_title(title, fontsize=7)
        for _ in range(OVERLAYS - len(strongest)):
            next(panel)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
