"""From a folder of shards to a bundle: what `scatterlens train` does."""

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from scatterlens_models.bundle import Bundle
from scatterlens_models.synthetic.dataset import open_shards
from scatterlens_models.training.examples import load_examples
from scatterlens_models.training.export import export
from scatterlens_models.training.loop import Progress, train
from scatterlens_models.training.recipe import RECIPES, Recipe

__all__ = ["RECIPES", "run_training"]


def run_training(
    recipe: Recipe,
    shards: Path,
    folder: Path,
    bundle: Path | None,
    name: str,
    frames: int | None,
    compiled: bool,
    report: Callable[[Progress], None],
) -> Bundle | None:
    """Train on `shards/train`, watch mAP on `shards/test`, calibrate on `shards/validation`.

    Nothing is chosen by the test split: it only gives the curve of mAP against passes.

    Args:
        recipe: what to train.
        shards: folder that `scatterlens synth build` filled.
        folder: of the run; one that was stopped goes on.
        bundle: where to write the bundle; none is written where None.
        name: of the line of models.
        frames: use only the first frames of the training split.
        compiled: fuse kernels with torch.compile.
        report: called with the progress.
    """
    with open_shards(shards / "train") as opened:
        training = load_examples(opened, recipe.input_size, frames)
    with open_shards(shards / "test") as opened:
        watched = load_examples(opened, recipe.input_size)
    net = train(recipe, training, watched, folder, compiled=compiled, report=report)
    if bundle is None:
        return None
    with open_shards(shards / "validation") as opened:
        validation = load_examples(opened, recipe.input_size)
    provenance = {
        "training": f"{shards.name}/train, first {len(training.x)} frames, simulated",
        "validation": f"{shards.name}/validation, {len(validation.x)} frames, simulated",
        "real_frames": "none",
        "manifest": (shards / "manifest.json").read_text(encoding="utf-8")
        if (shards / "manifest.json").exists()
        else None,
        "scatterlens": version("scatterlens"),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    return export(net, recipe, validation, bundle, name, provenance)
