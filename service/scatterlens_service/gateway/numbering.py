"""Frame numbers that nobody told: by the file's name, or by the place inside a stack."""

import re
from collections.abc import Sequence
from dataclasses import replace

from scatterlens_service.ledger import NewFrame

_AT_THE_END = re.compile(r"(\d{1,18})(?:\.[A-Za-z][A-Za-z0-9]*)*$")


def number_in(filename: str | None) -> int | None:
    """The number at the end of a file's name: 12 of `saxs_0012.cbf` and of `saxs_0012.cbf.gz`."""
    found = None if filename is None else _AT_THE_END.search(filename)
    return None if found is None else int(found[1])


def number_frames(frames: Sequence[NewFrame], told: int | None) -> list[NewFrame]:
    """Give the frames of one file their numbers; what is told is that of the first.

    Without it, frames of a stack go by their index: the number of a stack's file is not theirs.
    """
    if told is not None:
        return [replace(frame, frame_number=told + at) for at, frame in enumerate(frames)]
    return [
        replace(
            frame,
            likely_number=number_in(frame.filename) if frame.index is None else frame.index,
        )
        for frame in frames
    ]
