"""What importers find, and how it becomes members: frames identified, authors brought together."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scatterlens_models.datasets.errors import FrameVanishedError, RowError
from scatterlens_models.datasets.members import FrameMember, Split
from scatterlens_models.decoding import DecodeChild, DecodeCrashed, FrameRejected
from scatterlens_models.vocabulary import Vocabulary


@dataclass(frozen=True)
class Origin:
    """What a file of labels leaves unsaid of its frames."""

    source: str
    experiment: str | None
    """Where None, each source is one experiment: near-duplicates are then never parted."""
    author: str


@dataclass(frozen=True)
class Row:
    """One author's judgement of one frame, as a file of labels states it."""

    place: str
    """Where it stands, for messages: `row 7 of labels.csv`."""
    file: Path
    index: int | None
    """Place inside a stack; None for a file of one image."""
    judged: Mapping[int, int]
    """1 present, 0 absent, -1 unsure, by position; what is not in it was not judged."""
    source: str
    experiment: str
    author: str
    split: Split | None = None
    weight: float = 1.0
    blob: bool = False
    """The file is kept by a service under its sha256, and the member names no path."""


def origin_of(path: Path) -> Origin:
    """What is assumed where nothing is said: a source named like the file."""
    return Origin(path.stem, None, "unknown")


def members_of(rows: Iterable[Row], vocabulary: Vocabulary) -> list[FrameMember]:
    """Identify the frames of rows, and join the judgements of several authors.

    Raises:
        FrameVanishedError: a file is not there.
        RowError: a file is no frame, or rows of one frame contradict one another.
    """
    found: dict[str, list[Row]] = {}
    digests: dict[Path, str] = {}
    counts: dict[Path, int] = {}
    with DecodeChild() as child:
        for row in rows:
            if row.file not in digests:
                digests[row.file], counts[row.file] = _look(row, child)
            if row.blob and digests[row.file] != row.file.name:
                raise FrameVanishedError(
                    f"{row.place}: the blob {row.file} now hashes to {digests[row.file]}: have the"
                    " frame sent again"
                )
            frame_id = _frame_id(row, digests[row.file], counts[row.file])
            found.setdefault(frame_id, []).append(row)
    if not found:
        raise RowError("no labelled frame was found: look whether this is the right file")
    return [_member(frame_id, rows, vocabulary) for frame_id, rows in found.items()]


def consensus(judged: Sequence[Mapping[int, int]], attributes: int) -> tuple[int, ...]:
    """Labels on which all who judged agree; -1 where they do not, or nobody judged."""
    said = [{one[a] for one in judged if a in one} for a in range(attributes)]
    return tuple(values.pop() if len(values) == 1 else -1 for values in said)


def _look(row: Row, child: DecodeChild) -> tuple[str, int]:
    """Digest of a row's file, and how many images are in it."""
    try:
        with row.file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return digest, child.probe(row.file).frames
    except FileNotFoundError:
        raise FrameVanishedError(
            f"{row.place}: there is no frame {row.file}: put it there, name the folder of the"
            " frames, or remove the entry"
        ) from None
    except (OSError, FrameRejected, DecodeCrashed) as error:
        raise RowError(f"{row.place}: {row.file} is no readable frame: {error}") from error


def _frame_id(row: Row, digest: str, frames: int) -> str:
    if frames == 1:
        if row.index not in (None, 0):
            raise RowError(f"{row.place}: {row.file} holds one image, there is no {row.index}")
        return digest
    if row.index is None or not 0 <= row.index < frames:
        raise RowError(
            f"{row.place}: {row.file} is a stack: say which frame the labels speak of, 0 to"
            f" {frames - 1}" + ("" if row.index is None else f", not {row.index}")
        )
    return f"{digest}.{row.index}"


def _member(frame_id: str, rows: Sequence[Row], vocabulary: Vocabulary) -> FrameMember:
    first = rows[0]
    for row in rows[1:]:
        for name in ("source", "experiment", "split", "weight"):
            if getattr(row, name) != getattr(first, name):
                raise RowError(
                    f"{first.place} and {row.place} are the same frame but give it the {name}s"
                    f" {getattr(first, name)} and {getattr(row, name)}: correct one of them"
                )
    authors = [row.author for row in rows]
    if len(set(authors)) < len(authors):
        places = " and ".join(row.place for row in rows)
        raise RowError(
            f"{places} are the same frame, judged twice by one author: keep one of them, or name"
            " the authors"
        )
    return FrameMember(
        frame_id,
        None if first.blob else first.file,
        consensus([row.judged for row in rows], len(vocabulary.ids)),
        first.source,
        first.experiment,
        " + ".join(sorted(authors)),
        first.split,
        first.weight,
    )
