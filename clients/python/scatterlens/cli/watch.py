"""`scatterlens watch`: every new complete file of a folder goes to the gateway, once."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from scatterlens.cli import options
from scatterlens.cli.answers import Answers
from scatterlens.cli.describing import number_of
from scatterlens.cli.failures import reason_for
from scatterlens.client import Client
from scatterlens.errors import FrameRejected
from scatterlens.folders import home_folder
from scatterlens.journal import Journal, journal_path
from scatterlens.result import Result
from scatterlens.schemas import Reason, SubmittedFrame
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
    technique: options.Technique = None,
    poni: options.Poni = None,
    motors: options.Motors = None,
    frame_number: options.FrameNumber = None,
    extra: options.Extra = None,
) -> None:
    """Send every new complete file of a folder, those that lie there already included.

    What was sent is remembered over restarts. While the gateway is away, files wait where they are.
    What is seen in the frames is told as the answers come.
    """
    out = Console(markup=False)
    root = folder.resolve()
    about = options.given(
        sample=sample,
        scan=scan,
        proposal=proposal,
        beamline=beamline,
        technique=technique,
        poni=poni,
        motors=motors,
        extra=extra,
    )
    numbered = number_of(frame_number)
    rules = Rules(pattern, recursive, settle, polling)
    # No retries inside a request: the watch itself waits, and goes on seeing new files meanwhile.
    with Client(url, key, retry_s=0) as client:
        answers = Answers(client, lambda name, found: out.print(_seen(name, found)))

        def tell(path: Path, outcome: list[SubmittedFrame] | Exception) -> None:
            name = path.relative_to(root)
            out.print(_line(name, outcome))
            for item in outcome if isinstance(outcome, list) else ():
                if item.frame_id is not None:
                    index = item.frame_id.partition(".")[2]
                    answers.expect(f"{name} [{index}]" if index else f"{name}", item.frame_id)

        # Each way of sending has a journal of its own; how its frames are described is part of it.
        described = sorted((name, f"{value}") for name, value in about.items())
        purpose = client.url, frames, *described, *([frame_number] if frame_number else [])
        with Journal(journal_path(home_folder(), folder, *purpose)) as journal:

            def send(path: Path) -> list[SubmittedFrame]:
                number = None if numbered is None else numbered(path.name, len(journal))
                own = about if number is None else {**about, "frame_number": number}
                return client.submit(path, frames, **own)

            out.print(f"watching {folder} for {client.url}; {len(journal)} files dealt with before")
            with answers.heard():
                FolderWatch(folder, rules, journal, send, tell).run()


def _seen(name: str, found: Result | FrameRejected) -> Text:
    text = Text(f"{datetime.now():%H:%M:%S} ", style="dim")
    if isinstance(found, FrameRejected):
        reason = reason_for(found)
        text.append("failed ", "red")
        return text.append(f"{name}: {_told(reason)}")
    tags = ", ".join(f"{tag} {found.probabilities[tag]:.2f}" for tag in found.tags)
    return (
        text.append("seen ", "cyan").append(f"{name} ").append(tags or "none above its threshold")
    )


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
    said = " ".join(map(_told, reasons))
    return text.append(f"{path}: {said}")


def _told(reason: Reason) -> str:
    parts = (reason.title, reason.detail, reason.remedy)
    return " ".join(f"{part.rstrip('.')}." for part in parts if part)
