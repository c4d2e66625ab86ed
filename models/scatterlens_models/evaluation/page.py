"""The report of a bundle as one HTML page that needs nothing else."""

import base64
import html
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scatterlens_models.bundle import Bundle
from scatterlens_models.evaluation import plots
from scatterlens_models.evaluation.predictions import Predictions
from scatterlens_models.preprocess import shrink
from scatterlens_models.synthetic.shards import open_shards

_SHOWN = 3
"""Frames of each kind and attribute that are shown."""
_SIDE = 128
"""Of a picture, pixels."""
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#24292f;background:#fff;max-width:62rem;margin:2rem
auto;padding:0 1rem}h1,h2{line-height:1.2}h2{margin-top:2.5rem}table{border-collapse:collapse;
font-variant-numeric:tabular-nums}td,th{padding:.2rem .7rem;border-bottom:1px solid #d8dee4;
text-align:right}td:first-child,th:first-child{text-align:left}.figures{display:flex;gap:2rem;
flex-wrap:wrap}.figures b{display:block;font-size:1.9rem}svg{max-width:100%;height:auto}
.frames{display:flex;flex-wrap:wrap;gap:.5rem}figure{margin:0;width:128px}figcaption{font-size:
.75rem;line-height:1.2}small{color:#57606a}"""


@dataclass(frozen=True)
class Shown:
    """One picture: a frame with the map of an attribute."""

    attribute: str
    kind: str
    """`found`, `missed` or `false alarm`."""
    caption: str
    png: bytes


def write_report(
    folder: Path, bundle: Bundle, found: dict[str, Any], pictures: Sequence[Shown], part: str
) -> Path:
    """Write `report.json` and `report.html` into a folder; returns the path of the page.

    Args:
        folder: made where it is missing.
        bundle: what was measured.
        found: `study.study`.
        pictures: from `examples`.
        part: name of the frames that it was measured on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {"bundle": bundle.name, "version": bundle.version, "part": part, **_plain(found)}
    (folder / "report.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    path = folder / "report.html"
    path.write_text(_page(bundle, _plain(found), pictures, part), encoding="utf-8")
    return path


def examples(
    bundle: Bundle, found: Predictions, shards: Path, attributes: Sequence[str]
) -> list[Shown]:
    """Of each attribute the surest frames found, the surest missed and the surest false alarms."""
    shown = []
    with open_shards(shards) as opened:
        for attribute in attributes:
            a = bundle.vocabulary.index(attribute)
            p, label = found.probabilities[:, a], found.labels[:, a]
            tag = p >= bundle.thresholds[a]
            for kind, rows, order in (
                ("found", (label == 1) & tag, -p),
                ("missed", (label == 1) & ~tag, p),
                ("false alarm", (label == 0) & tag, -p),
            ):
                chosen = np.flatnonzero(rows)
                for row in chosen[np.argsort(order[chosen], kind="stable")][:_SHOWN]:
                    (x,) = shrink(opened.x(slice(int(row), int(row) + 1)), _SIDE)
                    scale = max(float(bundle.map_scale[a]), 1e-12)
                    strength = np.maximum(found.maps[row, a].astype(np.float32), 0) / scale
                    png = _png(plots.frame_with_map(x[0], x[1], strength))
                    caption = f"p {p[row]:.2f}"
                    if label[row] == 1:
                        caption += f", d' {found.dprime[row, a]:.0f}"
                    shown.append(Shown(attribute, kind, caption, png))
    return shown


def _page(bundle: Bundle, found: dict[str, Any], pictures: Sequence[Shown], part: str) -> str:
    overlays = found["overlays"]
    low, high = found["mean_ap_interval"]
    name = html.escape(f"{bundle.name} {bundle.version}")
    parts = [
        f"<h1>{name}</h1>",
        f"<p>Method <code>{html.escape(bundle.method)}</code>, vocabulary"
        f" <code>{html.escape(bundle.vocabulary.name)}</code>, measured on"
        f" {found['frames']} frames of {found['experiments']} experiments"
        f" ({html.escape(part)}). Intervals hold 90 % of draws of whole experiments.</p>",
        '<div class="figures">',
        _figure(found["mean_ap"], f"mAP ({low:.3f} to {high:.3f}), base {found['base_rate']:.3f}"),
        _figure(found["hard_mean_ap"], "mAP of what is hard to see (d' below 40)"),
        _figure(
            overlays["maps"]["pointing"],
            f"pointing; random {overlays['even']['pointing']:.3f},"
            f" centre {overlays['centre']['pointing']:.3f}",
        ),
        "</div>",
        "<h2>Each attribute</h2>",
        plots.average_precision_bars(found),
        _attribute_table(found),
        "<h2>What is hard to see</h2>",
        "<p><small>All known negatives stay in every group of positives.</small></p>",
        plots.by_detectability(found),
        "<h2>Are the probabilities right</h2>",
        plots.reliability(found),
        "<h2>Where it looks</h2>",
        "<p><small>Energy inside: share of a map that lies on the evidence. Precision and recall"
        " of the cells above half of a map's maximum. <i>Even</i> knows nothing; <i>centre</i> is a"
        " blob in the middle.</small></p>",
        _overlay_table(overlays),
        "<h2>What it takes for what</h2>",
        "<p><small>False alarms where only the look-alike is there, and where neither"
        " is.</small></p>",
        _look_alike_table(found["look_alikes"]),
        plots.co_occurrence(found),
        "<h2>Instruments</h2>",
        plots.by_kind(found["by_detector"], "detector"),
        plots.by_kind(found["by_exposure"], "exposure (thirds)"),
        "<h2>Frames</h2>",
        *_gallery(pictures),
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _figure(value: float, text: str) -> str:
    return f"<div><b>{_number(value)}</b><small>{html.escape(text)}</small></div>"


def _attribute_table(found: dict[str, Any]) -> str:
    rows = (
        [
            name,
            *(one[key] for key in ("ap", "threshold", "precision", "recall", "f1", "ece")),
            str(one["positives"]),
        ]
        for name, one in found["attributes"].items()
    )
    head = ("", "AP", "threshold", "precision", "recall", "F1", "ECE", "positives")
    return _table(head, rows)


def _overlay_table(overlays: dict[str, Any]) -> str:
    keys = ("pointing", "energy_inside", "precision", "recall", "f_score")
    rows = ([name, *(one[key] for key in keys)] for name, one in overlays.items())
    return _table(("", "pointing", "energy inside", "precision", "recall", "F"), rows)


def _look_alike_table(found: Sequence[dict[str, Any]]) -> str:
    rows = (
        [
            f"{one['present']} for {one['absent']}",
            one["tagged"],
            one["elsewhere"],
            str(one["frames"]),
        ]
        for one in found
    )
    return _table(("", "tagged", "elsewhere", "frames"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{html.escape(name)}</th>" for name in head) + "</tr>"]
    for row in rows:
        cells = (html.escape(cell) if isinstance(cell, str) else _number(cell) for cell in row)
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines, "</table>"])


def _gallery(pictures: Sequence[Shown]) -> Iterable[str]:
    for attribute in dict.fromkeys(one.attribute for one in pictures):
        yield f"<h3>{html.escape(attribute)}</h3>"
        yield '<div class="frames">'
        for one in pictures:
            if one.attribute == attribute:
                data = base64.b64encode(one.png).decode()
                said = html.escape(f"{one.kind}: {one.caption}")
                yield (
                    f'<figure><img src="data:image/png;base64,{data}" width="{_SIDE}"'
                    f' height="{_SIDE}" alt="{said}"><figcaption>{said}</figcaption></figure>'
                )
        yield "</div>"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) and math.isfinite(value) else "-"


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _plain(value: Any) -> Any:
    """The same without NaN, which JSON does not know, and without numpy's numbers."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
