"""A contact sheet: what the simulated frames look like, with their labels and evidence."""

import textwrap
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from scatterlens_models.synthetic.dataset import simulate
from scatterlens_models.synthetic.geometry import PREPARED_SIDE
from scatterlens_models.vocabulary import load_vocabulary

_COLUMNS = 8


def contact_sheet(
    path: Path,
    seed: int,
    indices: Iterable[int],
    attribute: str | None = None,
    profile: str = "realistic",
) -> None:
    """Write a PNG of frames; outlines the evidence of one attribute where it is present."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    vocabulary = load_vocabulary("aam20")
    chosen = list(indices)
    rows = -(-len(chosen) // _COLUMNS)
    figure = Figure(figsize=(24, 3.5 * rows), layout="constrained")
    axes = list(FigureCanvasAgg(figure).figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    extent = (-0.5, PREPARED_SIDE - 0.5, PREPARED_SIDE - 0.5, -0.5)
    for axis in axes:
        axis.axis("off")
    for axis, index in zip(axes, chosen, strict=False):
        made = simulate(seed, index, profile)
        image = np.where(made.prepared[1] < 0.01, np.nan, made.prepared[0])
        low, high = np.nanpercentile(image, [1, 99.7])
        axis.imshow(image, cmap="viridis", vmin=low, vmax=max(high, low + 0.02), extent=extent)
        named = {
            value: [
                name
                for name, one in zip(vocabulary.ids, made.labelled.labels, strict=True)
                if one == value
            ]
            for value in (1, -1)
        }
        lines = textwrap.wrap(" ".join(named[1]), 46)
        lines += textwrap.wrap("? " + " ".join(named[-1]), 46)[:2]
        axis.set_title("\n".join([f"{index} {made.scene.instrument.detector}", *lines]), fontsize=6)
        if attribute in named[1]:
            mask = evidence_mask(made.labelled.evidence[vocabulary.index(attribute)])
            cells = (np.arange(32) + 0.5) * (PREPARED_SIDE / 32) - 0.5
            axis.contour(cells, cells, mask, [0.5], colors="red", linewidths=0.8)
    figure.savefig(path, dpi=62)


def evidence_mask(evidence: np.ndarray, share: float = 0.8) -> np.ndarray:
    """Smallest set of cells that holds `share` of the weight, bool in the shape of `evidence`."""
    weights = evidence.astype(float).ravel()
    order = np.argsort(-weights, kind="stable")
    held = np.cumsum(weights[order])
    mask = np.zeros(weights.size, dtype=bool)
    if held[-1] > 0:
        mask[order[: int(np.searchsorted(held, share * held[-1])) + 1]] = True
    return mask.reshape(evidence.shape)
