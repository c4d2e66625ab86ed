"""The curve of a run: `metrics.jsonl`, and the same for TensorBoard."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

POINTS = 100
"""Points of the loss in a whole run."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands; one line of `metrics.jsonl`."""

    step: int
    steps: int
    passes: int
    """Frames shown so far."""
    seconds: float
    """Time of this process in the loop."""
    loss: float
    """Running mean of the training loss."""
    mean_ap: float | None = None
    """On the watched split; only at evaluation points."""


def read_curve(folder: Path) -> list[Progress]:
    """All points of a run so far; none where it has not begun."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    return [Progress(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


class Curve:
    """Points of a run, on disk as they come.

    Args:
        folder: of the run.
        step: where the run goes on; points after it are of steps that a kill undid, and are lost.
        write: whether this process writes them.
    """

    def __init__(self, folder: Path, step: int, write: bool = True) -> None:
        self._path = folder / "metrics.jsonl"
        self._points = [point for point in read_curve(folder) if point.step <= step]
        self._board = _board(folder) if write else None
        """None in a process that does not write."""
        if write and self._path.exists():
            partial = self._path.with_suffix(".partial")
            partial.write_text("".join(map(_line, self._points)), encoding="utf-8")
            partial.replace(self._path)

    def is_due(self, step: int, steps: int) -> bool:
        """Whether the loss of this step belongs to the curve."""
        return step % max(steps // POINTS, 1) == 0

    def is_best(self, mean_ap: float) -> bool:
        """Whether no point before reached this."""
        return all(mean_ap > reached for reached in self._reached())

    def is_over(self, patience: int) -> bool:
        """Whether the last `patience` evaluations brought nothing better; never where 0."""
        reached = self._reached()
        return bool(patience and reached) and (
            len(reached) - 1 - reached.index(max(reached)) >= patience
        )

    def add(self, point: Progress) -> None:
        """Append a point."""
        self._points.append(point)
        if self._board is None:
            return
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(_line(point))
        self._board.add_scalar("loss", point.loss, point.step)
        if point.mean_ap is not None:
            self._board.add_scalar("mean_ap", point.mean_ap, point.step)
        self._board.flush()

    def _reached(self) -> list[float]:
        return [point.mean_ap for point in self._points if point.mean_ap is not None]


def _line(point: Progress) -> str:
    return json.dumps(asdict(point)) + "\n"


def _board(folder: Path):
    # Imported only here: curves are read where nothing is trained, too.
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"))
