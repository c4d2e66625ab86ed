"""Training frames a second, and where a step's time goes: data, forward, backward, optimiser.

    python benchmarks/training.py [--methods aam vgg16 resnet18] [--width 0.25] [--side 128]
        [--batch 16] [--device cpu] [--threads 1]

Random frames in memory, the recipes of `scatterlens train`. Single precision and bfloat16 take
turns within one process, three times; the median counts.
"""

import argparse
import time
from dataclasses import replace

import torch
from rich.console import Console
from rich.table import Table

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.nets import build
from scatterlens_models.training.loop import batch_of
from scatterlens_models.training.objective import backward
from scatterlens_models.training.optimiser import optimisers
from scatterlens_models.training.recipe import Recipe, slim
from scatterlens_models.vocabulary import load_vocabulary

STEPS = 4
ROUNDS = 3
PARTS = ("data", "forward", "backward", "optimiser")


def step_seconds(recipe: Recipe, device: str, small: bool) -> dict[str, float]:
    """Seconds of each part of one step, the mean over a few."""
    vocabulary = load_vocabulary(recipe.vocabulary)
    net = build(recipe.method, vocabulary, recipe.width, poolings=recipe.poolings)
    net.to(device, memory_format=torch.channels_last).train()
    optimizers = optimisers(net, recipe)
    side = recipe.input_size
    generator = torch.Generator().manual_seed(0)
    examples = Examples(
        torch.rand((4 * recipe.batch, 2, side, side), generator=generator).half(),
        torch.randint(-1, 2, (4 * recipe.batch, 20), generator=generator).to(torch.int8),
        evidence=torch.randint(0, 256, (4 * recipe.batch, 20, 16, 16), generator=generator).byte()
        if recipe.evidence_weight
        else None,
    )
    spent = dict.fromkeys(PARTS, 0.0)

    def lap(part: str, since: float) -> float:
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        now = time.perf_counter()
        spent[part] += now - since
        return now

    for step in range(STEPS + 1):
        if step == 1:  # the first step allocates and chooses kernels
            spent.update(dict.fromkeys(PARTS, 0.0))
        at = time.perf_counter()
        indices = torch.randint(len(examples.x), (recipe.batch,), generator=generator)
        batch = batch_of(recipe, examples, indices, step, 10**9 if small else 0, device)
        at = lap("data", at)
        with torch.autocast(batch.x.device.type, torch.bfloat16, enabled=recipe.amp):
            output = net(batch.x)
            at = lap("forward", at)
            backward(net, recipe, batch.x, output, batch.labels, step, batch.evidence)
        at = lap("backward", at)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        lap("optimiser", at)
    return {part: seconds / STEPS for part, seconds in spent.items()}


def main() -> None:
    """Time every method in both precisions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", default=["aam", "vgg16", "resnet18"])
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    where = torch.cuda.get_device_name() if chosen.device.startswith("cuda") else chosen.device
    table = Table("method", "side", "precision", "frames/s", *(f"{part} %" for part in PARTS))
    for method in chosen.methods:
        base = replace(slim(method), width=chosen.width, input_size=chosen.side, batch=chosen.batch)
        for small in (True, False):
            runs: dict[bool, list[dict[str, float]]] = {False: [], True: []}
            for _ in range(ROUNDS):
                for amp in runs:
                    runs[amp].append(step_seconds(replace(base, amp=amp), chosen.device, small))
            for amp, found in runs.items():
                median = sorted(found, key=lambda run: sum(run.values()))[ROUNDS // 2]
                total = sum(median.values())
                table.add_row(
                    method,
                    str(chosen.side // 2 if small else chosen.side),
                    "bfloat16" if amp else "single",
                    f"{chosen.batch / total:.1f}",
                    *(f"{100 * median[part] / total:.0f}" for part in PARTS),
                )
    Console(width=100).print(table, f"\n{where}, {chosen.threads} threads, batch {chosen.batch}")


if __name__ == "__main__":
    main()
