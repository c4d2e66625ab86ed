"""`scatterlens watch`: every new complete file of a folder goes to the gateway, once."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from scatterlens.cli import options
from scatterlens.cli.failures import reason_for
from scatterlens.client import Client
from scatterlens.errors import FrameRejected
from scatterlens.folders import home_folder
from scatterlens.journal import Journal, journal_path
from scatterlens.schemas import SubmittedFrame
from scatterlens.watching import FolderWatch, Rules


def watch(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    pattern: Annotated[str, typer.Option(help="Names to send, such as '*.cbf'.")] = "*",
    recursive: Annotated[bool, typer.Option("--recursive", help="Subfolders too.")] = False,
    polling: Annotated[
        bool, typer.Option("--polling", help="For network file systems, which tell no changes.")
    ] = False,
    settle: Annotated[
        float, typer.Option(help="Seconds without change after which a file is complete.", min=0.1)
    ] = 1.0,
    frames: options.Frames = "0",
    url: options.Url = None,
    key: options.Key = None,
    sample: options.Sample = None,
    scan: options.Scan = None,
    proposal: options.Proposal = None,
    beamline: options.Beamline = None,
) -> None:
    """Send every new complete file of a folder, those that lie there already included.

    What was sent is remembered over restarts. While the gateway is away, files wait where they are.
    """
    out = Console()

    def tell(path: Path, outcome: list[SubmittedFrame] | Exception) -> None:
        out.print(_line(path.relative_to(folder.resolve()), outcome))

    about = options.given(sample=sample, scan=scan, proposal=proposal, beamline=beamline)
    rules = Rules(pattern, recursive, settle, polling)
    # No retries inside a request: the watch itself waits, and goes on seeing new files meanwhile.
    with Client(url, key, retry_s=0) as client:
        purpose = client.url, frames, *sorted(about.items())
        with Journal(journal_path(home_folder(), folder, *purpose)) as journal:
            out.print(f"watching {folder} for {client.url}; {len(journal)} files sent before")
            FolderWatch(
                folder, rules, journal, lambda path: client.submit(path, frames, **about), tell
            ).run()


def _line(path: Path, outcome: list[SubmittedFrame] | Exception) -> Text:
    text = Text(f"{datetime.now():%H:%M:%S} ", style="dim")
    if isinstance(outcome, list) and not any(item.error for item in outcome):
        ids = ", ".join(item.frame_id[:12] for item in outcome if item.frame_id)
        known = " (known already)" if all(item.duplicate for item in outcome) else ""
        return text.append("sent ", "green").append(f"{path} ").append(f"{ids}{known}", "dim")
    if isinstance(outcome, list):
        reasons = [item.error for item in outcome if item.error]
    else:
        reasons = [reason_for(outcome)]
    final = isinstance(outcome, list | FrameRejected)
    text.append("refused " if final else "waiting ", "red" if final else "yellow")
    said = " ".join(f"{one.title}. {one.detail} {one.remedy}." for one in reasons)
    return text.append(f"{path}: {said}")
