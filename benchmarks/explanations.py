"""One sheet: six simulated and six real frames as every method explains them.

    python benchmarks/explanations.py --runs runs/learning --shards data/bench-v1 --real DIR \
        --out explanations.jpg

Takes the trained networks of `benchmarks/learning.py`, exports a bundle of each with its second
graph, and draws what `scatterlens explain` draws. Each row is one frame and one attribute that is
present in it; beside simulated frames stands the evidence that the simulator knows.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from scatterlens_models.annotate import annotate_frames
from scatterlens_models.bundle import Bundle, find_bundle, load_bundle
from scatterlens_models.datasets.examples import load_examples
from scatterlens_models.datasets.real_frames import decode_all, read_real
from scatterlens_models.decoding import DecodeChild
from scatterlens_models.evaluation.pointing import evidence_mask
from scatterlens_models.evaluation.sheet import choose, log_picture
from scatterlens_models.evaluation.strata import HARD
from scatterlens_models.explanations import EvidenceMap, evidence_maps
from scatterlens_models.frame import Frame
from scatterlens_models.nets import build
from scatterlens_models.overlay import overlay
from scatterlens_models.preprocess import prepare
from scatterlens_models.session import ModelSession
from scatterlens_models.synthetic.dataset import SPLITS, open_shards, simulate
from scatterlens_models.synthetic.detectors import DETECTORS
from scatterlens_models.synthetic.frames import write_frames
from scatterlens_models.training.checkpoint import load_weights
from scatterlens_models.training.export import export
from scatterlens_models.training.recipe import read_recipe
from scatterlens_models.vocabulary import load_vocabulary

SHIPPED = "slim-aam"
COLUMNS = (
    (SHIPPED, "cam"),
    (SHIPPED, "attention"),
    ("vgg11", "cam"),
    ("vgg11", "gradcam"),
    ("vgg11", "a_ch"),
    ("vgg11", "a_px"),
    ("loss_attention_vgg11", "cam"),
    ("loss_attention_vgg11", "patch"),
    ("maap_vgg11", "cam"),
    ("maap_vgg11", "attention"),
    ("icasc_vgg11", "cam"),
    ("icasc_vgg11", "a_ch"),
)
"""Bundle and method of each column."""
BLOCK = "block3"
"""Whose branch of an attribute's group is shown, of the attentional aggregation modules."""
SHOWN = ("ring", "halo", "symmetry_6", "spotted", "diffuse_low_q", "textured")
"""Attribute of each simulated frame."""
CLEAR = HARD
"""Detectability d' that it has at least: what the benchmark does not count as hard."""
STRIDE = 17
"""Fifty neighbours of the benchmark share an instrument: such steps see many of them."""
FRAMES = 6


@dataclass(frozen=True, eq=False)
class Case:
    """One row of the sheet."""

    title: str
    frame: Frame
    attribute: str
    evidence: np.ndarray | None
    """(32, 32) bool on the square of the prepared frame, where the simulator knows it."""


def squarish(shape: Sequence[int]) -> bool:
    """Whether a frame fits its panel: long strips would show next to nothing there."""
    return max(shape) < 1.7 * min(shape)


def simulated(count: int) -> Iterator[Case]:
    """A clear test frame of each attribute, written as CBF and read like any other."""
    split, vocabulary = SPLITS["bench-v1/test"], load_vocabulary("aam20")
    numbers = iter(range(split.start, split.start + split.frames, STRIDE))
    for attribute in SHOWN[:count]:
        a = vocabulary.index(attribute)
        for number in numbers:
            made = simulate(split.seed, number)
            visible = made.labelled.labels[a] == 1 and made.labelled.dprime[a] >= CLEAR
            if visible and squarish(DETECTORS[made.scene.instrument.detector].shape):
                break
        else:
            raise ValueError(f"no clear frame of {attribute} in {split.name}")
        with tempfile.TemporaryDirectory() as folder, DecodeChild() as child:
            (path,) = write_frames(Path(folder), split.seed, range(number, number + 1), "cbf")
            frame = child.decode(path)
        mask = evidence_mask(made.labelled.evidence[a])
        yield Case(f"simulated {number}", frame, attribute, mask)


