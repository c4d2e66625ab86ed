"""Labels in XML tag files, one beside each frame, as the first x-ray scattering sets have them.

A file `NAME.tag` or `NAME.xml` is a `tag_list` with the attributes `filename` (the frame, without
its suffix) and `path` (the folder of its experiment), and holds `tag` elements, at any depth, whose
text is the tag. `tags.toml` says what a tag says of an attribute.
"""

import re
import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from scatterlens_models.datasets.errors import ForeignLabelError, FrameVanishedError, RowError
from scatterlens_models.datasets.importing.rows import Origin, Row, members_of, origin_of
from scatterlens_models.datasets.members import FrameMember
from scatterlens_models.vocabulary import Vocabulary

_SUFFIXES = (".tag", ".xml")


def read_tag_files(
    path: Path,
    vocabulary: Vocabulary,
    frames: Path | None = None,
    origin: Origin | None = None,
    ignored: Collection[str] = (),
) -> list[FrameMember]:
    """Read all tag files in and below a folder.

    A frame is looked for in `frames`, by default beside its tag file: first in the experiment's
    folder there, then in `frames` itself.

    Raises:
        DatasetError: a tag file or its frame cannot be used; the message names it.
    """
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise RowError(f"{path} is to be a folder with {' or '.join(_SUFFIXES)} files; it has none")
    rules = _Rules(vocabulary, ignored)
    return members_of(_rows(files, rules, frames, origin or origin_of(path)), vocabulary)


class _Rules:
    """What tags say, for one vocabulary."""

    def __init__(self, vocabulary: Vocabulary, ignored: Collection[str]) -> None:
        text = Path(__file__).with_name("tags.toml").read_text(encoding="utf-8")
        rules = tomllib.loads(text)
        self._present = {
            attribute: _any_of(patterns) for attribute, patterns in rules["present"].items()
        }
        self._index = {a: i for i, a in enumerate(vocabulary.ids) if a in self._present}
        self._known = [*self._present.values(), _any_of(rules["other"]["patterns"])]
        self._ignored = {_plain(name) for name in ignored}

    def judged(self, tags: Collection[str], place: str) -> dict[int, int]:
        """Present or absent, by position, of every attribute that tags speak of."""
        for tag in tags:
            if tag not in self._ignored and not any(known.fullmatch(tag) for known in self._known):
                raise ForeignLabelError(
                    f"{place}: no rule knows the tag {tag!r}: correct it, or name it as one to"
                    " ignore"
                )
        return {
            index: int(any(self._present[attribute].fullmatch(tag) for tag in tags))
            for attribute, index in self._index.items()
        }


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _rows(files: list[Path], rules: _Rules, frames: Path | None, origin: Origin) -> Iterator[Row]:
    for file in files:
        try:
            root = ElementTree.parse(file).getroot()
        except ElementTree.ParseError as error:
            raise RowError(f"{file} is no XML ({error}): correct or remove it") from error
        if root.tag != "tag_list":
            raise RowError(f"{file} holds a {root.tag}, not a tag_list: remove it from the folder")
        tags = [_plain(element.text or "") for element in root.iter("tag")]
        stem = root.get("filename") or file.stem
        experiment = PurePosixPath(root.get("path") or "").name
        yield Row(
            place=str(file),
            file=_frame(file, stem, experiment, frames or file.parent),
            index=None,
            judged=rules.judged(tags, str(file)),
            source=origin.source,
            experiment=experiment or origin.experiment or origin.source,
            author=origin.author,
        )


def _frame(file: Path, stem: str, experiment: str, frames: Path) -> Path:
    """The frame of a tag file: the one file of its name that is no tag file itself."""
    for folder in dict.fromkeys((frames / experiment, frames)):
        found = sorted(
            path
            for path in (folder.iterdir() if folder.is_dir() else ())
            if (path.name == stem or path.name.startswith(f"{stem}."))
            and path.suffix.lower() not in _SUFFIXES
        )
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise RowError(f"{file} may speak of {names}: leave only one of them in {folder}")
        if found:
            return found[0]
    raise FrameVanishedError(
        f"{file}: there is no frame {stem} in {frames}: put it there, name the folder of the"
        " frames, or remove the tag file"
    )
