"""Does every method learn: three figures of each after the same short training on 2,000 frames.

    python benchmarks/learning.py --shards data/bench-v1 --runs runs/learning [ROW ...]

One row after another, fixed seeds, slim width, one core: mAP on simulated frames, pointing game
beside a random live cell and the centre, and (with --real DIR) AP on labelled real frames. A run
that was stopped goes on; the table of all that have ended is written to RUNS/table.md.
"""

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from scatterlens_models.datasets.examples import Examples, load_examples
from scatterlens_models.datasets.real_frames import RealFrame, decode_all, read_real
from scatterlens_models.evaluation.calibration import sigmoid
from scatterlens_models.evaluation.pointing import pointing_game
from scatterlens_models.evaluation.real import real_figure
from scatterlens_models.metrics import base_rate, mean_average_precision
from scatterlens_models.nets import METHODS
from scatterlens_models.nets.layers import Net
from scatterlens_models.preprocess import PreprocessSpec, prepare
from scatterlens_models.synthetic.shards import open_shards
from scatterlens_models.training.alternate import alternate
from scatterlens_models.training.export import explain_all
from scatterlens_models.training.loop import predict, train
from scatterlens_models.training.recipe import Recipe, slim
from scatterlens_models.vocabulary import load_vocabulary

FRAMES = 2_000
POINTED = 500
"""Test frames that the pointing game is played on."""
MARGIN = 0.05
"""What mAP must stand above the base rate for a method to count as learning."""
_VARIANTS: dict[str, dict[str, dict[str, str]]] = {
    "aam": {
        "aam, plain gradients": {"specialised": "none"},
        "aam": {},
        "aam, exact": {"specialised": "exact"},
    },
    "icasc": {"": {}, ", A_px": {"objective": "a_px"}},
}
"""Rows of a method where it has several: by name, what differs from its recipe."""


@dataclass(frozen=True)
class Judges:
    """Frames that rows are measured on; none of them is ever trained on."""

    test: Examples
    evidence: np.ndarray
    """(POINTED, A, 32, 32) uint8."""
    real: list[RealFrame]
    real_x: torch.Tensor | None
    """(N, 2, S, S)."""


def rows(passes: int) -> dict[str, Recipe]:
    """Every row's recipe by its name; plain networks first, since MAAP starts from them."""
    found = {}
    for method in sorted(METHODS, key=lambda name: name.startswith("maap")):
        recipe = slim(method, passes)
        if method == "aam":
            for name, other in _VARIANTS["aam"].items():
                found[name] = replace(recipe, **other)
        elif method.startswith("icasc"):
            for suffix, other in _VARIANTS["icasc"].items():
                found[method + suffix] = replace(recipe, **other)
        else:
            found[method] = recipe
    return found


def folder_of(name: str, runs: Path) -> Path:
    """Where the run of a row lies."""
    return runs / name.replace(", ", "-").replace(" ", "_")


