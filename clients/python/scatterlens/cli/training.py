"""`scatterlens training`: have models trained from corrections, and follow how they get on."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from scatterlens.cli import options
from scatterlens.cli.listing import AsJson, print_json_lines, print_list
from scatterlens.client import Client
from scatterlens.schemas import Training, TrainingProgress

training = typer.Typer(help="Have models trained from corrections.", no_args_is_help=True)

_Run = Annotated[str, typer.Argument(help="Its id, as `training list` shows it.")]
_NO_PROGRESS = TrainingProgress(stage="load", share=0)


@training.command("start")
def start(
    recipe: Annotated[
        str | None, typer.Option(help="slim-METHOD; default: as production was trained.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the line of models.")] = None,
    start: Annotated[
        str, typer.Option(help="Weights to go on from: auto, nothing, a model or a run.")
    ] = "auto",
    passes: Annotated[
        int | None,
        typer.Option(min=1, help="Frames shown in all; default: 3,000 from a model, else 60,000."),
    ] = None,
    pretrain: Annotated[int, typer.Option(min=0, help="Simulated ones shown first.")] = 0,
    simulated: Annotated[int, typer.Option(min=0, help="Simulated frames beside.")] = 2000,
    weight: Annotated[
        float, typer.Option(help="How often a labelled frame is drawn beside a simulated one.")
    ] = 20.0,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    attribute: Annotated[
        list[str] | None, typer.Option(help="Must be shown by some frame; default: all must.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Field of the recipe, such as batch=8.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Why.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show how it gets on.")] = False,
    url: options.Url = None,
    key: options.Key = None,
) -> None:
    """Ask for a training on all labels of the service."""
    with Client(url, key, retry_s=30.0 if follow else 2.0) as client:
        run = client.train(
            recipe=recipe,
            name=name,
            start=start,
            passes=passes,
            pretrain_passes=pretrain,
            simulated=simulated,
            weight=weight,
            seed=seed,
            attributes=attribute,
            overrides=dict(_read_setting(one) for one in setting or ()),
            note=note,
        )
        Console(markup=False).print(f"{run.id} is queued", soft_wrap=True)
        if follow:
            _follow(client, run.id)


@training.command("list")
def list_runs(as_json: AsJson = False, url: options.Url = None, key: options.Key = None) -> None:
    """List the newest runs."""
    with Client(url, key, retry_s=2.0) as client:
        runs = client.trainings()
    if as_json:
        print_json_lines(run.model_dump(mode="json") for run in runs)
        return
    print_list(
        ("run", "asked for", "by", "recipe", "state", "stage", "mAP", "bundle"),
        map(_as_row, runs),
        whole=("run",),
    )


def _as_row(run: Training) -> tuple[str, ...]:
    at = run.progress
    reached = run.result.mean_ap if run.result else at and at.mean_ap
    return (
        run.id,
        f"{run.time.astimezone():%Y-%m-%d %H:%M}",
        run.by,
        run.request.recipe or "production's",
        run.state.value,
        "" if at is None else f"{at.stage} {100 * at.share:.0f} %",
        "" if reached is None else f"{reached:.3f}",
        "" if run.result is None else f"{run.result.name} {run.result.version}",
    )


@training.command("show")
def show(run_id: _Run, url: options.Url = None, key: options.Key = None) -> None:
    """Say everything about one run."""
    out = Console(markup=False)
    with Client(url, key, retry_s=2.0) as client:
        run = client.training(run_id)
        out.print_json(run.model_dump_json(exclude_none=True))
        for point in client.training_metrics(run_id):
            out.print(f"{point['passes']} passes: loss {_figure(point.get('loss'))},", end=" ")
            out.print(f"mAP {_figure(point.get('mean_ap'))}")


@training.command("cancel")
def cancel(run_id: _Run, url: options.Url = None, key: options.Key = None) -> None:
    """End a run."""
    with Client(url, key, retry_s=2.0) as client:
        run = client.cancel_training(run_id)
    Console(markup=False).print(f"{run.id} is {run.state.value}", soft_wrap=True)


@training.command("follow")
def follow(run_id: _Run, url: options.Url = None, key: options.Key = None) -> None:
    """Show how a run gets on, until it ends."""
    with Client(url, key) as client:
        _follow(client, run_id)


def _follow(client: Client, run_id: str) -> None:
    out = Console(markup=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %", markup=False),
        TextColumn("{task.fields[said]}", markup=False),
    )
    with Progress(*columns, console=out) as bar:
        task = bar.add_task(run_id, total=1.0, said="")

        def report(run: Training) -> None:
            at = run.progress or _NO_PROGRESS
            said = describe(at) if run.progress else run.state.value
            bar.update(task, description=at.stage, completed=at.share, said=said)

        run = client.wait_for_training(run_id, report=report)
    assert run.result is not None
    made = run.result
    out.print(f"bundle {made.name} {made.version}, mAP {_figure(made.mean_ap)}", soft_wrap=True)


def describe(progress: TrainingProgress) -> str:
    """What stands beside the bar."""
    parts = []
    if progress.eta_seconds is not None:
        minutes, seconds = divmod(round(progress.eta_seconds), 60)
        parts.append(f"{minutes}:{seconds:02} left")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.mean_ap is not None:
        parts.append(f"mAP {progress.mean_ap:.4f}")
    return ", ".join(parts)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _read_setting(text: str) -> tuple[str, bool | int | float | str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r}: write NAME=VALUE, such as --set batch=8")
    if value in ("true", "false"):
        return name, value == "true"
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value
