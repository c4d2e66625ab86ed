"""The labelled real frames that this project develops on, with their halves kept apart.

The folder holds `INDEX.csv` and `LABELS.csv`. Half A may be trained on and becomes `train`; half B
judges what was trained and becomes `test`. Frames judged with low confidence are left out.
"""

import csv
from pathlib import Path

from scatterlens_models.datasets.importing.rows import Row, members_of
from scatterlens_models.datasets.members import Member, Split
from scatterlens_models.evaluation.real import read_real
from scatterlens_models.vocabulary import Vocabulary

_HALVES: dict[str, Split] = {"A": "train", "B": "test"}


def read_real_halves(folder: Path, vocabulary: Vocabulary) -> list[Member]:
    """Read the folder. A source is one experiment: the frames of a series are near-duplicates.

    Raises:
        DatasetError: a frame is gone or cannot be read.
    """
    with (folder / "INDEX.csv").open(newline="", encoding="utf-8") as stream:
        half = {row["file"]: row["half"] for row in csv.DictReader(stream)}
    rows = [
        Row(
            place=f"{frame.file} in LABELS.csv",
            file=folder / frame.file,
            index=frame.index,
            judged={a: int(v) for a, v in enumerate(frame.labels) if v >= 0},
            source=frame.source,
            experiment=frame.source,
            author="LABELS.csv",
            split=_HALVES[half[frame.file]],
        )
        for frame in read_real(folder, vocabulary)
        if frame.usable
    ]
    return members_of(rows, vocabulary)
