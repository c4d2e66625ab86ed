"""What decoding can say besides a frame."""

from dataclasses import dataclass
from typing import Literal

RejectionKind = Literal["unreadable", "no_image", "too_large", "unsupported", "empty", "forbidden"]
CrashKind = Literal["crashed", "timeout", "memory"]


class FrameRejected(ValueError):  # noqa: N818 - a verdict, named as the service names it
    """The file itself is at fault: trying again gives the same verdict."""

    def __init__(self, kind: RejectionKind, title: str, detail: str, remedy: str) -> None:
        super().__init__(f"{title}: {detail} {remedy}".strip())
        self.kind: RejectionKind = kind
        """`unreadable`, `no_image`, `too_large`, `unsupported`, `empty` or `forbidden`."""
        self.title = title
        self.detail = detail
        self.remedy = remedy


class DecodeCrashed(RuntimeError):  # noqa: N818
    """The process that decoded died or was stopped; the file may or may not be at fault."""

    def __init__(self, kind: CrashKind, detail: str) -> None:
        super().__init__(
            f"{detail} Try again once; if it happens again, the file is damaged or made to harm."
        )
        self.kind: CrashKind = kind
        """`crashed`, `timeout` or `memory`."""
        self.detail = detail


@dataclass(frozen=True)
class Probe:
    """What a file holds, found without decoding pixels."""

    format: str
    shape: tuple[int, ...]
    """Stored shape: (rows, cols), or (frames, rows, cols) of a stack."""
    frames: int
