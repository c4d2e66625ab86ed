"""The commands and programs of the documentation, and how each is to be run by a test.

A reader does not see the marks, which are comments before a block:

    <!-- test: not run: needs docker -->      it cannot run here, and why
    <!-- test: slow -->                       `make docs-test` alone runs it
    <!-- test: file: labels.csv -->           the block is the content of this file
    <!-- test: before: mkdir data -->         a command of the shell that comes first
    <!-- test: until: is ready -->            it goes on for ever: ended once it says so
    <!-- test: replace: RUN => run-123 -->    what stands for something of the reader's own
    <!-- test: leave out: make run => why --> one command of the block is not run, and why
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_FENCE = re.compile(
    r"(?P<marks>(?:^<!-- test: [^\n]*-->\n+)*)^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
_MARK = re.compile(r"^<!-- test: (?P<word>[a-z ]+?)(?:: (?P<value>.*?))? -->$", re.M)
_WORDS = ("not run", "slow", "file", "before", "until", "replace", "leave out")


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    line: int
    kind: str
    """`python`, or empty for the shell; others are files."""
    text: str
    marks: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_slow(self) -> bool:
        return "slow" in self.marks

    @property
    def not_run(self) -> str | None:
        """Why it is not run; None where it is."""
        return (
            "it shows something, and tells nothing to do"
            if self.kind == "text"
            else (self.one("not run"))
        )

    def one(self, word: str) -> str | None:
        return self.marks.get(word, [None])[0]

    @property
    def ready(self) -> str:
        """The text with what stands for something else replaced."""
        text = self.text
        for told in self.marks.get("replace", ()):
            shown, arrow, meant = told.partition(" => ")
            assert arrow, told
            assert shown in text, f"{shown!r} is not in the block of line {self.line}"
            text = text.replace(shown, meant)
        for command, _ in self.left_out:
            assert command in text, f"{command!r} is not in the block of line {self.line}"
            text = text.replace(command, f": {command}")
        return text

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Commands that are not run, and why."""
        found = [told.partition(" => ") for told in self.marks.get("leave out", ())]
        assert all(reason for _, _, reason in found)
        return [(command, reason) for command, _, reason in found]


def pages() -> list[Path]:
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs" / "how-to").glob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        marks: dict[str, list[str]] = {}
        for mark in _MARK.finditer(fence["marks"]):
            assert mark["word"] in _WORDS, f"{page.name}: no mark {mark['word']!r}"
            marks.setdefault(mark["word"], []).append(mark["value"] or "")
        line = text.count("\n", 0, fence.start("kind")) + 1
        found.append(Block(line, fence["kind"], fence["text"], marks))
    assert len(found) == len(re.findall(r"^```", text, re.M)) // 2, page
    return found
