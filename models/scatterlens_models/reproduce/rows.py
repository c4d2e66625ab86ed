"""What an experiment is: rows of a paper's table, each with the network that it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

OtherData = Literal["", "real", "fashion-mnist", "voc2012", "coco2014"]
"""What `--data` brings to an experiment: nothing, labelled real frames, or the paper's own data."""


@dataclass(frozen=True, eq=False)
class Row:
    """One line of the table."""

    id: str
    """Short, in names of files and for `--rows`."""
    name: str
    method: str
    """A name in `nets.METHODS`."""
    paper: tuple[float | None, ...] = ()
    """The paper's figures, in the order of `Experiment.paper_figures`; None where it has none."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the recipe that differ from those of the method."""
    passes: float = 1.0
    """Frame passes of its own, as a share of the scale's."""
    start: str = ""
    """Row whose weights it starts from."""
    operation: str = ""
    """MAAP: trained alternately, on frames that this makes; see `training.propagation`."""


@dataclass(frozen=True, eq=False)
class Experiment:
    """A table of a paper."""

    name: str
    title: str
    source: str
    """Paper and table."""
    paper_data: str
    """What the paper's figures were measured on."""
    paper_figures: tuple[str, ...]
    rows: tuple[Row, ...]
    other_data: OtherData = ""
    heads: bool = False
    """Whether new heads on the network's features are judged, not the network's own."""
    notes: tuple[str, ...] = ()
    """What a reader of the table must know."""

    def row(self, row_id: str) -> Row:
        """A row by its id; `ValueError` lists those that there are."""
        for row in self.rows:
            if row.id == row_id:
                return row
        raise ValueError(
            f"{self.name} has no row {row_id!r}; there are {', '.join(r.id for r in self.rows)}"
        )
