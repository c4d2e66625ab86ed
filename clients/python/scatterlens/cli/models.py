"""`scatterlens models`: the models of a gateway, and (where installed) those of this machine."""

from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from scatterlens.cli import options
from scatterlens.cli.listing import AsJson, print_json_lines, print_list
from scatterlens.client import Client
from scatterlens.schemas import GateCheck, ModelDetail, OldFrames

models = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Models of a gateway: register, look, promote, go back. On this machine: check, measure.",
)
Name = Annotated[str, typer.Argument(help="Model by name, version or name@version.")]
Why = Annotated[str, typer.Option("--reason", help="Kept in the history for ever.")]


@models.command("list")
def list_models(as_json: AsJson = False, url: options.Url = None, key: options.Key = None) -> None:
    """List the models that a gateway knows, production first."""
    with Client(url, key, retry_s=2.0) as client:
        found = client.models()
    if as_json:
        print_json_lines(one.model_dump(mode="json") for one in found)
        return
    figures = [one.metrics.get("mean_ap") for one in found]
    print_list(
        ("name", "version", "method", "vocabulary", "state", "gate", "mAP"),
        [
            (
                *(one.name, one.version, one.method, one.vocabulary, one.state, one.gate or "-"),
                f"{mean_ap:.3f}" if isinstance(mean_ap, float) else "-",
            )
            for one, mean_ap in zip(found, figures, strict=True)
        ],
        whole=("version", "mAP"),
        bold=[at for at, one in enumerate(found) if one.production],
    )


@models.command("show")
def show_model(model: Name, url: options.Url = None, key: options.Key = None) -> None:
    """Tell all that is known of a model: card, gate, history."""
    with Client(url, key, retry_s=2.0) as client:
        _print_detail(client.model(model))


@models.command("register")
def register_model(
    bundle: Annotated[Path, typer.Argument(exists=True, help="Folder of a bundle, or its zip.")],
    run_id: Annotated[str | None, typer.Option(help="Training run that made it.")] = None,
    other_vocabulary: Annotated[
        bool, typer.Option(help="Although it has other attributes than production.")
    ] = False,
    url: options.Url = None,
    key: options.Key = None,
) -> None:
    """Send a bundle to a gateway; it is checked, and nothing else changes."""
    with Client(url, key, retry_s=2.0) as client:
        found = client.register_model(bundle, run_id=run_id, other_vocabulary=other_vocabulary)
    Console(markup=False, soft_wrap=True).print(
        f"registered {found.name}@{found.version} ({found.state})"
    )


@models.command("promote")
def promote_model(
    model: Name,
    reason: Why,
    override: Annotated[
        bool, typer.Option(help="Although the gate refuses it or was not asked; for admins.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(help="Have it look at the frames sent since then too, UTC."),
    ] = None,
    url: options.Url = None,
    key: options.Key = None,
) -> None:
    """Make a model production, where the gate passed it; nothing that waits is lost."""
    again = None if since is None else OldFrames(since=since)
    with Client(url, key, retry_s=2.0) as client:
        found = client.promote_model(model, reason, override=override, reannotate=again)
    Console(markup=False, soft_wrap=True).print(f"{found.name}@{found.version} is production")


@models.command("rollback")
def roll_back(reason: Why, url: options.Url = None, key: options.Key = None) -> None:
    """Return to the model that was production before."""
    with Client(url, key, retry_s=2.0) as client:
        found = client.roll_back_model(reason)
    Console(markup=False, soft_wrap=True).print(f"{found.name}@{found.version} is production again")


@models.command("candidate")
def set_candidate(model: Name, url: options.Url = None, key: options.Key = None) -> None:
    """Say which model is to be production next."""
    with Client(url, key, retry_s=2.0) as client:
        client.set_candidate(model)


@models.command("annotate")
def annotate_old_frames(
    model: Name,
    since: Annotated[datetime | None, typer.Option(help="Sent since then, UTC.")] = None,
    scan: options.Scan = None,
    sample: options.Sample = None,
    proposal: options.Proposal = None,
    beamline: options.Beamline = None,
    url: options.Url = None,
    key: options.Key = None,
) -> None:
    """Have a model look at frames of the past, after all new ones; none is looked at twice."""
    told = options.given(scan=scan, sample=sample, proposal=proposal, beamline=beamline)
    with Client(url, key, retry_s=2.0) as client:
        client.annotate_old_frames(model, OldFrames(since=since, **told))
    Console(markup=False, soft_wrap=True).print(
        f"asked for; `scatterlens models show {model}` tells how far it is"
    )


def _print_detail(found: ModelDetail) -> None:
    out = Console(markup=False, soft_wrap=True)
    aliases = f" ({', '.join(found.aliases)})" if found.aliases else ""
    out.print(Text.assemble((f"{found.name}@{found.version}", "bold"), f" {found.state}{aliases}"))
    out.print(f"method {found.method}, vocabulary {found.vocabulary}")
    out.print(f"registered {found.registered:%Y-%m-%d %H:%M} by {found.registered_by}")
    if found.run_id:
        out.print(f"training run {found.run_id}")
    if found.gate is not None:
        word = "passed" if found.gate.passed else "refused"
        out.print(f"gate: {word} against {found.gate.against}")
        for check in found.gate.checks:
            if not check.passed:
                out.print(_failure(check), style="red")
    for entry in found.history:
        out.print(
            f"{entry.time:%Y-%m-%d %H:%M} {entry.kind} {entry.from_version} -> {entry.to_version}"
            f" by {entry.by}, gate {entry.gate}: {entry.reason}",
            markup=False,
        )
    for again in found.reannotations:
        state = "all queued" if again.finished else "going on"
        out.print(f"old frames: {again.queued} queued, {state}")
    if found.card:
        out.print("")
        out.print(found.card, markup=False)


def _failure(check: GateCheck) -> str:
    what = check.figure if check.attribute is None else f"{check.figure} {check.attribute}"
    return (
        f"  {check.frames}: {what} {check.candidate} against {check.production},"
        f" tolerance {check.tolerance:g}"
    )


def _add_local() -> None:
    """Add the commands on bundles of this machine, where the package that has them is installed."""
    for point in entry_points(group="scatterlens.commands", name="models"):
        try:
            models.registered_commands += point.load().registered_commands
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("scatterlens"):
                raise  # a fault of ours


_add_local()
