"""How long work shows itself at a terminal."""

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


def progress_bar(console: Console | None = None) -> Progress:
    """A bar with what is done, its share, and the time that is left; on a console of its own it
    goes away in the end.
    """
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:.1f} %", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=console is not None,
    )


def shown_on(bar: Progress) -> Callable[[str, int, int], None]:
    """A report (what, how much of it is done, how much there is) that has a line for each task."""
    tasks = {}

    def show(what: str, done: int, total: int) -> None:
        if (what, total) not in tasks:
            tasks[what, total] = bar.add_task(what, total=total)
        bar.update(tasks[what, total], completed=done)

    return show
