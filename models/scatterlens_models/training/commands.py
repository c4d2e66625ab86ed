"""`scatterlens transfer`: adapt a bundle to a beamline. Heavy imports come on use."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scatterlens_models.bundle import Bundle, BundleError, bundle_folder, load_bundle

_console = Console()


def transfer(
    base: Annotated[str, typer.Argument(help="Folder of a bundle, or a shipped name.")],
    labels: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="CSV as `datasets import csv` reads it."),
    ],
    frames: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of the labelled files.")
    ],
    bundle: Annotated[Path, typer.Option(help="Write the new bundle to this folder.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the model; default: that of the folder.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    always: Annotated[
        bool, typer.Option(help="Take every new head, better or not than the one there is.")
    ] = False,
) -> None:
    """Adapt a bundle to a beamline from a few labelled frames."""
    import numpy as np

    from scatterlens_models.datasets.counting import labels_of
    from scatterlens_models.datasets.errors import DatasetError
    from scatterlens_models.datasets.importing.tables import read_csv
    from scatterlens_models.datasets.preparing import prepare_members
    from scatterlens_models.training.head_graph import BaseGraphError
    from scatterlens_models.training.transfer import TransferError
    from scatterlens_models.training.transfer import transfer as adapt

    if (bundle.exists() and not (bundle / "bundle.json").is_file()) or bundle.is_file():
        raise typer.BadParameter(f"{bundle} exists and is no bundle: name a folder of its own")
    try:
        loaded = load_bundle(bundle_folder(base))
        if bundle.resolve() == loaded.path.resolve():
            raise typer.BadParameter("--bundle is the bundle to start from: name another folder")
        members = read_csv(labels, loaded.vocabulary, frames)
        made = adapt(
            loaded,
            np.stack(list(prepare_members(members, loaded.preprocess))),
            labels_of(members, len(loaded.vocabulary.ids)),
            [member.frame_id for member in members],
            bundle,
            name or bundle.name,
            seed,
            always,
        )
    except (BundleError, DatasetError, TransferError, BaseGraphError) as error:
        _console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(1) from None
    _show(made)


def _show(made: Bundle) -> None:
    table = Table("attribute", "head", "present", "absent", "AP, not seen", "why")
    for entry in made.content["heads"]:
        reached = entry.get("held_out_ap")
        table.add_row(
            entry["attribute"],
            entry["head"],
            str(entry["present"]),
            str(entry["absent"]),
            "-" if reached is None else f"{reached:.3f}",
            entry.get("reason", ""),
        )
    _console.print(table)
    _console.print(f"bundle {made.name} {made.version} in {made.path}")
