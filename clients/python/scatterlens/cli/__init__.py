"""The command line `scatterlens`: its own commands, and those that other packages bring.

Nothing of a command is imported before it is asked for, so that `--help` is quick and a machine
with the base install alone can list commands whose extras it lacks.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points, version
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from scatterlens.cli import extras

GROUP = "scatterlens.commands"


@dataclass(frozen=True)
class Listed:
    """What `--help` says about a command without importing it."""

    help: str
    extra: str | None = None
    """Extra that brings what the command needs; None = in the base install."""


_OWN = {
    "annotate": "scatterlens.cli.annotate:annotate",
    "describe": "scatterlens.cli.describe:describe",
    "delete": "scatterlens.cli.delete:delete",
    "explain": "scatterlens.cli.explain:explain",
    "models": "scatterlens.cli.models:models",
    "samples": "scatterlens.cli.samples:samples",
    "show": "scatterlens.cli.show:show",
    "training": "scatterlens.cli.training:training",
    "watch": "scatterlens.cli.watch:watch",
}
_LISTED = {
    "annotate": Listed("Say what is seen in frames, and where."),
    "describe": Listed("Correct what is told of a frame: scan, sample, motors, geometry."),
    "explain": Listed("Write pictures of where a model looked, by several methods."),
    "samples": Listed("Copy sample frames to try everything with."),
    "show": Listed("Look at one file: format, shape, mask, geometry, a small picture."),
    "watch": Listed("Send every new complete file of a folder to the gateway."),
    "serve": Listed("Start the gateway with a worker beside it.", "service"),
    "keys": Listed("Create, list and revoke API keys.", "service"),
    "delete": Listed("Delete frames for ever, with a reason that is kept."),
    "retain": Listed("Remove files, previews and maps that are too old.", "service"),
    "backup": Listed("Save everything that a home keeps in one archive.", "service"),
    "restore": Listed("Fill an empty home from a backup.", "service"),
    "worker": Listed("Start a worker for a gateway that runs elsewhere.", "worker"),
    "trainer": Listed("Start a trainer for a gateway that runs elsewhere.", "all"),
    "training": Listed("Have models trained from corrections, and follow them."),
    "gate": Listed("Measure a registered model against production.", "worker"),
    "models": Listed("Register, promote and check models."),
    "synth": Listed("Simulate labelled frames.", "train"),
    "train": Listed("Train a network and export it as a bundle.", "train"),
    "evaluate": Listed("Measure a bundle on labelled frames.", "train"),
    "datasets": Listed("Import, split, check and export labelled frames.", "frames"),
    "transfer": Listed("Adapt a bundle to a beamline from a few labelled frames.", "train"),
    "reproduce": Listed("Run the experiments of the papers anew.", "train"),
}


class LazyCommands(typer.core.TyperGroup):
    """Commands by name: a stub for listing, the real one when it is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all names, in the order of the table, then those of other distributions."""
        offered = {*_OWN, *(point.name for point in entry_points(group=GROUP))}
        return [*(name for name in _LISTED if name in offered), *sorted(offered - set(_LISTED))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a stub that carries the name and one line of help; None if there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        listed = _LISTED.get(cmd_name)
        return typer.core.TyperCommand(cmd_name, help=listed.help if listed else None)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that is asked for."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _load(str(name)), rest


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"scatterlens {version('scatterlens')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Look at x-ray scattering frames: what is seen in them, how surely, and where."""


def main() -> None:
    """Run the command line.

    An error that a user can meet is one line with its remedy: exit code 1, or 2 where a part is
    missing or something was asked for that cannot be.
    """
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    run(lambda: app(prog_name="scatterlens"), command)


def run(command_line: Callable[[], object], command: str) -> None:
    """Run a command; an error that a user can meet ends it by one line."""
    try:
        command_line()
    except Exception as error:
        from scatterlens.cli.faults import explain

        listed = _LISTED.get(command)
        told = explain(error, command, listed.extra if listed else None)
        if told is None:
            raise
        typer.secho(f"Error: {told[0]}", err=True, fg="red")
        sys.exit(told[1])


def _load(name: str) -> Any:
    """Import a command; `NotAvailable` names the extra that it lacks."""
    if name in _OWN:
        module, _, attribute = _OWN[name].partition(":")
        return _as_command(name, getattr(import_module(module), attribute))
    (point, *_) = entry_points(group=GROUP, name=name)
    extra = _LISTED[name].extra if name in _LISTED else None
    return _as_command(name, extras.load(point, extra, f"`scatterlens {name}`"))


def _as_command(name: str, loaded: Any) -> Any:
    if not isinstance(loaded, typer.Typer):
        function, loaded = loaded, typer.Typer(add_completion=False)
        loaded.command(name)(function)
    return typer.main.get_command(loaded)
