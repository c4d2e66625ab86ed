"""Lists for people at a terminal, and for programs that read what is piped to them."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object for each, on a line of its own.")
]


def print_list(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    whole: Sequence[str] = (),
    bold: Iterable[int] = (),
) -> None:
    """Print a table; where it is piped, tab-separated lines that leave nothing out.

    The columns named in `whole` are never cut or folded: what stands in them is typed again.
    """
    rows = list(rows)
    if not sys.stdout.isatty():
        for row in (heads, *rows):
            typer.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    strong = set(bold)
    table = Table(box=box.SIMPLE, pad_edge=False)
    for head in heads:
        kept = head in whole
        table.add_column(head, no_wrap=kept, overflow="ignore" if kept else "fold")
    for number, row in enumerate(rows):
        table.add_row(*row, style="bold" if number in strong else None)
    Console(markup=False).print(table)


def print_json_lines(documents: Iterable[Any]) -> None:
    """Print each document as a line of JSON."""
    for document in documents:
        typer.echo(json.dumps(document, ensure_ascii=False))
