"""`scatterlens delete`: frames that must not be kept."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from scatterlens.cli import options
from scatterlens.client import Client
from scatterlens.errors import ApiError

_LABELLED = "labelled"


def delete(
    frames: Annotated[list[str], typer.Argument(help="Ids of frames, as `search` tells them.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept, with who and when.")],
    delete_labels: Annotated[
        bool, typer.Option("--delete-labels", help="Labels of people may go with them.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: options.Url = None,
    key: options.Key = None,
) -> None:
    """Delete frames for ever: file, arrays, answers and jobs.

    A frame that people labelled needs a second word: an answer at the terminal, or --delete-labels.
    Exit code 1 if any frame stayed.
    """
    out, err = (
        Console(markup=False, soft_wrap=True),
        Console(markup=False, stderr=True, soft_wrap=True),
    )
    if not yes and sys.stdin.isatty():
        typer.confirm(f"Delete {len(frames)} frame(s) for ever?", abort=True, err=True)
    stayed = 0
    with Client(url, key) as client:
        for frame_id in frames:
            try:
                stone = _delete(client, frame_id, reason, delete_labels)
            except ApiError as error:
                err.print(Text.assemble((f"{frame_id} stays:", "red"), f" {error}"))
                stayed += 1
                continue
            lost = f", with {stone.labels} label{'s' * (stone.labels > 1)}" if stone.labels else ""
            out.print(f"deleted: {frame_id}{lost}")
    if stayed:
        raise typer.Exit(1)


def _delete(client: Client, frame_id: str, reason: str, delete_labels: bool):
    try:
        return client.delete_frame(frame_id, reason, delete_labels=delete_labels)
    except ApiError as error:
        if error.problem.type != _LABELLED or not sys.stdin.isatty():
            raise
        asked = f"{error.problem.detail} Delete {frame_id} with its labels?"
        if not typer.confirm(asked, err=True):
            raise
        return client.delete_frame(frame_id, reason, delete_labels=True)
