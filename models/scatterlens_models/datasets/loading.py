"""From a dataset to what training takes: frames decoded and prepared, recipes simulated.

Real frames go through the limited process that decodes for the service, and through the same
preparation. With a folder for it, the outcome is kept under the dataset's id and the input size,
so that the next run starts at once.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_limits

from scatterlens_models.datasets.errors import DatasetError
from scatterlens_models.datasets.manifest import Manifest
from scatterlens_models.datasets.members import FrameMember, RecipeMember, Split, of_split
from scatterlens_models.datasets.preparing import prepare_members
from scatterlens_models.preprocess import METHOD, PreprocessSpec, shrink
from scatterlens_models.synthetic.dataset import simulate
from scatterlens_models.synthetic.shards import Shards, open_shards
from scatterlens_models.training.examples import Examples


def load_dataset(
    manifest: Manifest,
    size: int,
    split: Split,
    cache: Path | None = None,
    blobs: Path | None = None,
    shards: Sequence[Path] = (),
) -> Examples:
    """Prepared frames of one split: its files in their order, then what its recipes make.

    Args:
        manifest: the dataset.
        size: side of the network input.
        split: which part.
        cache: folder that keeps what was prepared.
        blobs: folder of the blobs of a service, where members are blobs.
        shards: folders of built shards; a recipe that lies within one is read from there.

    Raises:
        FrameVanishedError: a frame is gone or is another than the one that was labelled.
        DatasetError: the split is empty, or a frame cannot be decoded.
    """
    frames, recipes = of_split(manifest.frames, split), of_split(manifest.recipes, split)
    if not frames and not recipes:
        raise DatasetError(f"nothing of the dataset is in {split}: split it first")
    weights = _weights(frames, recipes)
    kept = cache and cache / f"{manifest.id}-{split}-{size}-{METHOD}.safetensors"
    if kept and kept.exists():
        tensors = load_file(kept)
        return Examples(tensors["x"], tensors["labels"], weights)
    count = len(frames) + sum(recipe.count for recipe in recipes)
    x = torch.empty((count, 2, size, size), dtype=torch.float16)
    labels = torch.empty((count, len(manifest.vocabulary.ids)), dtype=torch.int8)
    for row, prepared in enumerate(prepare_members(frames, PreprocessSpec(size), blobs)):
        x[row] = torch.from_numpy(prepared).half()
        labels[row] = torch.tensor(frames[row].labels, dtype=torch.int8)
    start = len(frames)
    for recipe in recipes:
        stop = start + recipe.count
        _simulate(recipe, manifest.vocabulary.name, size, shards, x[start:stop], labels[start:stop])
        start = stop
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial")
        save_file({"x": x, "labels": labels}, partial)
        partial.replace(kept)
    return Examples(x, labels, weights)


def _weights(frames: Sequence[FrameMember], recipes: Sequence[RecipeMember]) -> torch.Tensor | None:
    """How often each is drawn, in the order of the examples; None where all are drawn alike."""
    each = [frame.weight for frame in frames]
    for recipe in recipes:
        each += [recipe.weight] * recipe.count
    return torch.tensor(each, dtype=torch.float64) if len(set(each)) > 1 else None


def _simulate(
    recipe: RecipeMember,
    vocabulary: str,
    size: int,
    folders: Sequence[Path],
    x: torch.Tensor,
    labels: torch.Tensor,
) -> None:
    # On matrices this small the threads of BLAS only wait for one another.
    with threadpool_limits(1, "blas"):
        for folder in folders:
            with open_shards(folder) as shards:
                first = _place(recipe, vocabulary, shards)
                if first is not None:
                    labels[:] = torch.from_numpy(shards.labels[first : first + recipe.count])
                    for row in range(recipe.count):
                        at = slice(first + row, first + row + 1)
                        x[row] = torch.from_numpy(shrink(shards.x(at)[0], size)).half()
                    return
        for row in range(recipe.count):
            index = recipe.start + row
            made = simulate(recipe.seed, index, recipe.profile, vocabulary=vocabulary)
            x[row] = torch.from_numpy(shrink(made.prepared, size)).half()
            labels[row] = torch.from_numpy(np.asarray(made.labelled.labels, np.int8))


def _place(recipe: RecipeMember, vocabulary: str, shards: Shards) -> int | None:
    """Where a recipe begins in shards that hold all of it; None in others."""
    scene = shards.scene(0)
    if (scene.profile, scene.seed, shards.vocabulary) != (recipe.profile, recipe.seed, vocabulary):
        return None
    first = recipe.start - scene.index
    return first if 0 <= first <= len(shards) - recipe.count else None
