"""The three figures of a bundle, and its card."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from scatterlens_models.annotate import annotate_frames
from scatterlens_models.bundle import Bundle
from scatterlens_models.datasets.real_frames import decode_all, read_real
from scatterlens_models.evaluation.calibration import expected_calibration_error
from scatterlens_models.evaluation.curve import read_curve
from scatterlens_models.evaluation.pointing import pointing_game
from scatterlens_models.evaluation.predictions import predict_part
from scatterlens_models.evaluation.real import real_difference, real_figure
from scatterlens_models.evaluation.run_card import trust
from scatterlens_models.evaluation.strata import HARD
from scatterlens_models.metrics import average_precisions, base_rate
from scatterlens_models.session import ModelSession

_TRUSTED_AS_LABELS = (
    "- Some of its heads were fitted to a few labelled frames (`heads` in `bundle.json`): what it"
    " says holds as far as these resemble the frames that follow."
)


def _rounded(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(v) else round(float(v), 4) for v in values]


def benchmark_figures(session: ModelSession, shards: Path) -> dict[str, Any]:
    """mAP, calibration and pointing game of a served graph on one part of a benchmark."""
    found = predict_part(session, shards)
    p, labels = found.probabilities, found.labels
    ap = average_precisions(p, labels)
    hard = np.where((labels == 1) & (found.dprime >= HARD), -1, labels)
    game = pointing_game(found.maps, found.evidence, labels, found.coverage.astype(np.float32))
    return {
        "frames": len(p),
        "mean_ap": round(float(np.nanmean(ap)), 4),
        "base_rate": round(base_rate(labels), 4),
        "ap": _rounded(ap),
        "hard_mean_ap": round(float(np.nanmean(average_precisions(p, hard))), 4),
        "ece": _rounded(
            np.array([expected_calibration_error(p[:, a], labels[:, a]) for a in range(p.shape[1])])
        ),
        "pointing": {
            "hits": round(float(np.nanmean(game.hits)), 4),
            "random": round(float(np.nanmean(game.random)), 4),
            "centre": round(float(np.nanmean(game.centre)), 4),
            "per_attribute": {
                "hits": _rounded(game.hits),
                "random": _rounded(game.random),
                "centre": _rounded(game.centre),
                "positives": game.positives.tolist(),
            },
        },
    }


def real_figures(session: ModelSession, folder: Path) -> dict[str, Any]:
    """The figure on real frames."""
    vocabulary = session.bundle.vocabulary
    frames = read_real(folder, vocabulary)
    annotations = annotate_frames(decode_all(folder, frames), session)
    return real_figure(
        frames,
        np.stack([a.probabilities for a in annotations]),
        np.stack([a.tags for a in annotations]),
        vocabulary,
    )


def compare_on_real(
    first: Bundle, second: Bundle, folder: Path
) -> tuple[float, tuple[float, float]]:
    """Mean AP of one bundle less another's on the same real frames, with its 90 % interval."""
    frames = read_real(folder, first.vocabulary)
    decoded = decode_all(folder, frames)
    first_NA, second_NA = (
        np.stack([a.probabilities for a in annotate_frames(decoded, ModelSession(bundle))])
        for bundle in (first, second)
    )
    return real_difference(frames, first_NA, second_NA, first.vocabulary)


def passes_curve(run: Path) -> list[dict[str, Any]]:
    """mAP against passes of a training run."""
    points = {p.passes: p.mean_ap for p in read_curve(run) if p.mean_ap is not None}
    return [{"passes": n, "mean_ap": round(ap, 4)} for n, ap in sorted(points.items())]


def summary(bundle: Bundle) -> dict[str, Any]:
    """The recorded figures of a bundle in short, to stand beside another's."""
    benchmark, real = bundle.metrics["benchmark"], bundle.metrics["real"]
    return {
        "name": bundle.name,
        "version": bundle.version,
        "mean_ap": benchmark["mean_ap"],
        "hard_mean_ap": benchmark["hard_mean_ap"],
        "pointing_hits": benchmark["pointing"]["hits"],
        "real_mean_ap": None if real is None else real["mean_ap"],
        "real_mean_ap_interval": None if real is None else real["mean_ap_interval"],
    }


def figures(
    bundle: Bundle,
    shards: Path,
    real: Path | None,
    curves: list[Path],
    twin: Bundle | None = None,
) -> dict[str, Any]:
    """All figures of a bundle, as they are written into it.

    `twin` is the plain network of equal width and budget, measured before.
    """
    session = ModelSession(bundle)
    benchmark = benchmark_figures(session, shards)
    return {
        "mean_ap": benchmark["mean_ap"],
        "benchmark": {"name": f"{shards.parent.name}/{shards.name}", **benchmark},
        "real": None if real is None else real_figures(session, real),
        "curves": {run.name: passes_curve(run) for run in curves},
        "twin": None if twin is None else summary(twin),
    }


