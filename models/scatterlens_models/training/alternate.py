"""MAAP's alternate training: the low level first, then the same on frames it attended to.

He & Peng (2018), Algorithm 1. Where the paper waits until the loss converges, each phase here is
one whole cycle of the learning rate, which ends at zero.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file, save_file

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.evaluation.curve import Progress
from scatterlens_models.nets.layers import Net
from scatterlens_models.training.loop import train
from scatterlens_models.training.propagation import OPERATIONS, guide
from scatterlens_models.training.recipe import Recipe, continued


def alternate(
    recipe: Recipe,
    training: Examples,
    watched: Examples,
    folder: Path,
    operation: str = "roi",
    phases: int = 1,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Net:
    """Train a MAAP network from a plain one's weights, or go on where `folder` stopped.

    Args:
        recipe: of a `maap_...` network; `start` names the checkpoint of its plain twin.
        training: frames to learn from.
        watched: frames for the curve of mAP, as they are.
        folder: receives a folder for each phase and the frames of the high level, made once.
        operation: how the high level makes frames; see `propagation.OPERATIONS`.
        phases: how often the high level follows; once in the paper.
        report: called with the progress of each phase.

    Raises:
        ValueError: no network to start from, or an unknown operation.
    """
    if not recipe.start:
        raise ValueError("alternate training starts from a trained plain network: give `start`")
    if operation not in OPERATIONS:
        raise ValueError(f"no operation {operation!r}; there are {', '.join(OPERATIONS)}")
    low = continued(recipe, Path(recipe.start))
    net = train(low, training, watched, folder / "low", report=report)
    before = folder / "low"
    for phase in range(phases):
        current = folder / f"high{phase + 1}"
        cache = folder / f"frames{phase + 1}.safetensors"
        if not cache.exists():
            partial = cache.with_suffix(".partial")
            save_file({"x": guide(net, training, operation).x}, partial)
            partial.replace(cache)
        guided = replace(training, x=load_file(cache)["x"])
        high = replace(low, start=str(before / "checkpoint.safetensors"))
        net = train(high, guided, watched, current, report=report)
        before = current
    return net
