"""Vocabularies: which attributes exist, in which order, in which groups.

A vocabulary is a data file in `vocabularies/`; nothing else spells an attribute.
"""

import tomllib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

_FOLDER = Path(__file__).parent / "vocabularies"


class UnknownVocabularyError(ValueError):
    """No vocabulary of that name is shipped; the message lists those that are."""


@dataclass(frozen=True)
class Attribute:
    """One entry of a vocabulary."""

    id: str
    """Stable name in URLs, JSON and columns."""
    name: str
    """Name for people."""
    definition: str
    group: str | None = None
    evidence: str = ""
    """Which part of a frame speaks for it: what an overlay should show."""


@dataclass(frozen=True)
class Vocabulary:
    """Attributes in the order of every array of labels, probabilities and maps."""

    name: str
    attributes: tuple[Attribute, ...]
    confusions: tuple[tuple[int, ...], ...] = ()
    """Indices of attributes that are mistaken for one another, a set each."""

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Attribute ids in order."""
        return tuple(attribute.id for attribute in self.attributes)

    @cached_property
    def groups(self) -> dict[str, tuple[int, ...]]:
        """Indices of the attributes of each group, in order; empty without groups."""
        found: dict[str, list[int]] = {}
        for index, attribute in enumerate(self.attributes):
            if attribute.group is not None:
                found.setdefault(attribute.group, []).append(index)
        return {name: tuple(members) for name, members in found.items()}

    def index(self, attribute_id: str) -> int:
        """Position of an attribute; `ValueError` names the vocabulary if it has none such."""
        try:
            return self.ids.index(attribute_id)
        except ValueError:
            raise ValueError(
                f"{attribute_id!r} is no attribute of {self.name}; it has {', '.join(self.ids)}"
            ) from None


def load_vocabulary(name: str) -> Vocabulary:
    """Load a shipped vocabulary by name, such as `aam20`.

    Raises:
        UnknownVocabularyError: no vocabulary of that name.
        ValueError: the file's confusion sets hold an unknown attribute, one twice, or only one.
    """
    path = _FOLDER / f"{name}.toml"
    shipped = sorted(p.stem for p in _FOLDER.glob("*.toml"))
    if name not in shipped:
        raise UnknownVocabularyError(f"no vocabulary {name!r}; shipped are {', '.join(shipped)}")
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    attributes = tuple(Attribute(**entry) for entry in content["attributes"])
    vocabulary = Vocabulary(name=content["name"], attributes=attributes)
    return replace(vocabulary, confusions=_confusions(vocabulary, content.get("confusions", [])))


def _confusions(vocabulary: Vocabulary, sets: list[list[str]]) -> tuple[tuple[int, ...], ...]:
    found = []
    for ids in sets:
        if len(ids) < 2 or len(set(ids)) < len(ids):
            raise ValueError(
                f"the confusion set {ids} of {vocabulary.name} must hold two different attributes"
                " or more, each once"
            )
        found.append(tuple(vocabulary.index(attribute_id) for attribute_id in ids))
    return tuple(found)
