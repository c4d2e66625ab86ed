"""Labels in a CSV or JSON file beside a folder of frames.

A CSV file has a column `file`, may have `frame` (place inside a stack), `source`, `experiment`,
`author`, `split` and `weight`, and states labels in either way or both:

- a column for each attribute, with `present`, `absent`, `unsure`, or nothing where not judged;
- columns `present` and `absent` with names of attributes, separated by semicolons.

A JSON file is a list of objects of the same fields; its labels are an object `labels` of values
by attribute, or lists `present` and `absent`.
"""

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from scatterlens_models.datasets.errors import ForeignLabelError, RowError
from scatterlens_models.datasets.importing.rows import Origin, Row, members_of, origin_of
from scatterlens_models.datasets.importing.words import Words
from scatterlens_models.datasets.members import SPLITS, FrameMember, Split
from scatterlens_models.vocabulary import Vocabulary

FIELDS = ("file", "frame", "source", "experiment", "author", "split", "weight")
_LISTS = ("present", "absent")


def read_csv(
    path: Path,
    vocabulary: Vocabulary,
    frames: Path | None = None,
    origin: Origin | None = None,
    ignored: Collection[str] = (),
) -> list[FrameMember]:
    """Read a CSV file; the names in its column `file` are taken from the folder `frames`.

    Raises:
        DatasetError: a row cannot become a member; the message names row and remedy.
    """
    words = Words(vocabulary, ignored)
    folder, origin = frames or path.parent, origin or origin_of(path)
    table = csv.DictReader(io.StringIO(_text(path), newline=""))
    try:
        heads = [head.strip() for head in table.fieldnames or []]
        if twice := [head for head in dict.fromkeys(heads) if heads.count(head) > 1]:
            raise RowError(f"{path} has the column {twice[0]!r} twice: keep one of them")
        table.fieldnames = heads
        columns = [head for head in heads if head not in (*FIELDS, *_LISTS)]
        words.attributes(columns, f"the columns of {path.name}")
        rows = list(_csv_rows(table, columns, words, path.name, folder, origin))
    except csv.Error as error:
        raise RowError(f"{path} is no table ({error}): save it as CSV again") from error
    return members_of(rows, vocabulary)


def read_json(
    path: Path,
    vocabulary: Vocabulary,
    frames: Path | None = None,
    origin: Origin | None = None,
    ignored: Collection[str] = (),
) -> list[FrameMember]:
    """Read a JSON file; the names in its fields `file` are taken from the folder `frames`.

    Raises:
        DatasetError: an entry cannot become a member; the message names entry and remedy.
    """
    words = Words(vocabulary, ignored)
    folder, origin = frames or path.parent, origin or origin_of(path)
    entries = load_json(path)
    if not isinstance(entries, list):
        raise RowError(f"{path} is to be a list of objects with `file` and `labels`")
    rows = list(_json_rows(entries, words, path.name, folder, origin))
    return members_of(rows, vocabulary)


def load_json(path: Path) -> Any:
    """Content of a JSON file; `RowError` says where it is broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RowError(f"{path} is no JSON ({error}): export it again") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RowError(f"{path} is no text in UTF-8 ({error}): save it as such") from error


def row(
    said: Mapping[str, Any], place: str, judged: Mapping[int, int], frames: Path, origin: Origin
) -> Row:
    """Row of an entry's fields; what it does not say is taken from `origin`.

    Raises:
        RowError: a field is missing or is not what it should be.
    """
    if not said.get("file"):
        raise RowError(f"{place} names no file: give it a field `file`")
    source = str(said.get("source") or origin.source)
    weight = _number(said, "weight", place, float)
    return Row(
        place=place,
        file=frames / str(said["file"]),
        index=_number(said, "frame", place, int),
        judged=judged,
        source=source,
        experiment=str(said.get("experiment") or origin.experiment or source),
        author=str(said.get("author") or origin.author),
        split=_split(said.get("split"), place),
        weight=1.0 if weight is None else weight,
    )


def _csv_rows(
    table: csv.DictReader,
    columns: list[str],
    words: Words,
    name: str,
    frames: Path,
    origin: Origin,
) -> Iterator[Row]:
    for entry in table:
        place = f"row {table.line_num} of {name}"
        if None in entry or None in entry.values():
            raise RowError(f"{place} has more or fewer cells than the table has columns")
        entry = {head: cell.strip() for head, cell in entry.items()}
        lists = {key: (entry.get(key) or "").split(";") for key in _LISTS}
        judged = _judged({c: entry[c] for c in columns}, lists, words, place)
        yield row(entry, place, judged, frames, origin)


def _json_rows(
    entries: list[Any], words: Words, name: str, frames: Path, origin: Origin
) -> Iterator[Row]:
    for number, entry in enumerate(entries):
        place = f"entry {number} of {name}"
        strange = set(entry) - {*FIELDS, *_LISTS, "labels"} if isinstance(entry, dict) else {"?"}
        if strange:
            raise RowError(
                f"{place} is to be an object of {', '.join(FIELDS)}, labels, present and absent;"
                f" it has {', '.join(sorted(strange))}"
            )
        lists = {key: entry.get(key) or [] for key in _LISTS}
        judged = _judged(entry.get("labels") or {}, lists, words, place)
        yield row(entry, place, judged, frames, origin)


def _judged(
    values: Mapping[str, Any], lists: Mapping[str, list[str]], words: Words, place: str
) -> dict[int, int]:
    judged = words.judgements(values, place)
    for key, value in zip(_LISTS, (1, 0), strict=True):
        for index in words.attributes([name for name in lists[key] if name.strip()], place):
            if judged.setdefault(index, value) != value:
                raise ForeignLabelError(
                    f"{place} says two things of {words.vocabulary.ids[index]}: keep one"
                )
    return judged


def _number(said: Mapping[str, Any], field: str, place: str, kind: type) -> Any:
    text = said.get(field)
    if text in (None, ""):
        return None
    try:
        return kind(text)
    except (TypeError, ValueError):
        raise RowError(f"{place}: {field} is {text!r}, it is to be a number") from None


def _split(text: Any, place: str) -> Split | None:
    if text in (None, ""):
        return None
    for split in SPLITS:
        if text == split:
            return split
    raise RowError(f"{place}: there is no split {text!r}; use {', '.join(SPLITS)}, or leave it out")
