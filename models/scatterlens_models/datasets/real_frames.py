"""A folder of real frames: `INDEX.csv` (file, source, half, frame, ...) and `LABELS.csv` (file,
labels, confidence).
"""

import csv
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scatterlens_models.decoding import DecodeChild, FrameRejected
from scatterlens_models.frame import Frame
from scatterlens_models.vocabulary import Vocabulary

USABLE = ("high", "medium")


@dataclass(frozen=True, eq=False)
class RealFrame:
    """One labelled frame of a real detector."""

    file: str
    source: str
    index: int
    usable: bool
    """Judged with high or medium confidence."""
    labels: np.ndarray
    """(A,) 1 seen, 0 not seen, -1 not judged."""


def read_rules() -> dict:
    """How words become labels, and of which attributes figures are told."""
    path = Path(__file__).with_name("real_labels.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def labels_from_words(words: set[str], vocabulary: Vocabulary) -> np.ndarray:
    """Labels (A,) of one frame from the words of its row."""
    rules = read_rules()
    labels = np.full(len(vocabulary.ids), -1, dtype=np.int8)
    unjudged = {a for word, ids in rules["unjudged_with"].items() if word in words for a in ids}
    for attribute, word in rules["judged"].items():
        if attribute not in unjudged:
            labels[vocabulary.index(attribute)] = int(word in words)
    for attribute, needed in rules["together"].items():
        if words.issuperset(needed):
            labels[vocabulary.index(attribute)] = 1
    return labels


def read_real(folder: Path, vocabulary: Vocabulary) -> list[RealFrame]:
    """All frames of a folder's index with their labels."""
    with (folder / "LABELS.csv").open(newline="", encoding="utf-8") as stream:
        judged = {row["file"]: row for row in csv.DictReader(stream)}
    with (folder / "INDEX.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [
        RealFrame(
            row["file"],
            row["source"],
            int(row["frame"]),
            judged[row["file"]]["confidence"] in USABLE,
            labels_from_words(set(judged[row["file"]]["labels"].split(";")), vocabulary),
        )
        for row in rows
    ]


def decode_all(folder: Path, frames: list[RealFrame]) -> list[Frame]:
    """Decode every frame; `ValueError` names one that its reader refuses."""
    decoded = []
    with DecodeChild() as child:
        for frame in frames:
            try:
                decoded.append(child.decode(folder / frame.file, frame.index))
            except FrameRejected as refusal:
                raise ValueError(f"{frame.file} cannot be evaluated: {refusal}") from refusal
    return decoded
