"""Does every method learn: mAP of each after the same short training on 2,000 simulated frames.

    python benchmarks/learning.py --shards data/bench-v1 --runs runs/learning [METHOD ...]

One method after another, fixed seeds, slim width, one core. A run that was stopped goes on; the
table of all that have ended is printed and written to RUNS/table.md.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from scatterlens_models.evaluation.metrics import mean_average_precision
from scatterlens_models.nets import METHODS
from scatterlens_models.synthetic.dataset import open_shards
from scatterlens_models.training.alternate import alternate
from scatterlens_models.training.examples import Examples, load_examples
from scatterlens_models.training.loop import predict, train
from scatterlens_models.training.recipe import Recipe, slim

FRAMES = 2_000
PASSES = 10_000
MARGIN = 0.05
"""What mAP must stand above the base rate for a method to count as learning."""


def variants(method: str) -> dict[str, Recipe]:
    """Recipes of a method by the name of their row."""
    recipe = slim(method, PASSES)
    if method == "aam":
        return {
            "aam, plain gradients": replace(recipe, specialised="none"),
            "aam, sampled groups": recipe,
            "aam, exact": replace(recipe, specialised="exact"),
        }
    if method.startswith("icasc"):
        return {
            f"{method}, A_ch": recipe,
            f"{method}, A_px": replace(recipe, objective="a_px"),
        }
    return {method: recipe}


def learn(name: str, recipe: Recipe, runs: Path, training: Examples, test: Examples) -> dict:
    """Train one row and measure it."""
    folder = runs / name.replace(", ", "-").replace(" ", "_")
    result = folder / "result.json"
    if result.exists():
        return json.loads(result.read_text())
    started = time.monotonic()
    watched = Examples(test.x[:64], test.labels[:64])
    if recipe.method.startswith("maap"):
        # The plain twin is the network that Algorithm 1 starts from; both phases share its budget.
        twin = runs / recipe.method.removeprefix("maap_") / "checkpoint.safetensors"
        recipe = replace(recipe, start=str(twin), passes=recipe.passes // 2)
        net = alternate(recipe, training, watched, folder, report=show)
    else:
        net = train(recipe, training, watched, folder, evaluations=1, report=show)
    mean_ap = mean_average_precision(predict(net, test.x), test.labels.numpy())
    found = {
        "name": name,
        "parameters": sum(p.numel() for p in net.parameters()),
        "mean_ap": mean_ap,
        "minutes": (time.monotonic() - started) / 60,
    }
    result.write_text(json.dumps(found))
    return found


def show(progress) -> None:
    """One line that is overwritten."""
    print(f"\r  {progress.step}/{progress.steps} loss {progress.loss:.4f}", end="", flush=True)


def base_rate(labels: torch.Tensor) -> float:
    """Mean share of present among known labels: what a blind network reaches."""
    known, present = (labels >= 0).sum(0), (labels == 1).sum(0)
    return float((present / known).mean())


def table(found: list[dict], base: float) -> str:
    """Markdown, in the order of training."""
    lines = [
        f"{FRAMES} frames of bench-v1/train, {PASSES} frame passes, one seed; mAP on the first"
        f" {FRAMES} frames of its test split, whose base rate is {base:.3f}.",
        "",
        "| method | parameters | mAP | above the base rate | learns | minutes |",
        "|---|---:|---:|---:|---|---:|",
    ]
    for row in found:
        gain = row["mean_ap"] - base
        verdict = "yes" if gain >= MARGIN else "not at this budget"
        lines.append(
            f"| {row['name']} | {row['parameters']:,} | {row['mean_ap']:.3f} | {gain:+.3f} |"
            f" {verdict} | {row['minutes']:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Train what was asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", default=list(METHODS))
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    size = Recipe("vgg16").input_size
    with open_shards(asked.shards / "train") as opened:
        training = load_examples(opened, size, FRAMES)
    with open_shards(asked.shards / "test") as opened:
        test = load_examples(opened, size, FRAMES)
    base = base_rate(test.labels)
    asked.runs.mkdir(parents=True, exist_ok=True)
    found = []
    for method in asked.methods:
        for name, recipe in variants(method).items():
            print(name, flush=True)
            found.append(learn(name, recipe, asked.runs, training, test))
            print(f"\n  mAP {found[-1]['mean_ap']:.4f}, base rate {base:.4f}", flush=True)
            (asked.runs / "table.md").write_text(table(found, base) + "\n")
    print(table(found, base))


if __name__ == "__main__":
    main()
