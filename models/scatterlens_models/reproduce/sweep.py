"""All rows and seeds of an experiment, one after another, each kept as soon as it has ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from scatterlens_models.reproduce.images import read_images
from scatterlens_models.reproduce.material import (
    Material,
    manifest_digest,
    read_shards,
    smoke_frames,
)
from scatterlens_models.reproduce.measuring import measure
from scatterlens_models.reproduce.new_heads import (
    HeadFrames,
    measure_heads,
    real_heads,
    simulated_heads,
)
from scatterlens_models.reproduce.photographs import read_photographs
from scatterlens_models.reproduce.results import (
    Result,
    check_frames,
    machine,
    read_results,
    write_result,
    write_whole,
)
from scatterlens_models.reproduce.rows import Experiment, Row
from scatterlens_models.reproduce.running import Report, seconds_of, train_plan
from scatterlens_models.reproduce.scales import Scale, plan_of
from scatterlens_models.reproduce.table import render

_OTHER = {
    "": "yes",
    "fashion-mnist": "no",
    "voc2012": "no, but grey",
    "coco2014": "no, but grey",
}
"""Whether a table's figures are of other data than the paper's."""


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
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.data is not None and not self.experiment.other_data:
            raise ValueError(f"{self.experiment.name} runs on shards alone: leave --data out")

    @property
    def own_data(self) -> str:
        """The paper's own data, where `data` is that; empty where frames are learned from."""
        kind = self.experiment.other_data
        return "" if self.data is None or kind == "real" else kind

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
    material = _material(asked)
    heads = _heads(asked, material) if asked.experiment.heads else None
    name, digest = _named(material, heads)
    for result in read_results(asked.folder, asked.experiment, asked.scale, asked.data is not None):
        check_frames(asked.folder, result, digest)
    for number, (seed, row) in enumerate(missing):
        plan = plan_of(asked.experiment, row, asked.scale, seed, asked.data is not None)
        net = train_plan(plan, material, asked.out, report(seed, row, number), asked.device)
        figures = measure(net, material)
        if heads is not None:
            figures |= measure_heads(net, heads, seed)
        result = Result(
            experiment=asked.experiment.name,
            scale=asked.scale.name,
            row=row.id,
            seed=seed,
            figures=figures,
            data=name,
            data_sha256=digest,
            plan=plan.to_dict(),
            plan_sha256=plan.digest,
            passes=plan.passes,
            minutes=seconds_of(plan, material, asked.out) / 60,
            machine=machine(asked.device),
            scatterlens=version("scatterlens"),
        )
        write_result(asked.folder, result)
        write_table(asked)


def _material(asked: Asked) -> Material:
    """The frames that networks learn from and are judged on."""
    if asked.data is not None and asked.own_data == "fashion-mnist":
        return read_images(asked.data, asked.scale)
    if asked.data is not None and asked.own_data:
        return read_photographs(asked.own_data, asked.data, asked.scale)
    if asked.scale.name == "smoke":
        smoke_frames(asked.scale, asked.out / "smoke")
        return read_shards(asked.out / "smoke", asked.scale)
    return read_shards(asked.shards, asked.scale)


def _heads(asked: Asked, material: Material) -> HeadFrames:
    if asked.data is None:
        return simulated_heads(material)
    return real_heads(asked.data, asked.scale.input_size)


def _named(material: Material, heads: HeadFrames | None) -> tuple[str, str]:
    """Name and digest of all frames of a result."""
    if heads is None:
        return material.name, material.digest
    both = {"networks": material.digest, "heads": heads.digest}
    return f"{material.name}; heads: {heads.name}", manifest_digest(both)


def write_table(asked: Asked) -> str:
    """Write `table.md` from all results of the folder, whatever this call was asked for."""
    found = read_results(asked.folder, asked.experiment, asked.scale, asked.data is not None)
    text = render(asked.experiment, asked.scale, found, _OTHER[asked.own_data])
    write_whole(asked.folder / "table.md", text)
    return text
