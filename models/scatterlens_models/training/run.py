"""From a folder of shards to a bundle: what `scatterlens train` does."""

import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from scatterlens_models.bundle import Bundle
from scatterlens_models.datasets.examples import load_examples
from scatterlens_models.evaluation.curve import Progress
from scatterlens_models.synthetic.shards import open_shards
from scatterlens_models.training.alternate import alternate
from scatterlens_models.training.distributed import join
from scatterlens_models.training.export import export
from scatterlens_models.training.loop import train
from scatterlens_models.training.recipe import Recipe, read_recipe

FRAMES_FILE = "frames.txt"
"""In the folder of a run that has ended: which frames its weights have seen."""


def run_training(
    recipe: Recipe,
    shards: Path,
    folder: Path,
    bundle: Path | None,
    name: str,
    frames: int | None,
    compiled: bool,
    report: Callable[[Progress], None],
    operation: str | None = None,
    gradients: bool = False,
    device: str = "cpu",
    evaluations: int = 6,
) -> Bundle | None:
    """Train on `shards/train`; watch mAP and calibrate on `shards/validation`.

    Args:
        recipe: what to train.
        shards: folder that `scatterlens synth build` filled.
        folder: of the run; one that was stopped goes on.
        bundle: where to write the bundle; none is written where None.
        name: of the line of models.
        frames: use only the first frames of the training split.
        compiled: fuse kernels with torch.compile.
        report: called with the progress.
        operation: train a MAAP network alternately, on frames that this operation makes, too.
        gradients: give the bundle the graph of inner gradient maps.
        device: what to train on, as torch names it.
        evaluations: how many points of mAP.

    Raises:
        ValueError: the folder belongs to another recipe, or the run to start from has not ended.
    """
    with open_shards(shards / "train") as opened:
        asked = recipe.evidence_weight > 0
        training = load_examples(opened, recipe.input_size, frames, evidence=asked)
    with open_shards(shards / "validation") as opened:
        validation = load_examples(opened, recipe.input_size)
    learned = f"{shards.name}/train, first {len(training.x)} frames, simulated"
    if recipe.start:
        learned = f"{learned_frames(Path(recipe.start))}; then {learned}"
    if operation is None:
        net = train(recipe, training, validation, folder, evaluations, compiled, report, device)
    else:
        net = alternate(recipe, training, validation, folder, operation, report=report)
        (folder / "recipe.json").write_text(recipe.to_json(), encoding="utf-8")
    if join()[0] > 0:
        return None  # the first process alone writes
    (folder / FRAMES_FILE).write_text(learned + "\n", encoding="utf-8")
    if bundle is None:
        return None
    provenance = {
        "training": learned,
        "validation": f"{shards.name}/validation, {len(validation.x)} frames, simulated",
        "real_frames": "none",
        "manifest": (shards / "manifest.json").read_text(encoding="utf-8")
        if (shards / "manifest.json").exists()
        else None,
        "scatterlens": version("scatterlens"),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    return export(net, recipe, validation, bundle, name, provenance, gradients)


def learned_frames(checkpoint: Path) -> str:
    """Frames and passes behind a checkpoint, as its run's folder states them.

    Raises:
        ValueError: the folder does not say.
    """
    folder = checkpoint.parent
    try:
        frames = (folder / FRAMES_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ValueError(
            f"{folder} does not say which frames its weights have seen (no {FRAMES_FILE}): start"
            " from the folder of a run that has ended"
        ) from None
    return f"{frames}, {read_recipe(folder / 'recipe.json').passes} frame passes"
