"""VOC 2012 and COCO 2014 in the folders in which they are published, as prepared frames.

The networks of this project take frames of one value and its coverage, so photographs are turned
grey. They keep their aspect, centred; what is left of the square counts as masked.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from scatterlens_models.datasets.examples import Examples
from scatterlens_models.reproduce.material import Material, MaterialError, manifest_digest
from scatterlens_models.reproduce.scales import Scale
from scatterlens_models.vocabulary import load_vocabulary

GRID = 64
"""Side of the masks of objects, over the whole network input."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """A file with what is annotated in it."""

    path: Path
    labels: np.ndarray
    """(A,) int8: 1 present, 0 absent, -1 unsure."""
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Of objects: (y0, x0, y1, x1) in pixels of the file; empty where the data set's are unused."""


def read_voc(folder: Path) -> tuple[list[Photograph], list[Photograph]]:
    """Photographs of `train` and `val` of the folder that holds `JPEGImages`.

    An object that the annotators call difficult makes its label unsure.

    Raises:
        MaterialError: the folder holds no such lists.
    """
    ids = load_vocabulary("voc20").ids

    def part(name: str) -> list[Photograph]:
        labels: dict[str, np.ndarray] = {}
        for a, kind in enumerate(ids):
            text = _text(folder / "ImageSets" / "Main" / f"{kind}_{name}.txt")
            for image, said in map(str.split, text.splitlines()):
                row = labels.setdefault(image, np.zeros(len(ids), np.int8))
                row[a] = {"1": 1, "-1": 0, "0": -1}[said]
        return [
            Photograph(folder / "JPEGImages" / f"{image}.jpg", labels[image])
            for image in sorted(labels)
        ]

    try:
        return part("train"), part("val")
    except (ValueError, KeyError) as error:
        raise MaterialError(f"a list in {folder}/ImageSets/Main is damaged ({error})") from error


def read_coco(folder: Path) -> tuple[list[Photograph], list[Photograph]]:
    """Photographs of `train2014` and `val2014` that have any object.

    Raises:
        MaterialError: the folder lacks an annotation file, or holds one of another kind.
    """
    vocabulary = load_vocabulary("coco80")

    def part(name: str) -> list[Photograph]:
        content = json.loads(_text(folder / "annotations" / f"instances_{name}.json"))
        names = {entry["id"]: entry["name"].replace(" ", "_") for entry in content["categories"]}
        found = {
            entry["id"]: Photograph(
                folder / name / entry["file_name"], np.zeros(len(vocabulary.ids), np.int8)
            )
            for entry in content["images"]
        }
        for entry in content["annotations"]:
            photograph, (x, y, width, height) = found[entry["image_id"]], entry["bbox"]
            photograph.labels[vocabulary.index(names[entry["category_id"]])] = 1
            photograph.boxes.append((y, x, y + height, x + width))
        return [found[number] for number in sorted(found) if found[number].boxes]

    try:
        return part("train2014"), part("val2014")
    except (ValueError, KeyError, TypeError) as error:
        raise MaterialError(
            f"an annotation file in {folder}/annotations is damaged or of another kind ({error})"
        ) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise MaterialError(
            f"{path} cannot be read ({error.strerror}): give --data the folder of the data set as"
            " it is published, VOC2012 or that of COCO with `annotations`"
        ) from error


READERS = {"voc2012": ("VOC 2012", read_voc), "coco2014": ("COCO 2014", read_coco)}
"""By what `--data` is: name and reader."""


def read_photographs(kind: str, folder: Path, scale: Scale) -> Material:
    """Load as many photographs as a scale takes; the watched ones are the last of `train`.

    Raises:
        MaterialError: too few photographs, or one that cannot be read.
    """
    name, reader = READERS[kind]
    train, test = reader(folder)
    for photographs, part, needed in (
        (train, "train", scale.training + scale.watched),
        (test, "val", scale.test),
    ):
        if len(photographs) < needed:
            raise MaterialError(
                f"{folder} lists {len(photographs)} photographs in {part}, {scale.name} takes"
                f" {needed}: give the whole data set, or take a smaller --scale"
            )
    used = {
        "training": train[: scale.training],
        "watched": train[len(train) - scale.watched :],
        "test": test[: scale.test],
    }
    parts = {part: _examples(of, scale.input_size) for part, of in used.items()}
    judged = used["test"][: scale.overlays]
    objects = np.stack([_objects(photograph) for photograph in judged])
    manifest = {
        part: hashlib.sha256(
            "\n".join(f"{p.path.name} {p.labels.tolist()} {p.boxes}" for p in of).encode()
        ).hexdigest()
        for part, of in used.items()
    }
    return Material(
        f"{name} in grey",
        parts["training"],
        parts["watched"],
        parts["test"],
        evidence=None,
        digest=manifest_digest({"input_size": scale.input_size, **manifest}),
        shown=objects if objects.any() else None,
    )


def _examples(photographs: Sequence[Photograph], size: int) -> Examples:
    x = torch.zeros((len(photographs), 2, size, size), dtype=torch.float16)
    for row, photograph in zip(x, photographs, strict=True):
        grey = _grey(photograph.path, size)
        top, left = ((size - side) // 2 for side in grey.shape)
        inside = row[:, top : top + grey.shape[0], left : left + grey.shape[1]]
        inside[0], inside[1] = torch.from_numpy(grey), 1
    return Examples(x, torch.from_numpy(np.stack([p.labels for p in photographs])))


def _grey(path: Path, size: int) -> np.ndarray:
    """Luminance from 0 to 1, the longer side `size` pixels."""
    try:
        with Image.open(path, formats=("JPEG",)) as picture:
            picture.draft("L", (size, size))
            scale = size / max(picture.size)
            across, down = (max(round(side * scale), 1) for side in picture.size)
            shown = picture.convert("L").resize((across, down), Image.Resampling.BOX)
            return np.asarray(shown, np.float32) / 255
    except OSError as error:
        raise MaterialError(f"{path} cannot be read ({error}): fetch it anew") from error


def _objects(photograph: Photograph) -> np.ndarray:
    """Where objects are, bool (GRID, GRID) over the square network input."""
    mask = np.zeros((GRID, GRID), bool)
    if not photograph.boxes:
        return mask
    with Image.open(photograph.path, formats=("JPEG",)) as picture:
        width, height = picture.size
    longest = max(width, height)
    offset = np.array([longest - height, longest - width]) / 2
    centres = (np.arange(GRID) + 0.5) * longest / GRID
    for y0, x0, y1, x1 in photograph.boxes:
        rows, columns = (
            (centres - shift >= low) & (centres - shift < high)
            for shift, low, high in ((offset[0], y0, y1), (offset[1], x0, x1))
        )
        mask |= rows[:, None] & columns
    return mask
