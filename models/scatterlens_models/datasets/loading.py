"""From a dataset to what training takes: frames decoded and prepared, recipes simulated.

Real frames go through the limited process that decodes for the service, and through the same
preparation. With a folder for it, the outcome is kept under the dataset's id and the input size,
so that the next run starts at once.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from threadpoolctl import threadpool_limits

from scatterlens_models.datasets.errors import DatasetError
from scatterlens_models.datasets.examples import EVIDENCE_SIDE, Examples, pool_evidence
from scatterlens_models.datasets.manifest import Manifest
from scatterlens_models.datasets.members import FrameMember, RecipeMember, Split, of_split
from scatterlens_models.datasets.preparing import prepare_members
from scatterlens_models.preprocess import METHOD, PreprocessSpec, shrink
from scatterlens_models.synthetic.dataset import simulate
from scatterlens_models.synthetic.shards import Shards, open_shards

_log = logging.getLogger(__name__)


def load_dataset(
    manifest: Manifest,
    size: int,
    split: Split,
    cache: Path | None = None,
    blobs: Path | None = None,
    shards: Sequence[Path] = (),
    report: Callable[[int, int], None] = lambda done, count: None,
    evidence: bool = False,
) -> Examples:
    """Prepared frames of one split: its files in their order, then what its recipes make.

    Args:
        manifest: the dataset.
        size: side of the network input.
        split: which part.
        cache: folder that keeps what was prepared.
        blobs: folder of the blobs of a service, where members are blobs.
        shards: folders of built shards; a recipe that lies within one is read from there.
        report: called with how many frames of how many are prepared.
        evidence: keep where labels are true, too; of real frames nobody knows it (all zero).

    Raises:
        FrameVanishedError: a frame is gone or is another than the one that was labelled.
        DatasetError: the split is empty, or a frame cannot be decoded.
    """
    frames, recipes = of_split(manifest.frames, split), of_split(manifest.recipes, split)
    if not frames and not recipes:
        raise DatasetError(f"nothing of the dataset is in {split}: split it first")
    weights = _weights(frames, recipes)
    asked = "-evidence" if evidence else ""
    kept = cache and cache / f"{manifest.id}-{split}-{size}-{METHOD}{asked}.safetensors"
    if kept and (tensors := _kept(kept)):
        return Examples(weights=weights, **tensors)
    count = len(frames) + sum(recipe.count for recipe in recipes)
    attributes, side = len(manifest.vocabulary.ids), EVIDENCE_SIDE
    x = torch.empty((count, 2, size, size), dtype=torch.float16)
    labels = torch.empty((count, attributes), dtype=torch.int8)
    found = torch.zeros((count, attributes, side, side), dtype=torch.uint8) if evidence else None
    for row, prepared in enumerate(prepare_members(frames, PreprocessSpec(size), blobs)):
        x[row] = torch.from_numpy(prepared).half()
        labels[row] = torch.tensor(frames[row].labels, dtype=torch.int8)
        report(row + 1, count)
    start = len(frames)
    for recipe in recipes:
        rows = slice(start, start + recipe.count)
        part = Examples(x[rows], labels[rows], evidence=None if found is None else found[rows])
        for done in _simulate(recipe, manifest.vocabulary.name, shards, part):
            report(start + done, count)
        start += recipe.count
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial")
        made = {"x": x, "labels": labels} | ({} if found is None else {"evidence": found})
        save_file(made, partial)
        partial.replace(kept)
    return Examples(x, labels, weights, found)


def _kept(path: Path) -> dict[str, torch.Tensor] | None:
    """What was prepared before; None where it was not, or the disk damaged it."""
    try:
        return load_file(path) if path.exists() else None
    except SafetensorError as error:
        _log.warning("%s is damaged (%s) and made again", path, error)
        return None


def _weights(frames: Sequence[FrameMember], recipes: Sequence[RecipeMember]) -> torch.Tensor | None:
    """How often each is drawn, in the order of the examples; None where all are drawn alike."""
    each = [frame.weight for frame in frames]
    for recipe in recipes:
        each += [recipe.weight] * recipe.count
    return torch.tensor(each, dtype=torch.float64) if len(set(each)) > 1 else None


def _simulate(
    recipe: RecipeMember, vocabulary: str, folders: Sequence[Path], part: Examples
) -> Iterator[int]:
    """Fill in the frames of a recipe; yields how many are made."""
    size = part.x.shape[-1]
    # On matrices this small the threads of BLAS only wait for one another.
    with threadpool_limits(1, "blas"):
        for folder in folders:
            with open_shards(folder) as shards:
                first = _place(recipe, vocabulary, shards)
                if first is not None:
                    labels = shards.labels[first : first + recipe.count]
                    part.labels[:] = torch.from_numpy(labels)
                    for row in range(recipe.count):
                        at = slice(first + row, first + row + 1)
                        part.x[row] = torch.from_numpy(shrink(shards.x(at)[0], size)).half()
                        if part.evidence is not None:
                            part.evidence[row] = pool_evidence(shards.evidence(at))[0]
                        yield row + 1
                    return
        for row in range(recipe.count):
            index = recipe.start + row
            made = simulate(recipe.seed, index, recipe.profile, vocabulary=vocabulary)
            part.x[row] = torch.from_numpy(shrink(made.prepared, size)).half()
            part.labels[row] = torch.from_numpy(np.asarray(made.labelled.labels, np.int8))
            if part.evidence is not None:
                part.evidence[row] = pool_evidence(made.labelled.evidence[np.newaxis])[0]
            yield row + 1


def _place(recipe: RecipeMember, vocabulary: str, shards: Shards) -> int | None:
    """Where a recipe begins in shards that hold all of it; None in others."""
    scene = shards.scene(0)
    if (scene.profile, scene.seed, shards.vocabulary) != (recipe.profile, recipe.seed, vocabulary):
        return None
    first = recipe.start - scene.index
    return first if 0 <= first <= len(shards) - recipe.count else None
