"""Questions about attributes: `ring > 0.8 and not (halo or textured < 0.2)`.

    query  = part ("or" part)*
    part   = factor ("and" factor)*
    factor = "not" factor | "(" query ")" | attribute [sign number]

An attribute alone means that it is tagged. Words may be in any case; an attribute is named by its
id, or as people see it, in quotes where the name has characters of its own ("6-fold symmetry").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_DEPTH = 30


class BadFilterError(ValueError):
    """A filter that cannot be read; the message says where, and what may stand there."""


@dataclass(frozen=True)
class Known:
    """An attribute that may be asked for."""

    id: str
    name: str
    threshold: float


@dataclass(frozen=True)
class Bound:
    """A comparison of one attribute's probability."""

    attribute: str
    position: int
    """Of the attribute in the vocabulary."""
    sign: str
    """One of > >= < <="""
    value: float


@dataclass(frozen=True)
class Both:
    """All of the parts hold."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Either:
    """At least one of the parts holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: "Condition"


Condition = Bound | Both | Either | Not

_TOKEN = re.compile(
    r"\s*(?:(?P<sign>>=|<=|>|<)|(?P<bracket>[()])|(?P<number>\d*\.?\d+(?:[eE][-+]?\d+)?(?![\w.]))"
    r"|\"(?P<quoted>[^\"]*)\"|(?P<word>\w[\w-]*))"
)
_WORDS = ("and", "or", "not")


def parse_query(text: str, attributes: Sequence[Known]) -> Condition:
    """Read a question; `attributes` are the model's, in the order of its vocabulary.

    Raises:
        BadFilterError: it cannot be read; the message names the place, counted from 1.
    """
    reader = _Reader(text, attributes)
    found = _read_either(reader, 0)
    if reader.kind != "end":
        raise reader.expected("`and`, `or` or the end")
    return found


class _Reader:
    """The text, piece by piece; `kind`, `value` and `place` are of the piece that comes next."""

    def __init__(self, text: str, attributes: Sequence[Known]) -> None:
        self._text = text
        self._end = 0
        self.names = {one.name.lower(): number for number, one in enumerate(attributes)}
        self.names |= {one.id: number for number, one in enumerate(attributes)}
        self.attributes = attributes
        self.advance()

    def advance(self) -> None:
        rest = self._text[self._end :]
        self.place = self._end + len(rest) - len(rest.lstrip())
        if not rest.strip():
            self.kind, self.value = "end", ""
            return
        found = _TOKEN.match(self._text, self._end)
        if found is None:
            self.kind, self.value = "other", self._text[self.place]
            return
        self._end = found.end()
        self.kind, self.value = found.lastgroup or "", found[found.lastgroup or 0]
        if self.kind == "word" and self.value.lower() in _WORDS:
            self.kind = self.value.lower()

    def expected(self, what: str) -> BadFilterError:
        seen = "the query ends" if self.kind == "end" else f"{self.value!r} stands"
        return BadFilterError(f"at character {self.place + 1} {seen}; expected {what}")


def _read_either(reader: _Reader, depth: int) -> Condition:
    parts = [_read_both(reader, depth)]
    while reader.kind == "or":
        reader.advance()
        parts.append(_read_both(reader, depth))
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def _read_both(reader: _Reader, depth: int) -> Condition:
    parts = [_read_factor(reader, depth)]
    while reader.kind == "and":
        reader.advance()
        parts.append(_read_factor(reader, depth))
    return parts[0] if len(parts) == 1 else Both(tuple(parts))


def _read_factor(reader: _Reader, depth: int) -> Condition:
    if depth > MAX_DEPTH:
        raise BadFilterError(f"more than {MAX_DEPTH} brackets inside one another: write it flatter")
    if reader.kind == "not":
        reader.advance()
        return Not(_read_factor(reader, depth + 1))
    if (reader.kind, reader.value) == ("bracket", "("):
        reader.advance()
        found = _read_either(reader, depth + 1)
        if (reader.kind, reader.value) != ("bracket", ")"):
            raise reader.expected("`and`, `or` or `)`")
        reader.advance()
        return found
    if reader.kind not in ("word", "quoted"):
        raise reader.expected("an attribute, `not` or `(`")
    return _read_bound(reader)


def _read_bound(reader: _Reader) -> Bound:
    position = reader.names.get(reader.value, reader.names.get(reader.value.lower()))
    if position is None:
        known = ", ".join(one.id for one in reader.attributes)
        raise reader.expected(f"an attribute of the model: {known}")
    known = reader.attributes[position]
    reader.advance()
    if reader.kind != "sign":
        return Bound(known.id, position, ">=", known.threshold)
    sign = reader.value
    reader.advance()
    value = float(reader.value) if reader.kind == "number" else -1.0
    if not 0 <= value <= 1:
        raise reader.expected("a probability from 0 to 1")
    reader.advance()
    return Bound(known.id, position, sign, value)
