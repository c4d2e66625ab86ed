"""All rows and seeds of an experiment, one after another, each kept as soon as it has ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scatterlens_models.nets.layers import Net
from scatterlens_models.reproduce.material import Material, read_shards, smoke_frames
from scatterlens_models.reproduce.measuring import Figures, measure
from scatterlens_models.reproduce.results import (
    Result,
    check_frames,
    read_results,
    result_of,
    write_result,
)
from scatterlens_models.reproduce.rows import Experiment, Row
from scatterlens_models.reproduce.running import Report, seconds_of, train_plan
from scatterlens_models.reproduce.scales import Scale, plan_of
from scatterlens_models.reproduce.table import render


@dataclass(frozen=True)
class Asked:
    """What one call of the command shall do."""

    experiment: Experiment
    scale: Scale
    data: Path | None
    shards: Path
    out: Path
    """Holds the runs, and the frames of a smoke run."""
    results: Path
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.data is not None and not self.experiment.other_data:
            raise ValueError(
                f"{self.experiment.name} runs on shards alone: leave --data out (aam-fashion and"
                " aam-table2 take it)"
            )

    @property
    def folder(self) -> Path:
        """Where results and table lie; those on data of their own lie beside the others."""
        kind = f"-{self.experiment.other_data}" if self.data is not None else ""
        return self.results / self.experiment.name / f"{self.scale.name}{kind}"


def pending(asked: Asked) -> list[tuple[int, Row]]:
    """What has not ended, all rows of a seed before the next.

    Raises:
        ResultError: a result is there that does not belong.
    """
    found = read_results(asked.folder, asked.experiment, asked.scale, asked.data is not None)
    ended = {(result.seed, result.row) for result in found}
    return [
        (seed, row) for seed in asked.seeds for row in asked.rows if (seed, row.id) not in ended
    ]


def run(
    asked: Asked, missing: Sequence[tuple[int, Row]], report: Callable[[int, Row, int], Report]
) -> None:
    """Run what is missing; the table is written anew after each.

    Args:
        asked: where everything lies.
        missing: of `pending`.
        report: called with each seed, row and its number; gives what hears of its steps.

    Raises:
        ResultError: results of other frames are there.
        MaterialError: frames that the scale asks for are not there.
    """
    material = gather(asked)
    for result in read_results(asked.folder, asked.experiment, asked.scale, asked.data is not None):
        check_frames(asked.folder, result, material.digest)
    for number, (seed, row) in enumerate(missing):
        run_row(asked, row, seed, material, report(seed, row, number))
        write_table(asked)


def gather(asked: Asked) -> Material:
    """The frames that an experiment is run on."""
    if asked.scale.name == "smoke":
        smoke_frames(asked.scale, asked.out / "smoke")
        return read_shards(asked.out / "smoke", asked.scale)
    return read_shards(asked.shards, asked.scale)


def run_row(asked: Asked, row: Row, seed: int, material: Material, report: Report) -> Result:
    """Train one row with one seed, measure it and write its result."""
    plan = plan_of(asked.experiment, row, asked.scale, seed, asked.data is not None)
    net = train_plan(plan, material, asked.out, report)
    result = result_of(
        asked.experiment.name,
        asked.scale.name,
        row.id,
        seed,
        _judge(net, material),
        (material.name, material.digest),
        plan,
        seconds_of(plan, material, asked.out) / 60,
    )
    write_result(asked.folder, result)
    return result


def _judge(net: Net, material: Material) -> Figures:
    return measure(net, material)


def write_table(asked: Asked) -> str:
    """Write `table.md` from all results of the folder, whatever this call was asked for."""
    found = read_results(asked.folder, asked.experiment, asked.scale, asked.data is not None)
    own = asked.data is not None and asked.experiment.other_data == "fashion-mnist"
    text = render(asked.experiment, asked.scale, found, own)
    asked.folder.mkdir(parents=True, exist_ok=True)
    partial = asked.folder / "table.partial"
    partial.write_text(text, encoding="utf-8")
    partial.replace(asked.folder / "table.md")
    return text
