"""The plots of a report, each an SVG to stand in a page."""

import io
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

INK, FAINT, ACCENT, SECOND = "#24292f", "#8c959f", "#0b6bcb", "#d1701b"
"""Blue and orange are told apart whatever one's colour vision."""


def average_precision_bars(found: dict[str, Any]) -> str:
    """AP of each attribute with its interval, base rate and twin, the best on top."""
    attributes = found["attributes"]
    order = sorted(attributes, key=lambda name: attributes[name]["ap"])
    rows = np.arange(len(order))
    ap = np.array([attributes[name]["ap"] for name in order])
    low, high = np.array([attributes[name]["interval"] for name in order]).T

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        axis.barh(rows, ap, color=ACCENT, alpha=0.25)
        axis.hlines(rows, low, high, color=ACCENT, linewidth=2)
        axis.plot(ap, rows, "o", color=ACCENT, label="this bundle, 90 % interval")
        base = [attributes[name]["base_rate"] for name in order]
        axis.plot(base, rows, "|", color=INK, markersize=9, label="base rate")
        if found["twin"] is not None:
            position = list(attributes)
            twin = [found["twin"]["ap"][position.index(name)] for name in order]
            axis.plot(twin, rows, "d", color=SECOND, fillstyle="none", label="plain twin")
        axis.set_yticks(rows, order)
        axis.set_xlim(0, 1)
        axis.set_xlabel("average precision")
        axis.legend(loc="lower right", frameon=False)

    return _svg(draw, (7.5, 0.28 * len(order) + 1))


def by_detectability(found: dict[str, Any]) -> str:
    """AP against the detectability d' of the positives, a line for each attribute."""
    edges, lines = found["by_dprime"]["edges"], found["by_dprime"]["ap"]
    names = [
        f"{low:g}-{high:g}" if high is not None else f"{low:g} and more"
        for low, high in itertools.pairwise(edges)
    ]

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        values = np.array([[np.nan if v is None else v for v in line] for line in lines.values()])
        axis.plot(values.T, color=FAINT, linewidth=0.8)
        middle = [
            float(column[np.isfinite(column)].mean()) if np.isfinite(column).any() else np.nan
            for column in values.T
        ]
        axis.plot(middle, "o-", color=ACCENT, linewidth=2.5, label="mean")
        for line, name in zip(values, lines, strict=True):
            if np.isfinite(line[-1]):
                axis.annotate(name, (len(names) - 1, line[-1]), fontsize=6, color=INK)
        axis.set_xticks(np.arange(len(names)), names)
        axis.set_xlim(-0.2, len(names) - 0.2)
        axis.set_ylim(0, 1)
        axis.set_xlabel("detectability d' of the positives")
        axis.set_ylabel("average precision")
        axis.legend(frameon=False)

    return _svg(draw, (7.5, 4.5))


def reliability(found: dict[str, Any]) -> str:
    """Share of positives against probability, a panel for each attribute."""
    attributes = found["attributes"]
    columns = 5
    rows = -(-len(attributes) // columns)

    def draw(figure: Figure) -> None:
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axis in axes[len(attributes) :]:
            axis.set_axis_off()
        for axis, (name, one) in zip(axes, attributes.items(), strict=False):
            axis.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8)
            bins = one["reliability"]
            size = np.sqrt([b["frames"] for b in bins])
            axis.scatter(
                [b["probability"] for b in bins],
                [b["share"] for b in bins],
                s=60 * size / max(size.max(), 1),
                color=ACCENT,
            )
            axis.set_title(f"{name}\nECE {one['ece']:.3f}", fontsize=7)
            axis.set_xlim(0, 1)
            axis.set_ylim(0, 1)
            axis.tick_params(labelsize=6)

    return _svg(draw, (7.5, 1.65 * rows))


def co_occurrence(found: dict[str, Any]) -> str:
    """Correlations of labels, of probabilities, and what the second have more than the first."""
    names = list(found["attributes"])
    labels, said = (
        np.array(found["co_occurrence"][key], dtype=float) for key in ("labels", "probabilities")
    )

    def draw(figure: Figure) -> None:
        panels = (("labels", labels), ("probabilities", said), ("difference", said - labels))
        axes = figure.subplots(1, 3)
        images = [
            axis.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
            for axis, (_, values) in zip(axes, panels, strict=True)
        ]
        for axis, (title, _) in zip(axes, panels, strict=True):
            axis.set_title(title, fontsize=8)
            axis.set_xticks(np.arange(len(names)), names, rotation=90, fontsize=4.5)
            axis.set_yticks(np.arange(len(names)), names, fontsize=4.5)
        figure.colorbar(images[0], ax=axes, shrink=0.6)

    return _svg(draw, (11, 4))


def by_kind(kinds: dict[str, dict[str, float]], label: str) -> str:
    """Mean AP of the frames of each kind."""
    order = sorted(kinds, key=lambda name: np.nan_to_num(kinds[name]["mean_ap"]))
    rows = np.arange(len(order))

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        axis.barh(rows, [kinds[name]["mean_ap"] for name in order], color=ACCENT, alpha=0.6)
        shown = [f"{name} ({kinds[name]['attributes']} attributes)" for name in order]
        axis.set_yticks(rows, shown, fontsize=7)
        axis.set_xlim(0, 1)
        axis.set_xlabel(f"mean AP by {label}")

    return _svg(draw, (7.5, 0.28 * len(order) + 0.8))


def frame_with_map(value: np.ndarray, coverage: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """A prepared frame in grey with a map of 0 to 1 on it: uint8 (S, S, 3), masked neutral.

    Args:
        value: compressed counts (S, S).
        coverage: live coverage (S, S).
        strength: the map on any square grid that divides S.
    """
    live = coverage > 0.5
    low, high = np.percentile(value[live], [1, 99.7]) if live.any() else (0.0, 1.0)
    grey = np.clip((value - low) / max(high - low, 1e-6), 0, 1)[..., None].repeat(3, axis=2)
    block = len(value) // len(strength)
    fine = np.clip(strength, 0, 1).repeat(block, axis=0).repeat(block, axis=1)
    alpha = (0.7 * np.sqrt(fine))[..., None]
    shown = grey * (1 - alpha) + colormaps["inferno"](fine)[..., :3] * alpha
    shown[~live] = (0.18, 0.2, 0.25)
    return (255 * shown).round().astype(np.uint8)


def _svg(draw: Callable[[Figure], None], size: Sequence[float]) -> str:
    figure = Figure(figsize=(size[0], size[1]), layout="constrained")
    draw(figure)
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