def real(folder: Path, count: int) -> Iterator[Case]:
    """Labelled frames, sources in turn, with an attribute that an eye saw; other ones first."""
    vocabulary = load_vocabulary("aam20")
    frames = choose(read_real(folder, vocabulary), 10 * count)
    drawn: list[int] = []
    for one, frame in zip(frames, decode_all(folder, frames), strict=True):
        if not squarish(frame.image.shape):
            continue
        if len(drawn) == count:
            return
        seen = [int(a) for a in np.flatnonzero(one.labels == 1)]
        attribute = min(seen, key=drawn.count)
        drawn.append(attribute)
        yield Case(one.file[-30:], frame, vocabulary.ids[attribute], None)


def bundle_of(name: str, runs: Path, shards: Path) -> Bundle:
    """The shipped bundle, or that of a run, exported with gradients when it is first needed."""
    if name == SHIPPED:
        return load_bundle(find_bundle(name))
    folder = runs / name / "bundle"
    if folder.exists():
        return load_bundle(folder)
    trained = runs / name
    if not (trained / "checkpoint.safetensors").exists():
        trained = max(trained.glob("high*"))  # of alternate training, the last phase
    recipe = read_recipe(trained / "recipe.json")
    net = build(recipe.method, load_vocabulary("aam20"), recipe.width, poolings=recipe.poolings)
    load_weights(trained / "checkpoint.safetensors", net)
    with open_shards(shards / "validation") as opened:
        validation = load_examples(opened, recipe.input_size)
    said = {"training": f"{recipe.passes} passes of 2,000 frames of bench-v1/train, simulated"}
    return export(net.eval(), recipe, validation, folder, name, said, gradients=True)


def shown(case: Case, bundle: Bundle, method: str) -> EvidenceMap:
    """The map that stands in a cell of the sheet."""
    (found,) = annotate_frames([case.frame], ModelSession(bundle))
    maps = list(evidence_maps(case.frame, found, bundle, method, [case.attribute]))
    if len(maps) == 1:
        return maps[0]
    group = next(a.group for a in bundle.vocabulary.attributes if a.id == case.attribute)
    return next(one for one in maps if one.name == f"{BLOCK}.{group}")


def draw(cases: Sequence[Case], bundles: dict[str, Bundle], path: Path) -> None:
    """Write the sheet."""
    figure = Figure(figsize=(1.75 * (2 + len(COLUMNS)), 1.95 * len(cases)), layout="constrained")
    axes = figure.subplots(len(cases), 2 + len(COLUMNS), squeeze=False)
    for row, case in zip(axes, cases, strict=True):
        picture = log_picture(case.frame)
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.imshow(picture, cmap="gray_r", interpolation="nearest")
        row[0].set_ylabel(f"{case.title}\n{case.attribute}", fontsize=6)
        if case.evidence is None:
            row[1].set_visible(False)
        else:
            _, placement = prepare(case.frame, bundles[SHIPPED].preprocess)
            inside = overlay(case.evidence.astype(np.float32), placement, case.frame.mask)
            lay(row[1], inside, "Blues")
        for axis, (name, method) in zip(row[2:], COLUMNS, strict=True):
            found = shown(case, bundles[name], method)
            strength = (found.values - found.dark) / max(found.full_colour - found.dark, 1e-12)
            lay(axis, strength, "inferno")
            if found.probability is not None:
                axis.set_xlabel(f"p = {found.probability:.2f}", fontsize=6, labelpad=1)
        print(case.title, flush=True)
    for axis, text in zip(axes[0], ("frame", "evidence"), strict=False):
        axis.set_title(text, fontsize=7)
    for axis, (name, method) in zip(axes[0, 2:], COLUMNS, strict=True):
        axis.set_title(f"{name}\n{method}", fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


def lay(axis, strength: np.ndarray, colours: str) -> None:
    """Draw a map of 0 to 1 over a frame, the fainter the less there is of it."""
    visible = np.clip(np.nan_to_num(strength), 0, 1)
    axis.imshow(visible, cmap=colours, vmin=0, vmax=1, alpha=0.75 * visible**0.5)


def main() -> None:
    """Export what is missing and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--real", type=Path, help="folder of labelled real frames")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    names = dict.fromkeys(name for name, _ in COLUMNS)
    bundles = {name: bundle_of(name, asked.runs, asked.shards) for name in names}
    cases = [*simulated(FRAMES), *(real(asked.real, FRAMES) if asked.real else ())]
    draw(cases, bundles, asked.out)


if __name__ == "__main__":
    main()
