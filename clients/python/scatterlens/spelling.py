"""What a name that nobody knows was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 60
"""Characters of a name that are repeated to whoever sent it."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is spelt most alike; None where none is near."""
    lowered = {one.lower(): one for one in known}
    found = get_close_matches(name[:_SHOWN].lower(), lowered, n=1, cutoff=0.5)
    return lowered[found[0]] if found else None


def no_such(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that there is no such name, and which one is near, or else which there are."""
    known = list(known)
    said = f"There is no {kind} {shortened(name)!r}"
    meant = nearest(name, known)
    if meant is not None:
        return f"{said}; did you mean {meant!r}?"
    return f"{said}; known: {', '.join(known)}" if known else f"{said}, nor any other"


def shortened(name: str) -> str:
    """The name, cut where it is too long to be repeated."""
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
