"""The training loop: plain, resumable at any step, the same weights whether killed or not."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from scatterlens_models.datasets.examples import Examples, halve, turn
from scatterlens_models.datasets.mixing import mixed_batches
from scatterlens_models.evaluation.curve import Curve, Progress
from scatterlens_models.metrics import mean_average_precision
from scatterlens_models.nets import build
from scatterlens_models.nets.layers import Net, TrainingOutput
from scatterlens_models.training.averaging import WeightMean
from scatterlens_models.training.checkpoint import (
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from scatterlens_models.training.distributed import average_gradients, average_statistics, join
from scatterlens_models.training.layout import fitting_format, format_of
from scatterlens_models.training.objective import backward
from scatterlens_models.training.optimiser import optimisers
from scatterlens_models.training.recipe import Recipe, read_recipe
from scatterlens_models.vocabulary import load_vocabulary

CHECKPOINT_SECONDS = 60.0


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
    device, order = next(net.parameters()).device, format_of(net)
    net.eval()
    with torch.inference_mode():
        parts = [
            net(x[i : i + batch].to(device).float().contiguous(memory_format=order)).logits.cpu()
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
    device: str = "cpu",
) -> Net:
    """Train a network, or go on where `folder` stopped.

    Under `torchrun` every process calls this with the same arguments and takes its share of each
    batch; the first one alone writes and reports.

    Args:
        recipe: what to train; must equal the folder's recipe on a resume.
        training: frames to learn from.
        watched: frames for the curve of mAP against passes; nothing is chosen by them but the end
            of a run with `patience`.
        folder: receives `recipe.json`, the curve (`metrics.jsonl`, `tensorboard/`) and
            `checkpoint.safetensors`.
        evaluations: how many points of mAP, the last at the end.
        compiled: fuse kernels with torch.compile; minutes to start, then about a fifth faster.
        report: called with each line of the curve, and about once a second between.
        device: what to train on, as torch names it.

    Raises:
        ValueError: the folder belongs to another recipe.
        CheckpointError: a damaged checkpoint, or `recipe.start` holds another network.
    """
    rank, world = join()
    folder.mkdir(parents=True, exist_ok=True)
    recipe_path = folder / "recipe.json"
    if recipe_path.exists() and read_recipe(recipe_path) != recipe:
        raise ValueError(f"{folder} holds a run of another recipe; take another folder")
    if rank == 0:
        # Whole at once: the others read it about now.
        partial = recipe_path.with_suffix(".partial")
        partial.write_text(recipe.to_json(), encoding="utf-8")
        partial.replace(recipe_path)

    torch.manual_seed(recipe.seed)
    net = build(
        recipe.method, load_vocabulary(recipe.vocabulary), recipe.width, poolings=recipe.poolings
    )
    sides = (recipe.input_size, recipe.input_size // 2) if recipe.small_share else ()
    order = fitting_format(net, sides or (recipe.input_size,))
    net.to(device, memory_format=order)  # pyright: ignore[reportCallIssue]
    optimizers = optimisers(net, recipe)
    steps = recipe.passes // recipe.batch
    evaluate_at = {round(steps * (i + 1) / evaluations) for i in range(evaluations)}
    checkpoint, best = folder / "checkpoint.safetensors", folder / "best.safetensors"
    step, running = 0, math.nan
    if not checkpoint.exists() and recipe.start:
        load_weights(Path(recipe.start), net)
    mean = WeightMean(net, recipe.ema)
    if checkpoint.exists():
        step, running = load_checkpoint(checkpoint, net, optimizers, mean.weights)
    curve = Curve(folder, step, write=rank == 0)
    peaks = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]
    forward = torch.compile(net, dynamic=False) if compiled else net

    net.train()
    started = saved = told = time.monotonic()
    parts = 1
    if training.weights is None:
        drawn = batches(len(training.x), recipe.batch, recipe.seed, step)
    else:
        drawn = mixed_batches(training.weights, recipe.batch, recipe.seed, step)
    for indices in drawn:
        if step >= steps or curve.is_over(recipe.patience):
            break
        for group, peak in peaks:
            group["lr"] = peak * cycle(step, steps, recipe.warm_up)
        batch = batch_of(recipe, training, indices[rank::world], step, steps, device, order)
        while True:
            try:
                loss = gradients(net, forward, recipe, batch, step, parts)
                break
            except RuntimeError as error:
                # Batch normalisation needs two frames at least.
                if not _lacks_memory(error) or 4 * parts > len(batch.x):
                    raise
                parts *= 2
        if world > 1:
            average_gradients(net)
        for optimizer in optimizers:
            optimizer.step()
        mean.update(step)
        step += 1
        running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
        now = time.monotonic()
        progress = Progress(step, steps, step * recipe.batch, now - started, running)
        if step in evaluate_at:
            if world > 1:
                average_statistics(net)
            mean.swap()
            reached = mean_average_precision(predict(net, watched.x), watched.labels.numpy())
            if recipe.patience and curve.is_best(reached) and rank == 0:
                save_weights(best, net)
            mean.swap()
            progress = replace(progress, mean_ap=reached)
        if step in evaluate_at or curve.is_due(step, steps):
            curve.add(progress)
        if rank == 0 and (step in evaluate_at or now - saved > CHECKPOINT_SECONDS):
            save_checkpoint(checkpoint, net, optimizers, step, running, mean.weights)
            saved = now
        if rank == 0 and (progress.mean_ap is not None or now - told > 1):
            report(progress)
            told = now
    mean.swap()
    if recipe.patience and best.exists():
        load_weights(best, net)
    return net.eval()


def batch_of(
    recipe: Recipe,
    training: Examples,
    indices: torch.Tensor,
    step: int,
    steps: int,
    device: str,
    order: torch.memory_format = torch.channels_last,
) -> Examples:
    """Frames of a step as the network sees them: turned and, in the first share, halved."""
    x, evidence = training.x[indices].float(), None
    if recipe.evidence_weight and training.evidence is not None:
        evidence = training.evidence[indices]
    if recipe.augment:
        drawn = recipe.seed * 7_000_003 + step
        x = turn(x, torch.Generator().manual_seed(drawn))
        if evidence is not None:
            evidence = turn(evidence, torch.Generator().manual_seed(drawn)).to(device)
    if step < steps * recipe.small_share:
        x = halve(x)
    x = x.to(device).contiguous(memory_format=order)
    return Examples(x, training.labels[indices].to(device), evidence=evidence)


def gradients(
    net: Net,
    forward: Callable[[torch.Tensor], TrainingOutput],
    recipe: Recipe,
    batch: Examples,
    step: int,
    parts: int,
) -> float:
    """Fill `.grad` with the mean over a batch, taken in so many parts; returns the loss."""
    total, loss = {}, 0.0
    for chosen in torch.arange(len(batch.x)).chunk(parts):
        net.zero_grad(set_to_none=True)
        x, labels = batch.x[chosen], batch.labels[chosen]
        evidence = None if batch.evidence is None else batch.evidence[chosen]
        with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.amp):
            found = backward(net, recipe, x, forward(x), labels, step, evidence)
        share = len(chosen) / len(batch.x)
        loss += share * float(found)
        if parts > 1:
            for name, p in net.named_parameters():
                if p.grad is not None:
                    total[name] = total.get(name, 0) + share * p.grad
    for name, gradient in total.items():
        net.get_parameter(name).grad = gradient
    return loss


def _lacks_memory(error: RuntimeError) -> bool:
    """Whether an allocation failed, on a GPU or on the processor."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
