"""The service's own frames with the corrections of its experts, as they stand at one moment.

Labels come as JSON lines, one judgement a line: frame_id, attribute, value (present, absent,
unsure), author, person, time, proposal, scan. Frames come from the folder of blobs. The last word
of each person counts; people who differ make a label unknown. An experiment is a proposal's scan; a
frame that was sent for two of them makes one experiment of both.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from scatterlens_models.datasets.errors import RowError
from scatterlens_models.datasets.importing.rows import Row, members_of
from scatterlens_models.datasets.importing.words import VALUES, Words
from scatterlens_models.datasets.members import FrameMember, blob_path, experiment_of
from scatterlens_models.datasets.units import units
from scatterlens_models.vocabulary import Vocabulary


class _Line(BaseModel):
    frame_id: str = Field(pattern=r"^[0-9a-f]{64}(\.\d+)?$")
    attribute: str
    value: Literal["present", "absent", "unsure"]
    author: str = Field(min_length=1)
    person: str | None = None
    """Absent in exports of versions that knew people by their names."""
    time: datetime
    proposal: str | None = None
    scan: str | None = None

    @property
    def experiment(self) -> str:
        return experiment_of(self.proposal, self.scan)

    @property
    def who(self) -> str:
        return self.person or self.author


def read_snapshot(
    path: Path,
    vocabulary: Vocabulary,
    blobs: Path,
    source: str = "service",
    ignored: Collection[str] = (),
) -> list[FrameMember]:
    """Read exported labels of a service; the members are blobs, not paths.

    Raises:
        FrameVanishedError: a frame's blob is gone or damaged.
        DatasetError: a line cannot be used; the message names it.
    """
    words = Words(vocabulary, ignored)
    lines = list(_lines(path))
    experiments = _experiments([line for _, line in lines])
    names = _names([line for _, line in lines])
    rows: dict[tuple[str, str], Row] = {}
    said: dict[tuple[str, str], dict[int, tuple[datetime, int]]] = {}
    for place, line in lines:
        sha256, _, index = line.frame_id.partition(".")
        attribute = words.attribute(line.attribute, place)
        key = line.frame_id, line.who
        experiment = experiments[line.frame_id]
        file = blob_path(blobs, sha256)
        number = int(index) if index else None
        row = Row(place, file, number, {}, source, experiment, names[line.who], blob=True)
        rows.setdefault(key, row)
        judged = said.setdefault(key, {})
        if attribute is not None:
            word = line.time, VALUES[line.value]
            # A later line of the same moment is the later word.
            if attribute not in judged or word[0] >= judged[attribute][0]:
                judged[attribute] = word
    complete = [
        replace(row, judged={a: value for a, (_, value) in said[key].items()})
        for key, row in rows.items()
    ]
    return members_of(complete, vocabulary)


def _lines(path: Path) -> Iterator[tuple[str, _Line]]:
    # What is no UTF-8 is no JSON either, and is refused with its line.
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, text in enumerate(stream, start=1):
            place = f"line {number} of {path.name}"
            if not text.strip():
                continue
            try:
                line = _Line.model_validate_json(text)
            except ValidationError as error:
                fault = error.errors()[0]
                raise RowError(
                    f"{place}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}; export the"
                    " labels again"
                ) from error
            if line.time.tzinfo is None:
                raise RowError(f"{place}: the time has no zone; export the labels again")
            yield place, line


def _names(lines: list[_Line]) -> dict[str, str]:
    """What each person is called; namesakes are told apart."""
    names = {line.who: line.author for line in lines}
    shared = Counter(names.values())
    return {who: name if shared[name] == 1 else f"{name} ({who})" for who, name in names.items()}


def _experiments(lines: list[_Line]) -> dict[str, str]:
    """Name of each frame's experiment: all proposals and scans that frames tie together."""
    numbers = units([{("frame", line.frame_id), ("scan", line.experiment)} for line in lines])
    names: dict[int, set[str]] = {}
    for number, line in zip(numbers, lines, strict=True):
        names.setdefault(number, set()).add(line.experiment)
    joined = {number: " + ".join(sorted(found)) for number, found in names.items()}
    return {line.frame_id: joined[number] for number, line in zip(numbers, lines, strict=True)}
