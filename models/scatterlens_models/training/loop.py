"""The training loop: plain, resumable at any step, the same weights whether killed or not."""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from scatterlens_models.datasets.mixing import mixed_batches
from scatterlens_models.evaluation.metrics import mean_average_precision
from scatterlens_models.nets import build
from scatterlens_models.nets.layers import Net
from scatterlens_models.training.checkpoint import load_checkpoint, save_checkpoint
from scatterlens_models.training.examples import Examples, halve, turn
from scatterlens_models.training.objective import backward
from scatterlens_models.training.optimiser import optimisers
from scatterlens_models.training.recipe import Recipe, read_recipe
from scatterlens_models.vocabulary import load_vocabulary

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Progress:
    """Where a run stands; one line of `metrics.jsonl`."""

    step: int
    steps: int
    passes: int
    """Frames shown so far."""
    seconds: float
    """Time of this process in the loop."""
    loss: float
    """Running mean of the training loss."""
    mean_ap: float | None = None
    """On the watched split; only at evaluation points."""


def cycle(step: int, steps: int, warm_up: float) -> float:
    """Share of the peak rate at a step: linear rise, then a cosine to zero."""
    rise = max(int(steps * warm_up), 1)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))


def batches(count: int, batch: int, seed: int, start_step: int) -> Iterator[torch.Tensor]:
    """Indices of each batch from a step on; every epoch is its own permutation.

    The order depends on seed and step alone, so that a resumed run sees the same frames. The
    last incomplete batch of an epoch is dropped: batch normalisation of few samples is unsound.
    """
    per_epoch = count // batch
    if per_epoch == 0:
        raise ValueError(f"{count} frames do not fill one batch of {batch}")
    step = start_step
    while True:
        epoch, offset = divmod(step, per_epoch)
        order = torch.randperm(
            count, generator=torch.Generator().manual_seed(seed * 100_003 + epoch)
        )
        for position in range(offset, per_epoch):
            yield order[position * batch : (position + 1) * batch]
            step += 1


def predict(net: Net, x: torch.Tensor, batch: int = 32) -> np.ndarray:
    """Logits (N, A) in evaluation mode; leaves the network in training mode as it was."""
    was_training = net.training
    net.eval()
    with torch.inference_mode():
        parts = [
            net(x[i : i + batch].float().contiguous(memory_format=torch.channels_last)).logits
            for i in range(0, len(x), batch)
        ]
    net.train(was_training)
    return torch.cat(parts).float().numpy()


def train(
    recipe: Recipe,
    training: Examples,
    watched: Examples,
    folder: Path,
    evaluations: int = 6,
    compiled: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Net:
    """Train a network, or go on where `folder` stopped.

    Args:
        recipe: what to train; must equal the folder's recipe on a resume.
        training: frames to learn from.
        watched: frames for the curve of mAP against passes; nothing is chosen by them.
        folder: receives `recipe.json`, `metrics.jsonl` and `checkpoint.safetensors`.
        evaluations: how many points of the curve, the last at the end.
        compiled: fuse kernels with torch.compile; minutes to start, then about a fifth faster.
        report: called with each line of `metrics.jsonl`, and about once a second between.

    Raises:
        ValueError: the folder belongs to another recipe.
        CheckpointError: `recipe.start` holds another network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe_path = folder / "recipe.json"
    if recipe_path.exists() and read_recipe(recipe_path) != recipe:
        raise ValueError(f"{folder} holds a run of another recipe; take another folder")
    recipe_path.write_text(recipe.to_json(), encoding="utf-8")

    torch.manual_seed(recipe.seed)
    net = build(
        recipe.method, load_vocabulary(recipe.vocabulary), recipe.width, poolings=recipe.poolings
    )
    net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizers = optimisers(net, recipe)
    steps = recipe.passes // recipe.batch
    evaluate_at = {round(steps * (i + 1) / evaluations) for i in range(evaluations)}
    checkpoint = folder / "checkpoint.safetensors"
    step = 0
    if checkpoint.exists():
        step = load_checkpoint(checkpoint, net, optimizers)
    elif recipe.start:
        load_checkpoint(Path(recipe.start), net)
    peaks = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]
    forward = torch.compile(net, dynamic=False) if compiled else net

    net.train()
    started = saved = told = time.monotonic()
    running = float("nan")
    if training.weights is None:
        drawn = batches(len(training.x), recipe.batch, recipe.seed, step)
    else:
        drawn = mixed_batches(training.weights, recipe.batch, recipe.seed, step)
    for indices in drawn:
        if step >= steps:
            break
        x = training.x[indices].float()
        if recipe.augment:
            x = turn(x, torch.Generator().manual_seed(recipe.seed * 7_000_003 + step))
        if step < steps * recipe.small_share:
            x = halve(x)
        for group, peak in peaks:
            group["lr"] = peak * cycle(step, steps, recipe.warm_up)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        x = x.contiguous(memory_format=torch.channels_last)
        loss = float(backward(net, recipe, x, forward(x), training.labels[indices], step))
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
        now = time.monotonic()
        progress = Progress(step, steps, step * recipe.batch, now - started, running)
        if step in evaluate_at:
            mean_ap = mean_average_precision(predict(net, watched.x), watched.labels.numpy())
            progress = Progress(**{**asdict(progress), "mean_ap": mean_ap})
            with (folder / "metrics.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(progress)) + "\n")
        if step in evaluate_at or now - saved > CHECKPOINT_SECONDS:
            save_checkpoint(checkpoint, net, optimizers, step)
            saved = now
        if progress.mean_ap is not None or now - told > 1:
            report(progress)
            told = now
    return net.eval()
