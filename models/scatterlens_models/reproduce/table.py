"""The table of an experiment, from the results that have ended: Markdown, written by code alone."""

from collections.abc import Callable, Sequence
from math import comb, isnan

from scatterlens_models.reproduce.ordering import (
    DEVIATIONS,
    Claim,
    claims,
    mean_and_deviation,
    pooled_deviation,
)
from scatterlens_models.reproduce.results import Result
from scatterlens_models.reproduce.rows import Experiment, Row
from scatterlens_models.reproduce.scales import Scale

MAIN = {"mean_ap": "mAP", "accuracy": "accuracy", "heads_ap": "mAP of new heads"}
"""What rows are compared by: the last of these that results have."""
_COLUMNS = {
    "heads_low": "lower end over sources",
    "heads_high": "upper end",
    "own_ap": "mAP of own heads there",
    "mean_ap": "mAP of the network on its own kind",
    "pointing": "pointing hits",
    "energy": "energy inside",
    "patch_precision": "patch precision",
    "patch_recall": "patch recall",
    "patch_f": "patch F",
}
"""Further figures that have a column where any row has them."""
_BESIDE = {
    "base_rate": "mAP of a random score",
    "heads_chance": "mAP of a random score on the frames of the heads",
    "pointing_random": "pointing hits of a random live cell",
    "pointing_centre": "of the centre",
    "energy_even": "energy inside of an even map",
    "energy_centre": "of a blob in the centre",
    "patch_base": "precision of all patches",
}
"""What knows nothing, by the figure that it stands beside."""


def render(experiment: Experiment, scale: Scale, results: Sequence[Result], other: str) -> str:
    """The whole table with its head, what stands beside it, and the orders that may be claimed.

    Args:
        experiment: its rows are those of the table.
        scale: its budget.
        results: in the order of the rows; rows without any are left out.
        other: whether the data are others than those of the paper's figures, in a word.
    """
    lines = [
        f"# {experiment.title}",
        "",
        f"{experiment.source}, run by `scatterlens reproduce {experiment.name} --scale"
        f" {scale.name}`. Written by the command; do not edit.",
        "",
    ]
    by_row = {row: [r for r in results if r.row == row.id] for row in experiment.rows}
    by_row = {row: found for row, found in by_row.items() if found}
    if not by_row:
        return "\n".join([*lines, "No run has ended yet.", ""])
    main = [name for name in MAIN if any(r.figures.get(name) is not None for r in results)][-1]
    lines += [
        *(_head(experiment, scale, results)),
        "",
        *_table(experiment, by_row, main, other),
        "",
        *_beside(results),
        "",
        *(line for note in _notes(experiment, results) for line in (note, "")),
        *_orders(scale, by_row, main),
        "",
    ]
    return "\n".join(lines)


def _head(experiment: Experiment, scale: Scale, results: Sequence[Result]) -> list[str]:
    first = results[0]
    ended = f"{len(results)} of {len(experiment.rows) * len(scale.seeds)} runs have ended."
    machines = sorted(
        {
            f"{r.machine['processor']} ({r.machine['cores']} cores, {r.machine['threads']} threads"
            f" used, torch {r.machine['torch']}, {r.machine['device']})"
            for r in results
        }
    )
    overlays = f", overlays on {scale.overlays} of these" if _values(results, "energy") else ""
    lines = [
        f"Frames: {first.data}; {scale.training:,} to learn from, {scale.test:,} to"
        f" judge{overlays}; manifest {first.data_sha256[:12]}. Width {scale.width:g},"
        f" {first.plan['recipe']['input_size']} pixels. Figures are mean ± standard deviation over"
        f" seeds. {ended}",
        "",
        f"Machine: {'; '.join(machines)}.",
    ]
    if scale.name == "smoke":
        lines += [
            "",
            "**A smoke run: it shows that all parts work; its figures mean nothing.**",
        ]
    return lines


def _table(
    experiment: Experiment, by_row: dict[Row, list[Result]], main: str, other: str
) -> list[str]:
    results = [r for found in by_row.values() for r in found]
    titles = {name: text for name, text in _COLUMNS.items() if name != main}
    shown = [name for name in titles if _values(results, name)]
    head = [
        "row",
        MAIN[main],
        f"paper: {' / '.join(experiment.paper_figures)}",
        "other data",
        "seeds",
        "frame passes",
        *(titles[name] for name in shown),
        "parameters",
        "minutes a run",
    ]
    lines = [
        f"| {' | '.join(head)} |",
        "|---|---:|---:|---|---|" + "---:|" * (len(head) - 5),
    ]
    for row, found in by_row.items():
        cells = [
            row.name,
            _spread(_values(found, main)),
            " / ".join("-" if p is None else f"{p:.4f}" for p in row.paper) or "-",
            other,
            ", ".join(str(r.seed) for r in found),
            f"{found[0].passes:,}",
            *(_spread(_values(found, name)) for name in shown),
            f"{found[0].figures['parameters']:,.0f}",
            f"{sum(r.minutes for r in found) / len(found):.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", f"The paper's figures: {experiment.paper_data}."]


def _values(results: Sequence[Result], name: str) -> list[float]:
    return [v for r in results if (v := r.figures.get(name)) is not None]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean, deviation = mean_and_deviation(values)
    return f"{mean:.4f} ± {deviation:.4f}" if len(values) > 1 else f"{mean:.4f}"


def _beside(results: Sequence[Result]) -> list[str]:
    found = [
        f"{text} {sum(values) / len(values):.3f}"
        for name, text in _BESIDE.items()
        if (values := _values(results, name))
    ]
    return [f"Beside them: {', '.join(found)}."] if found else []


def _notes(experiment: Experiment, results: Sequence[Result]) -> list[str]:
    if not _values(results, "heads_low"):
        return list(experiment.notes)
    return [
        *experiment.notes,
        "On real frames mAP is that of the attributes with labels enough to judge, and each source"
        " counts the same. The ends are those of a 90 % interval from drawing the sources of the"
        " judged frames anew: what others would say is known no better, whatever seeds agree on.",
    ]


def _orders(scale: Scale, by_row: dict[Row, list[Result]], main: str) -> list[str]:
    values = {row.id: _values(found, main) for row, found in by_row.items()}
    values = {row: each for row, each in values.items() if each}
    found = [] if scale.name == "smoke" else claims(values)
    pairs = comb(len(values), 2)
    pooled = pooled_deviation(values)
    rule = (
        f"An order of two rows is claimed only where their means of {MAIN[main]} differ by more"
        f" than {DEVIATIONS:g} standard deviations over seeds: the largest of theirs and of all"
        f" rows pooled{'' if isnan(pooled) else f' ({pooled:.4f})'}."
    )
    lines = ["## Orders that may be claimed", "", rule, ""]
    papers = {row.id: row.paper[0] if row.paper else None for row in by_row}
    say = _agreement(papers)
    lines += [
        f"- `{c.above}` above `{c.below}`: {c.difference:+.4f}, more than {DEVIATIONS:g} x"
        f" {c.deviation:.4f}{say(c)}"
        for c in found
    ]
    return [*lines, f"- no order is claimed of {pairs - len(found)} of the {pairs} pairs"]


def _agreement(papers: dict[str, float | None]) -> Callable[[Claim], str]:
    def say(claim: Claim) -> str:
        above, below = papers[claim.above], papers[claim.below]
        if above is None or below is None or above == below:
            return ""
        return "; so in the paper" if above > below else "; the other way round in the paper"

    return say
