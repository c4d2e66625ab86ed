"""The file that is a dataset: JSON lines, a header and then a member a line, never edited.

Lines rather than one document: a member can be found, counted and compared with the tools that
every system has, and a long dataset is read as it comes. The header names the vocabulary in full
and holds the sha256 of everything else in the file, which is the dataset's id: an edited file is
refused, and what a model was trained on can be told by one word.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from scatterlens_models.datasets.checks import Apart, refuse_faults
from scatterlens_models.datasets.errors import (
    BrokenManifestError,
    DatasetError,
    MixedVocabulariesError,
)
from scatterlens_models.datasets.members import FrameMember, Member, RecipeMember, Split
from scatterlens_models.vocabulary import Vocabulary, load_vocabulary

FORMAT = "scatterlens-dataset-1"

_Text = Annotated[str, Field(min_length=1)]


class _Named(BaseModel, extra="forbid"):
    name: str
    ids: list[str]


class _Header(BaseModel, extra="forbid"):
    format: Literal["scatterlens-dataset-1"]
    vocabulary: _Named
    apart: Apart
    id: str


class _FrameLine(BaseModel, extra="forbid"):
    frame_id: Annotated[str, Field(pattern=r"^[0-9a-f]{64}(\.\d+)?$")]
    path: str | None
    labels: list[Literal[1, 0, -1]]
    source: _Text
    experiment: _Text
    author: str
    split: Split | None
    weight: float

    def member(self, folder: Path) -> FrameMember:
        path = self.path and Path(os.path.normpath(folder / self.path))
        return FrameMember(**{**self.model_dump(), "path": path, "labels": tuple(self.labels)})


class _RecipeLine(BaseModel, extra="forbid"):
    profile: Literal["realistic", "paper"]
    seed: Annotated[int, Field(ge=0)]
    start: Annotated[int, Field(ge=0)]
    count: Annotated[int, Field(ge=1)]
    split: Split
    weight: float

    def member(self, folder: Path) -> RecipeMember:
        return RecipeMember(**self.model_dump())


_LINE: TypeAdapter[_FrameLine | _RecipeLine] = TypeAdapter(_FrameLine | _RecipeLine)


@dataclass(frozen=True)
class Manifest:
    """A dataset that was read and found sound."""

    id: str
    """sha256 of its content."""
    vocabulary: Vocabulary
    apart: Apart
    """What its splits never share."""
    members: tuple[Member, ...]

    @property
    def frames(self) -> list[FrameMember]:
        """Members that are files."""
        return [member for member in self.members if isinstance(member, FrameMember)]

    @property
    def recipes(self) -> list[RecipeMember]:
        """Members that are simulated."""
        return [member for member in self.members if isinstance(member, RecipeMember)]


def write_manifest(
    path: Path, vocabulary: Vocabulary, members: Iterable[Member], apart: Apart = "source"
) -> Manifest:
    """Write a dataset to a new file; paths in it are relative to its folder.

    Raises:
        DatasetError: the members may not stand together, or the file exists.
    """
    members = tuple(members)
    refuse_faults(members, vocabulary, apart)
    folder = path.resolve().parent
    lines = [json.dumps(_content(member, folder), ensure_ascii=False) for member in members]
    try:
        for line in lines:
            _LINE.validate_json(line)
    except ValidationError as error:
        raise DatasetError(f"a member cannot be written: {_first(error)}") from error
    named = {"name": vocabulary.name, "ids": list(vocabulary.ids)}
    header: dict[str, Any] = {"format": FORMAT, "vocabulary": named, "apart": apart}
    digest = _digest(header, lines)
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join([json.dumps(header | {"id": digest}), *lines]) + "\n"
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise DatasetError(f"{path} exists and is never edited: choose another name") from None
    except OSError:  # a full disk, for one; what a kill leaves is refused by its hash
        path.unlink(missing_ok=True)
        raise
    return Manifest(digest, vocabulary, apart, members)


def read_manifest(path: Path) -> Manifest:
    """Read a dataset and check all of it but the frames themselves.

    Raises:
        BrokenManifestError: not what was written.
        MixedVocabulariesError: its vocabulary is another than the one of that name here.
        LeakageError: its splits share what they must not.
    """
    try:
        first, *lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        header = _Header.model_validate_json(first)
    except (UnicodeDecodeError, ValidationError) as error:
        raise BrokenManifestError(
            f"{path} is no dataset of this version: make it by `scatterlens datasets import`"
        ) from error
    if _digest(header.model_dump(exclude={"id"}), lines) != header.id:
        raise BrokenManifestError(
            f"{path} is not what was written under the id {header.id[:12]}: take the original, or"
            " write a changed dataset to a new file"
        )
    vocabulary = load_vocabulary(header.vocabulary.name)
    if list(vocabulary.ids) != header.vocabulary.ids:
        raise MixedVocabulariesError(
            f"{path} has other attributes under the name {vocabulary.name} than this version:"
            " export it with the version that made it, and import that"
        )
    members = tuple(_members(path, lines))
    refuse_faults(members, vocabulary, header.apart)
    return Manifest(header.id, vocabulary, header.apart, members)


def join(parts: Sequence[Manifest], weights: Sequence[float] | None = None) -> list[Member]:
    """Members of several datasets; weights multiply those of each dataset's members.

    Raises:
        MixedVocabulariesError: they are labelled by different vocabularies.
    """
    names = {part.vocabulary.name for part in parts}
    if len(names) > 1:
        raise MixedVocabulariesError(
            f"labels of {' and '.join(sorted(names))} do not mix: import the frames again by one"
            " vocabulary"
        )
    weights = weights or [1.0] * len(parts)
    if len(weights) != len(parts):
        raise DatasetError(f"{len(weights)} weights for {len(parts)} datasets: give one for each")
    return [
        replace(member, weight=member.weight * weight)
        for part, weight in zip(parts, weights, strict=True)
        for member in part.members
    ]


def _content(member: Member, folder: Path) -> dict[str, Any]:
    content = dict(vars(member))
    if isinstance(member, FrameMember) and member.path is not None:
        content["path"] = Path(os.path.relpath(member.path.resolve(), folder)).as_posix()
    return content


def _digest(header: dict[str, Any], lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join([json.dumps(header), *lines]).encode()).hexdigest()


def _members(path: Path, lines: Iterable[str]) -> Iterator[Member]:
    folder = path.resolve().parent
    for number, line in enumerate(lines, start=2):
        try:
            yield _LINE.validate_json(line).member(folder)
        except ValidationError as error:
            raise BrokenManifestError(f"line {number} of {path}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
