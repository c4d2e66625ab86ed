"""The card of a bundle that a run made: what taught it, and how far it came on its own frames."""

from scatterlens.schemas import Beside
from scatterlens_models.bundle import Bundle

_FEW = 100
"""Labelled frames below which a card warns of them."""


def render_run_card(
    bundle: Bundle, frames: int, mean_ap: float | None, beside: Beside | None
) -> str:
    """Markdown; the figures stand on `frames` frames, `beside` is what production reaches there."""
    provenance, recipe = bundle.content["provenance"], bundle.content["recipe"]
    lines = [
        f"# {bundle.name}",
        "",
        f"Method `{bundle.method}`, vocabulary `{bundle.vocabulary.name}`, input"
        f" {bundle.preprocess.size} x {bundle.preprocess.size} pixels.",
        "",
        "## What taught it",
        "",
        f"- training: {provenance['training']}; {recipe['passes']} frame passes, seed"
        f" {recipe['seed']}",
        f"- real frames in training: {provenance['real_frames']}",
        f"- calibration, thresholds, novelty: {provenance['validation']}",
    ]
    for name, what in (
        ("kept_calibration", "keep the calibration of the model that it went on from"),
        ("uncalibrated", "have no calibration: temperature 1, threshold 0.5"),
    ):
        if provenance.get(name):
            lines.append(f"- {what}, for want of labels: {', '.join(provenance[name])}")
    lines += [
        "",
        "## How far it came",
        "",
        f"On the {frames} validation frames of its own run, which it was not trained on but"
        " calibrated by:",
        "",
        f"- this model: mAP {_figure(mean_ap)}",
    ]
    if beside is not None:
        lines.append(
            f"- {beside.model}, production when it was trained: mAP {_figure(beside.mean_ap)}"
        )
    lines += [
        "",
        "These are other frames than those of a benchmark: no figure here compares with figures of"
        " other cards. The gate compares both models on frames that neither has seen.",
        "",
        "## What it cannot do",
        "",
        trust(provenance.get("real_frames", "none")),
        "- It knows the attributes of its vocabulary and nothing else; `novelty` near 1 says that a"
        " frame is unlike all that it was calibrated on.",
        "",
    ]
    return "\n".join(lines)


def trust(real_frames: str) -> str:
    """How far probabilities hold on real frames, by the real frames that taught a model."""
    count = real_frames.split(" ", 1)[0]
    if not count.isdecimal() or count == "0":
        return (
            "- It was trained on simulated frames alone: on real frames its probabilities are"
            " calibrated only as far as the simulator resembles the beamline."
        )
    few = "; these are few" if int(count) < _FEW else ""
    return (
        f"- It learned from {real_frames} beside simulated ones{few}: what it says of real frames"
        " holds as far as these, and the simulator, resemble the frames that follow."
    )


def _figure(value: float | None) -> str:
    return "not defined (too few labels)" if value is None else f"**{value:.4f}**"
