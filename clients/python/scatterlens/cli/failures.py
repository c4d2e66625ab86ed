"""Why something went wrong with a file, in one shape for people and programs."""

import errno

from scatterlens.errors import ApiError, FrameRejected, StillPending, TransportError
from scatterlens.schemas import Reason


def reason_for(error: Exception) -> Reason:
    """Return the reason that an error carries, or say an error of the file system in its shape."""
    if isinstance(error, FrameRejected):
        return error.reason
    if isinstance(error, ApiError):
        return error.reason
    if isinstance(error, StillPending):
        return _reason("pending", "No verdict yet", error, "Ask again with the frame's id")
    if isinstance(error, TransportError):
        return _reason("unreachable", "The gateway is away", error, "Look after it, then try again")
    if isinstance(error, FileNotFoundError):
        return _reason("missing", "There is no such file", error, "Check the path")
    code = getattr(error, "errno", None)
    if code == errno.EISDIR:
        return _reason(
            "folder", "This is a folder", error, "Name its files, or use `scatterlens watch`"
        )
    if code in (errno.EACCES, errno.EPERM):
        return _reason("unreadable", "The file may not be read", error, "Ask for read permission")
    return _reason("failed", type(error).__name__, error, "Check the file and try again")


def _reason(kind: str, title: str, error: Exception, remedy: str) -> Reason:
    # The file's name stands beside the reason already, and `[Errno 2]` helps nobody.
    detail = getattr(error, "strerror", None) or str(error)
    return Reason(type=kind, title=title, detail=detail, remedy=remedy)
