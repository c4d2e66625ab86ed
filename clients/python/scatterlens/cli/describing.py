"""What the command line says about frames: options as text, read into fields of metadata."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from scatterlens.errors import BadArgument

NumberOf = Callable[[str, int], int | None]
"""Frame number of a file by its name and how many came before it."""


def read_poni(path: Path | None) -> str | None:
    """Text of a PONI file; `BadArgument` where it cannot be read."""
    if path is None:
        return None
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadArgument(f"{path} cannot be read: {reason}. Give a PONI file.") from error


def read_pairs(said: Iterable[str] | None, option: str) -> dict[str, object]:
    """Read `name=value` (several with commas) or a JSON object, however often given."""
    found: dict[str, object] = {}
    for text in said or ():
        if text.lstrip().startswith("{"):
            try:
                found |= json.loads(text)
            except ValueError as error:
                raise _no_pairs(text, option) from error
            continue
        for part in text.split(","):
            name, equals, value = part.partition("=")
            if not equals or not name.strip():
                raise _no_pairs(text, option)
            found[name.strip()] = _value(value.strip())
    return found


def read_motors(said: Iterable[str] | None) -> dict[str, object]:
    """Motors by name; `BadArgument` where a position is no number."""
    motors = read_pairs(said, "--motors")
    for name, value in motors.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadArgument(f"--motors: {name} = {value!r} is no number. Write --motors th=0.5.")
    return motors


def number_of(said: str | None) -> NumberOf | None:
    """Read `--frame-number`: the first number, or a pattern whose group is the number."""
    if said is None:
        return None
    if re.fullmatch(r"\d{1,18}", said):
        first = int(said)
        return lambda _name, before: first + before
    try:
        pattern = re.compile(said)
    except re.error as error:
        raise BadArgument(f"--frame-number: {said!r} is no pattern: {error}.") from error
    if pattern.groups != 1:
        raise BadArgument(
            f"--frame-number: {said!r} is neither a number nor a pattern with one group."
            " Write --frame-number 1, or --frame-number 'saxs_([0-9]+)_dark'."
        )

    def in_name(name: str, _before: int) -> int | None:
        match = pattern.search(Path(name).name)
        digits = match[1] if match else None
        return int(digits) if digits is not None and digits.isdecimal() else None

    return in_name


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _no_pairs(text: str, option: str) -> BadArgument:
    return BadArgument(f"{option}: {text!r} cannot be read. Write {option} name=value.")
