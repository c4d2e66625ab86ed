"""What this machine can do without a gateway, found by entry point in group `scatterlens.local`.

`annotate_with_arrays(path, frames, model)` gives annotations in the wire shape with their arrays;
`explain(path, frames, model, methods, attributes)` gives them with maps to draw; `decoder` is a
class whose instances decode files in a process with limits.
"""

from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scatterlens.cli import extras
from scatterlens.client import Outcome
from scatterlens.errors import FrameRejected, NotAvailable, ScatterlensError
from scatterlens.result import Result
from scatterlens.schemas import Annotation

if TYPE_CHECKING:
    import numpy as np

GROUP = "scatterlens.local"
_EXTRAS = {"annotate_with_arrays": "worker", "decoder": "frames", "explain": "worker"}


class CannotAnnotate(ScatterlensError, ValueError):  # noqa: N818
    """Nothing can be annotated here, whatever the file; the text says what helps."""


def local_part(name: str, wanted_for: str) -> Any:
    """Import a part by name; `NotAvailable` names the extra that brings it."""
    points = list(entry_points(group=GROUP, name=name))
    if not points:
        raise NotAvailable(
            f"{wanted_for} needs a newer installation: "
            f"pip install --force-reinstall 'scatterlens[{_EXTRAS[name]}]'"
        )
    return extras.load(points[0], _EXTRAS[name], wanted_for)


def annotate_locally(files: list[str], frames: str, model: str | None) -> Iterator[Outcome]:
    """Annotate files one by one in this process; the arrays of each last until the next.

    Raises:
        NotAvailable: the extra `worker` is not installed.
        CannotAnnotate: there is no such model, or `frames` cannot be read.

    """
    annotate = local_part("annotate_with_arrays", "`scatterlens annotate --local`")
    for file in files:
        try:
            found = annotate(Path(file), frames, model)
        except OSError as error:
            yield Outcome(file, None, None, error=error)
            continue
        except ValueError as error:  # verdicts on files are returned, not raised
            raise CannotAnnotate(str(error)) from error
        while found:
            yield from _outcome(file, found.pop(0))


def _outcome(file: str, one: Any) -> Iterator[Outcome]:
    annotation: Annotation = one.said
    if annotation.reason:
        error = FrameRejected(annotation.reason, annotation.frame_id, annotation.state)
        yield Outcome(file, annotation.frame_id, annotation.state, error=error)
        return
    arrays = _LocalArrays(one)
    result = Result(annotation, arrays)
    yield Outcome(file, annotation.frame_id, annotation.state, result)
    arrays.let_go()  # a table of a thousand results shall not hold a thousand frames


class _LocalArrays:
    """Arrays of a result that was computed here."""

    def __init__(self, one: Any):
        self._one: Any = one

    def let_go(self) -> None:
        self._one = None

    def overlay(self, annotation: Annotation, attribute: str) -> "np.ndarray":
        return self._one.overlay(attribute)

    def attention(self, annotation: Annotation, name: str) -> "np.ndarray":
        return self._one.attention(name)

    def preview(self, annotation: Annotation) -> "np.ndarray":
        import numpy as np

        from scatterlens.cli.drawing import block_mean

        frame = self._one.frame
        mean, count = block_mean(frame.image, ~frame.mask, 1024)
        return np.where(count > 0, mean, np.nan).astype(np.float32)

    def picture(self, annotation: Annotation, attribute: str) -> bytes:
        from scatterlens.cli.drawing import overlay_picture

        position = [one.id for one in annotation.attributes].index(attribute)
        reference = float(self._one.bundle.map_scale[position])
        return overlay_picture(self._one.frame, self._one.overlay(attribute), reference)
