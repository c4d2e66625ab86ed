"""What is said of a frame that could not be read, the same words wherever it was tried."""

from scatterlens.schemas import Reason
from scatterlens_models.decoding import DecodeCrashed, FrameRejected

_ENDS = {"timeout": "took too long", "memory": "needed too much memory", "crashed": "crashed"}


def reason_of(error: FrameRejected | DecodeCrashed) -> Reason:
    """Why there is no frame: a verdict on its file, or that reading it ended the process twice."""
    if isinstance(error, FrameRejected):
        return Reason(type=error.kind, title=error.title, detail=error.detail, remedy=error.remedy)
    return Reason(
        type=f"decode_{error.kind}",
        title=f"Reading this file {_ENDS[error.kind]}, twice",
        detail="It was read in a process of its own with limits; that process was ended.",
        remedy="Look whether the file opens elsewhere, write it anew, and send it again.",
    )
