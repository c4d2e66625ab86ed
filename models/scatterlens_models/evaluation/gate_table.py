"""The verdict of the gate as a table for people."""

from rich.table import Table

from scatterlens_models.evaluation.gate import Check, Verdict


def gate_table(verdict: Verdict) -> Table:
    """One row for each check; those that failed stand out."""
    word = "passed" if verdict.passed else "refused"
    frames = "; ".join(
        f"{name}: {count} frames of {experiments} experiments"
        for name, count, experiments in verdict.frames
    )
    table = Table(
        title=f"{verdict.candidate} against {verdict.against}: {word}\n{frames}",
        title_justify="left",
    )
    table.add_column("frames")
    table.add_column("figure", no_wrap=True)
    for name in ("candidate", "production", "loss", "99 % interval", "tolerance"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for check in verdict.checks:
        table.add_row(*_cells(check), style=None if check.passed else "bold red")
    return table


def _cells(check: Check) -> tuple[str, ...]:
    interval = check.interval
    return (
        check.frames,
        check.figure if check.attribute is None else f"{check.figure} {check.attribute}",
        _number(check.candidate),
        _number(check.production),
        _number(check.loss, signed=True),
        "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}",
        f"{check.tolerance:g}",
        "ok" if check.passed else "worse",
    )


def _number(value: float | None, signed: bool = False) -> str:
    if value is None:
        return "-"
    return f"{value:+.4f}" if signed else f"{value:.4f}"