def _row(cells: list[object]) -> str:
    return "| " + " | ".join("-" if c is None else str(c) for c in cells) + " |"


def _twin_lines(twin: dict[str, Any] | None) -> list[str]:
    if twin is None:
        return []
    real = ""
    if twin["real_mean_ap"] is not None:
        low, high = twin["real_mean_ap_interval"]
        real = f", real frames {twin['real_mean_ap']} ({low} to {high})"
    return [
        f"Its plain twin `{twin['name']}` of equal width and budget: mAP {twin['mean_ap']}"
        f" (hard stratum {twin['hard_mean_ap']}){real}, pointing {twin['pointing_hits']}.",
        "",
    ]


def render_card(bundle: Bundle, found: dict[str, Any]) -> str:
    """The card of a bundle, Markdown."""
    benchmark, real = found["benchmark"], found["real"]
    pointing = benchmark["pointing"]
    recipe = bundle.content["recipe"]
    provenance = bundle.content["provenance"]
    lines = [
        f"# {bundle.name}",
        "",
        f"Method `{bundle.method}`, vocabulary `{bundle.vocabulary.name}`, input"
        f" {bundle.preprocess.size} x {bundle.preprocess.size} pixels.",
        "",
        "## Where the weights come from",
        "",
        f"- training: {provenance['training']}; {recipe['passes']} frame passes, seed"
        f" {recipe['seed']}",
        f"- calibration, thresholds, novelty: {provenance['validation']}",
        f"- real frames in training: {provenance['real_frames']}",
        f"- recipe: `{json.dumps(recipe)}`",
        f"- scatterlens {provenance['scatterlens']}, torch {provenance['torch']}",
        "",
        "## The three figures",
        "",
        f"1. {benchmark['name']}, {benchmark['frames']} frames: mAP **{benchmark['mean_ap']}**"
        f" (base rate {benchmark['base_rate']}, hard stratum {benchmark['hard_mean_ap']})",
    ]
    if real is not None:
        low, high = real["mean_ap_interval"]
        lines.append(
            f"2. {real['frames']} real frames of {real['sources']} sources: mean AP of six"
            f" attributes **{real['mean_ap']}** (90 % interval {low} to {high} over sources;"
            f" chance {real['chance']})"
        )
    else:
        lines.append("2. real frames: not measured")
    lines += [
        f"3. pointing game: **{pointing['hits']}** hits (random live cell {pointing['random']},"
        f" centre {pointing['centre']})",
        "",
        *_twin_lines(found["twin"]),
        _row(["attribute", "AP", "ECE", "pointing", "random", "centre", "positives"]),
        _row(["---"] * 7),
    ]
    each = pointing["per_attribute"]
    for a, attribute in enumerate(bundle.vocabulary.ids):
        values = [each[key][a] for key in ("hits", "random", "centre", "positives")]
        lines.append(_row([attribute, benchmark["ap"][a], benchmark["ece"][a], *values]))
    if real is not None:
        lines += [
            "",
            _row(["real frames", "AP", "interval", "chance", "positives"]),
            _row(["---"] * 5),
        ]
        for attribute, entry in real["attributes"].items():
            low, high = entry["interval"]
            cells = (entry["ap"], f"{low} to {high}", entry["chance"], entry["positives"])
            lines.append(_row([attribute, *cells]))
        lines += ["", _row(["real frames", "hits", "false alarms"]), _row(["---"] * 3)]
        for attribute, entry in real["others"].items():
            lines.append(
                _row(
                    [
                        attribute,
                        f"{entry['hits']} of {entry['positives']}",
                        f"{entry['false_alarms']} of {entry['negatives']}",
                    ]
                )
            )
    for run, points in found["curves"].items():
        lines += ["", _row([f"{run}: passes", *(p["passes"] for p in points)])]
        lines += [_row(["---"] * (len(points) + 1))]
        lines += [_row(["mAP", *(p["mean_ap"] for p in points)])]
    lines += [
        "",
        "## What it cannot do",
        "",
        _TRUSTED_AS_LABELS if "heads" in bundle.content else trust(provenance["real_frames"]),
        "- It knows the attributes of its vocabulary and nothing else; `novelty` near 1 says that a"
        " frame is unlike all that it was trained on, and then no answer should be trusted.",
        "- The input is small: a spot or a line thinner than one network pixel may be invisible.",
        "- The maps show which cells spoke for an attribute, not why; a cell is"
        f" {2 ** recipe['poolings']} network pixels wide.",
        "",
    ]
    return "\n".join(lines)
