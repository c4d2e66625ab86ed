"""Train what a plan asks for, or go on where it stopped.

The folder of a run is named by its plan and frames, so that rows and experiments which
share a network share its run. A lock holds each folder: a second process waits for the first
and finds the run ended.
"""

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from scatterlens_models.evaluation.curve import Progress
from scatterlens_models.nets.layers import Net
from scatterlens_models.reproduce.material import Material
from scatterlens_models.reproduce.results import write_whole
from scatterlens_models.reproduce.scales import Plan
from scatterlens_models.training.alternate import alternate
from scatterlens_models.training.loop import train
from scatterlens_models.training.recipe import Recipe, read_recipe

_CHECKPOINT = "checkpoint.safetensors"
_SECONDS = "seconds.txt"
"""In the folder of a run: how long all processes together have worked on it."""
_TOLD_SECONDS = 10.0

Report = Callable[[Progress], None]


class RunError(ValueError):
    """The folder of a run holds another one; the message says what to do."""


def run_folder(plan: Plan, material: Material, runs: Path) -> Path:
    """Where a run lies."""
    digest = hashlib.sha256(f"{plan.digest} {material.digest}".encode()).hexdigest()
    kind = f"-{plan.operation}" if plan.operation else ""
    return runs / f"{plan.recipe.method}{kind}-seed{plan.recipe.seed}-{digest[:12]}"


def train_plan(
    plan: Plan, material: Material, runs: Path, report: Report, device: str = "cpu"
) -> Net:
    """The network of a plan, trained as far as it was not; what it starts from comes first.

    Alternate training stays on the processor.

    Raises:
        RunError: the folder was moved, or an older version filled it.
        CheckpointError: a checkpoint is damaged.
    """
    folder, recipe = run_folder(plan, material, runs), plan.recipe
    if plan.start is not None:
        train_plan(plan.start, material, runs, report, device)
        start = run_folder(plan.start, material, runs) / _CHECKPOINT
        recipe = replace(recipe, start=str(start.resolve()))
    if plan.operation:
        train_plan(plan.low, material, runs, report, device)
    with _alone(folder):
        spent = _spending(folder, report)
        if plan.operation:
            # All operations share the low level: the first phase finds itself ended.
            _copy(run_folder(plan.low, material, runs), folder / "low")
            net = alternate(
                recipe, material.training, material.watched, folder, plan.operation, report=spent
            )
        else:
            _check(folder, recipe)
            net = train(
                recipe,
                material.training,
                material.watched,
                folder,
                evaluations=1,
                report=spent,
                device=device,
            )
    return net.cpu()


def _check(folder: Path, recipe: Recipe) -> None:
    kept = folder / "recipe.json"
    if kept.exists() and read_recipe(kept) != recipe:
        raise RunError(
            f"{folder} holds a run that differs from what it is named after: it was moved, or is"
            " of an older version. Remove it and it is run again, or name another folder by --out"
        )


def seconds_of(plan: Plan, material: Material, runs: Path) -> float:
    """Time spent on a run and on all that it starts from."""
    own = _seconds(run_folder(plan, material, runs))
    if plan.operation:
        return own + seconds_of(plan.low, material, runs)
    return own + (seconds_of(plan.start, material, runs) if plan.start else 0.0)


def _seconds(folder: Path) -> float:
    path = folder / _SECONDS
    return float(path.read_text(encoding="utf-8")) if path.exists() else 0.0


def _spending(folder: Path, report: Report) -> Report:
    """A report that also keeps the time of all processes; a kill loses a few seconds of it."""
    before, started, told = _seconds(folder), time.monotonic(), -_TOLD_SECONDS

    def spend(progress: Progress) -> None:
        nonlocal told
        spent = time.monotonic() - started
        if spent - told >= _TOLD_SECONDS or progress.mean_ap is not None:
            write_whole(folder / _SECONDS, f"{before + spent:.3f}\n")
            told = spent
        report(progress)

    return spend


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    partial.rename(target)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of a run; the system lets go of it when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
