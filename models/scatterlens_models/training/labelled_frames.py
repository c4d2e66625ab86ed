"""Labelled frames of a beamline: a table of files and labels, and the frames it names.

The table is CSV: a column `file` (relative to the folder of frames), if need be a column `frame`
(index inside a stack, 0 without it), then one column for each attribute that was judged, by its
id. A cell is 1 (present), 0 (absent) or empty (not judged).
"""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scatterlens_models.decoding import DecodeChild, DecodeCrashed, FrameRejected
from scatterlens_models.preprocess import PreprocessSpec, prepare
from scatterlens_models.vocabulary import Vocabulary

_CELLS = {"1": 1, "0": 0, "": -1}


class LabelsError(ValueError):
    """A table of labels that cannot be used; the message names the line and the remedy."""


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """One row of the table."""

    file: str
    index: int
    """Inside a stack."""
    labels: np.ndarray
    """(A,) int8: 1 present, 0 absent, -1 not judged."""


@dataclass(frozen=True, eq=False)
class PreparedFrames:
    """What a bundle learns from."""

    x: np.ndarray
    """(N, 2, S, S) float32."""
    labels: np.ndarray
    """(N, A) int8."""
    ids: tuple[str, ...]
    """Frame ids: sha256 of the file, with the index inside a stack."""


def read_labels(path: Path, vocabulary: Vocabulary) -> list[LabelledFrame]:
    """Read the table.

    Raises:
        LabelsError: no column `file`, an attribute that the vocabulary lacks, a cell that is no
            label, a frame named twice, or a table without a positive label.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsError(f"{path} cannot be read: {error}") from error
    if "file" not in columns:
        raise LabelsError(f"{path} has no column 'file': begin its first line with it")
    named = [name for name in columns if name not in ("file", "frame")]
    if unknown := [name for name in named if name not in vocabulary.ids]:
        raise LabelsError(
            f"{path} has columns that are no attributes of {vocabulary.name}:"
            f" {', '.join(unknown)}; it has {', '.join(vocabulary.ids)}"
        )
    if len(set(columns)) < len(columns):
        raise LabelsError(f"{path} has a column twice: keep one of them")
    found = [_read_row(row, named, vocabulary, f"{path}, row {n}") for n, row in enumerate(rows, 1)]
    seen: set[tuple[str, int]] = set()
    for frame in found:
        if (frame.file, frame.index) in seen:
            raise LabelsError(f"{path} names frame {frame.index} of {frame.file} twice")
        seen.add((frame.file, frame.index))
    if not any((frame.labels == 1).any() for frame in found):
        raise LabelsError(
            f"{path} calls no attribute present (1) in any frame: label some that show it"
        )
    return found


def _read_row(
    row: dict[str, str | None], named: list[str], vocabulary: Vocabulary, where: str
) -> LabelledFrame:
    if None in row:  # where the reader puts what has no column
        raise LabelsError(f"{where}: has more cells than the first line")
    labels = np.full(len(vocabulary.ids), -1, np.int8)
    for name in named:
        cell = (row[name] or "").strip()
        if cell not in _CELLS:
            raise LabelsError(f"{where}: {name} is {cell!r}; write 1, 0 or nothing")
        labels[vocabulary.index(name)] = _CELLS[cell]
    file, index = (row["file"] or "").strip(), (row.get("frame") or "0").strip() or "0"
    if not file:
        raise LabelsError(f"{where}: names no file")
    if not index.isdecimal():
        raise LabelsError(f"{where}: frame is {index!r}; count the frames of a stack from 0")
    return LabelledFrame(file, int(index), labels)


def prepare_frames(
    folder: Path, frames: list[LabelledFrame], spec: PreprocessSpec
) -> PreparedFrames:
    """Decode and prepare every frame of a table.

    Raises:
        LabelsError: a file that is not there, or that its reader refuses; all missing are named.
    """
    if missing := sorted({frame.file for frame in frames if not (folder / frame.file).is_file()}):
        raise LabelsError(
            f"{folder} lacks {len(missing)} of the labelled files: {', '.join(missing[:5])}"
            f"{' ...' if len(missing) > 5 else ''}; put them there or delete their rows"
        )
    x, ids = [], []
    with DecodeChild() as child:
        for frame in frames:
            path = folder / frame.file
            try:
                with path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                stack = child.probe(path).frames > 1
                x.append(prepare(child.decode(path, frame.index), spec)[0])
            except (FrameRejected, DecodeCrashed, OSError) as error:
                raise LabelsError(
                    f"frame {frame.index} of {frame.file} cannot be read: {error}; delete its row"
                    " or replace the file"
                ) from error
            ids.append(f"{digest}.{frame.index}" if stack else digest)
    return PreparedFrames(np.stack(x), np.stack([f.labels for f in frames]), tuple(ids))
