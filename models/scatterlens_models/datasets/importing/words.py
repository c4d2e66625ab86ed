"""From the words of a file of labels to attributes and values."""

from collections.abc import Collection, Mapping
from typing import Any

from scatterlens_models.datasets.errors import ForeignLabelError
from scatterlens_models.vocabulary import Vocabulary

VALUES = {"present": 1, "absent": 0, "unsure": -1, "1": 1, "0": 0, "-1": -1}


class Words:
    """Finds attributes by id or display name, whatever the case and the spaces."""

    def __init__(self, vocabulary: Vocabulary, ignored: Collection[str] = ()) -> None:
        self.vocabulary = vocabulary
        self._ignored = {_plain(name) for name in ignored}
        self._index = {_plain(a.name): i for i, a in enumerate(vocabulary.attributes)}
        self._index |= {_plain(a.id): i for i, a in enumerate(vocabulary.attributes)}

    def attribute(self, name: str, place: str) -> int | None:
        """Position of an attribute; None where the word is to be ignored.

        Raises:
            ForeignLabelError: the vocabulary has no such attribute.
        """
        found = self._index.get(_plain(name))
        if found is None and _plain(name) not in self._ignored:
            raise ForeignLabelError(
                f"{place}: {name!r} is no attribute of {self.vocabulary.name}, which has"
                f" {', '.join(self.vocabulary.ids)}: correct it, choose another vocabulary, or"
                " name it as one to ignore"
            )
        return found

    def attributes(self, names: Collection[str], place: str) -> list[int]:
        """Positions of several attributes, without those to be ignored."""
        found = (self.attribute(name, place) for name in names)
        return [index for index in found if index is not None]

    def judgements(self, said: Mapping[str, Any], place: str) -> dict[int, int]:
        """Values by position, from values by name; an empty value is no judgement."""
        return {
            index: value(text, f"{place}, {name}")
            for name, text in said.items()
            if text not in (None, "") and (index := self.attribute(name, place)) is not None
        }


def value(text: Any, place: str) -> int:
    """1, 0 or -1 of a word or number.

    Raises:
        ForeignLabelError: neither `present`, `absent`, `unsure` nor 1, 0, -1.
    """
    found = VALUES.get(str(text).strip().lower())
    if found is None:
        raise ForeignLabelError(
            f"{place}: {text!r} is no label; write present, absent or unsure, or 1, 0 or -1"
        )
    return found


def _plain(name: str) -> str:
    return " ".join(name.lower().split())
