"""The labelled real frames that this project develops on, with their halves kept apart.

The folder holds `INDEX.csv` and `LABELS.csv`. Half A may be trained on and becomes `train`; half B
judges what was trained and becomes `test`. Frames judged with low confidence are left out.
"""

import csv
from pathlib import Path

from scatterlens_models.datasets.errors import ForeignLabelError, RowError
from scatterlens_models.datasets.importing.rows import Row, members_of
from scatterlens_models.datasets.members import FrameMember, Split
from scatterlens_models.datasets.real_frames import read_real
from scatterlens_models.vocabulary import Vocabulary

_HALVES: dict[str, Split] = {"A": "train", "B": "test"}


def read_real_halves(folder: Path, vocabulary: Vocabulary) -> list[FrameMember]:
    """Read the folder. A source is one experiment: the frames of a series are near-duplicates.

    Raises:
        DatasetError: no such folder, another vocabulary, or a frame that is gone or unreadable.
    """
    try:
        with (folder / "INDEX.csv").open(newline="", encoding="utf-8") as stream:
            half = {row["file"]: row["half"] for row in csv.DictReader(stream)}
        frames = read_real(folder, vocabulary)
    except FileNotFoundError as error:
        raise RowError(f"{error.filename} is not there: name the folder that holds it") from None
    except ValueError as error:
        raise ForeignLabelError(f"{error}: the real frames were judged for aam20") from error
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
        for frame in frames
        if frame.usable
    ]
    return members_of(rows, vocabulary)