def learn(name: str, recipe: Recipe, runs: Path, training: Examples, judges: Judges) -> dict:
    """Train one row and measure it."""
    folder = folder_of(name, runs)
    result = folder / "result.json"
    if result.exists():
        return json.loads(result.read_text())
    started = time.monotonic()
    watched = Examples(judges.test.x[:64], judges.test.labels[:64])
    if recipe.method.startswith("maap"):
        # The plain twin is the network that Algorithm 1 starts from; both phases share its budget.
        twin = folder_of(recipe.method.removeprefix("maap_"), runs) / "checkpoint.safetensors"
        recipe = replace(recipe, start=str(twin), passes=recipe.passes // 2)
        net = alternate(recipe, training, watched, folder, report=show)
    else:
        net = train(recipe, training, watched, folder, evaluations=1, report=show)
    minutes = (time.monotonic() - started) / 60
    found = {"name": name, **judge(net, judges), "minutes": minutes}
    result.write_text(json.dumps(found))
    return found


def judge(net: Net, judges: Judges) -> dict:
    """The figures of a trained network."""
    test, vocabulary = judges.test, load_vocabulary("aam20")
    labels = test.labels.numpy()
    seen = explain_all(net, test.x[:POINTED])
    game = pointing_game(
        seen.maps, judges.evidence, labels[:POINTED], test.x[:POINTED, 1].float().numpy()
    )
    found = {
        "parameters": sum(p.numel() for p in net.parameters()),
        "mean_ap": mean_average_precision(predict(net, test.x), labels),
        "hits": float(np.nanmean(game.hits)),
        "random": float(np.nanmean(game.random)),
        "centre": float(np.nanmean(game.centre)),
    }
    if judges.real_x is not None:
        probabilities = sigmoid(predict(net, judges.real_x))
        on_real = real_figure(judges.real, probabilities, probabilities > 0.5, vocabulary)
        found |= {key: on_real[key] for key in ("frames", "sources", "chance")}
        found |= {"real": on_real["mean_ap"], "interval": on_real["mean_ap_interval"]}
    return found


def show(progress) -> None:
    """One line that is overwritten."""
    print(f"\r  {progress.step}/{progress.steps} loss {progress.loss:.4f}", end="", flush=True)


def table(found: list[dict], base: float, passes: int) -> str:
    """Markdown, in the order of training."""
    first = found[0]
    on_real = (
        f"; real: AP of six attributes on {first['frames']} frames of {first['sources']} sources"
        f" with its 90 % interval, chance {first['chance']:.3f}"
        if "real" in first
        else ""
    )
    lines = [
        f"{FRAMES} frames of bench-v1/train, {passes} frame passes (MAAP: as many again, from its"
        f" plain twin), slim width, one seed. mAP on the first {FRAMES} frames of its test split,"
        f" base rate {base:.3f}; pointing on {POINTED} of them, random live cell"
        f" {first['random']:.3f}, centre {first['centre']:.3f}{on_real}.",
        "",
        "| method | parameters | mAP | above base | learns | pointing | real | minutes |",
        "|---|---:|---:|---:|---|---:|---|---:|",
    ]
    for row in found:
        gain = row["mean_ap"] - base
        verdict = "yes" if gain >= MARGIN else "not at this budget"
        real = "-"
        if "real" in row:
            real = f"{row['real']:.3f} ({row['interval'][0]:.3f}-{row['interval'][1]:.3f})"
        lines.append(
            f"| {row['name']} | {row['parameters']:,} | {row['mean_ap']:.3f} | {gain:+.3f} |"
            f" {verdict} | {row['hits']:.3f} | {real} | {row['minutes']:.1f} |"
        )
    return "\n".join(lines)


def read_judges(shards: Path, real: Path | None, size: int) -> Judges:
    """Load what rows are measured on."""
    with open_shards(shards) as opened:
        test = load_examples(opened, size, FRAMES)
        evidence = opened.evidence(slice(0, POINTED))
    if real is None:
        return Judges(test, evidence, [], None)
    frames = read_real(real, load_vocabulary("aam20"))
    prepared = [prepare(frame, PreprocessSpec(size))[0] for frame in decode_all(real, frames)]
    return Judges(test, evidence, frames, torch.from_numpy(np.stack(prepared)))


def main() -> None:
    """Train what was asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help="names in the first column; all without any")
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--real", type=Path, help="folder of labelled real frames")
    parser.add_argument("--passes", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    known = rows(asked.passes)
    if unknown := set(asked.rows) - set(known):
        raise SystemExit(f"no rows {sorted(unknown)}; there are {', '.join(known)}")
    torch.set_num_threads(asked.threads)
    size = Recipe("vgg16").input_size
    with open_shards(asked.shards / "train") as opened:
        training = load_examples(opened, size, FRAMES)
    judges = read_judges(asked.shards / "test", asked.real, size)
    base = base_rate(judges.test.labels.numpy())
    asked.runs.mkdir(parents=True, exist_ok=True)
    found = []
    for name in asked.rows or known:
        print(name, flush=True)
        found.append(learn(name, known[name], asked.runs, training, judges))
        print(f"\n  mAP {found[-1]['mean_ap']:.4f}, base rate {base:.4f}", flush=True)
        (asked.runs / "table.md").write_text(table(found, base, asked.passes) + "\n")
    print(table(found, base, asked.passes))


if __name__ == "__main__":
    main()
