"""`scatterlens datasets`: import, split, join, show, verify and export datasets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from scatterlens_models.datasets import counting, exporting
from scatterlens_models.datasets.checks import Apart, refuse_missing_positives, verified_path
from scatterlens_models.datasets.counting import SIMULATED
from scatterlens_models.datasets.errors import DatasetError, FrameVanishedError, NoPositivesError
from scatterlens_models.datasets.importing.coco import read_coco
from scatterlens_models.datasets.importing.hdf5 import read_hdf5
from scatterlens_models.datasets.importing.label_studio import read_label_studio
from scatterlens_models.datasets.importing.real_halves import read_real_halves
from scatterlens_models.datasets.importing.rows import Origin, origin_of
from scatterlens_models.datasets.importing.snapshot import read_snapshot
from scatterlens_models.datasets.importing.tables import read_csv, read_json
from scatterlens_models.datasets.importing.tag_files import read_tag_files
from scatterlens_models.datasets.importing.words import Words
from scatterlens_models.datasets.manifest import Manifest, join, read_manifest, write_manifest
from scatterlens_models.datasets.members import FrameMember, RecipeMember, Split
from scatterlens_models.datasets.splitting import split_members
from scatterlens_models.vocabulary import UnknownVocabularyError, Vocabulary, load_vocabulary

datasets = typer.Typer(
    name="datasets", help="Labelled frames to learn from and to judge by.", no_args_is_help=True
)
_console = Console(markup=False)

_READERS = {
    "csv": read_csv,
    "json": read_json,
    "hdf5": read_hdf5,
    "tags": read_tag_files,
    "coco": read_coco,
}
"""Importers that take a file or folder of labels and a folder of frames, and nothing else."""
_KINDS = (*_READERS, "label-studio", "service", "real")

_Manifest = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A dataset.")]
_Out = Annotated[Path, typer.Option(help="File to write; a dataset is never written over.")]
_Vocabulary = Annotated[str, typer.Option(help="aam20, experimental20 or full.")]
_Apart = Annotated[Apart, typer.Option(help="What the splits never share.")]
_Blobs = Annotated[Path | None, typer.Option(help="Folder of a service's blobs.")]


@contextmanager
def _refusals() -> Iterator[None]:
    """Say what is wrong in one line, and end with 1."""
    try:
        yield
    except (DatasetError, UnknownVocabularyError) as error:
        _console.print(str(error), style="red", soft_wrap=True, markup=False)
        raise typer.Exit(1) from None


def _say_written(made: Manifest, out: Path) -> None:
    simulated = sum(recipe.count for recipe in made.recipes)
    _console.print(
        f"{out}: dataset {made.id[:12]}, {len(made.frames)} frames, {simulated} simulated",
        soft_wrap=True,
    )


@datasets.command("import")
def import_command(
    kind: Annotated[str, typer.Argument(help=f"What PATH is: {', '.join(_KINDS)}.")],
    path: Annotated[Path, typer.Argument(exists=True, help="File or folder of labels.")],
    vocabulary: _Vocabulary,
    out: _Out,
    frames: Annotated[Path | None, typer.Option(help="Folder of the frames.")] = None,
    blobs: _Blobs = None,
    source: Annotated[str | None, typer.Option(help="Where PATH names no source.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Where it names none.")] = None,
    author: Annotated[str | None, typer.Option(help="Where it names none.")] = None,
    judged: Annotated[
        list[str] | None, typer.Option(help="Attribute that label-studio offered to be ticked.")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Word that is no attribute.")] = None,
    apart: _Apart = "source",
) -> None:
    """Make a dataset of labelled frames from a file or folder of labels."""
    with _refusals():
        words = load_vocabulary(vocabulary)
        usual = origin_of(path)
        origin = Origin(source or usual.source, experiment, author or usual.author)
        members = _read(kind, path, words, frames, blobs, origin, judged or [], ignore or [])
        _say_written(write_manifest(out, words, members, apart), out)


def _read(
    kind: str,
    path: Path,
    vocabulary: Vocabulary,
    frames: Path | None,
    blobs: Path | None,
    origin: Origin,
    judged: list[str],
    ignored: list[str],
) -> list[FrameMember]:
    if kind in _READERS:
        return _READERS[kind](path, vocabulary, frames, origin, ignored)
    if kind == "label-studio":
        return read_label_studio(path, vocabulary, frames, origin, ignored, judged, blobs)
    if kind == "real":
        return read_real_halves(path, vocabulary)
    if kind != "service":
        raise DatasetError(f"no kind {kind!r} to import; there are {', '.join(_KINDS)}")
    if blobs is None:
        raise DatasetError("the frames of a service are blobs: name their folder by --blobs")
    return read_snapshot(path, vocabulary, blobs, origin.source, ignored)


@datasets.command("recipe")
def recipe_command(
    out: _Out,
    vocabulary: _Vocabulary,
    split: Annotated[Split, typer.Option(help="Which split the frames belong to.")],
    count: Annotated[int, typer.Option(min=1, help="Frames.")],
    profile: Annotated[str, typer.Option(help="realistic or paper.")] = "realistic",
    seed: Annotated[int, typer.Option(min=0)] = 20200907,
    start: Annotated[int, typer.Option(min=0, help="First frame index.")] = 0,
) -> None:
    """Make a dataset of simulated frames; they are made when they are needed."""
    with _refusals():
        member = RecipeMember(profile, seed, start, count, split)
        _say_written(write_manifest(out, load_vocabulary(vocabulary), [member]), out)


@datasets.command("join")
def join_command(
    manifests: Annotated[list[Path], typer.Argument(exists=True, help="Datasets.")],
    out: _Out,
    weight: Annotated[
        list[float] | None,
        typer.Option(help="How often a frame is drawn, for each dataset in turn."),
    ] = None,
    apart: _Apart = "source",
) -> None:
    """Make one dataset of several."""
    with _refusals():
        parts = [read_manifest(path) for path in manifests]
        made = write_manifest(out, parts[0].vocabulary, join(parts, weight), apart)
        _say_written(made, out)


@datasets.command("split")
def split_command(
    manifest: _Manifest,
    out: _Out,
    train: Annotated[float, typer.Option(min=0, max=1, help="Share of the frames.")] = 0.8,
    validation: Annotated[float, typer.Option(min=0, max=1)] = 0.1,
    test: Annotated[float, typer.Option(min=0, max=1)] = 0.1,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    within: Annotated[
        Split | None, typer.Option(help="Divide this split anew; else what has none.")
    ] = None,
    apart: _Apart = "source",
) -> None:
    """Divide frames by source or experiment, never by frame."""
    with _refusals():
        read = read_manifest(manifest)
        shares: dict[Split, float] = {"train": train, "validation": validation, "test": test}
        members = split_members(read.members, apart, shares, seed, within)
        _say_written(write_manifest(out, read.vocabulary, members, apart), out)


@datasets.command("show")
def show_command(manifest: _Manifest) -> None:
    """Count frames and labels by split, source and attribute."""
    with _refusals():
        read = read_manifest(manifest)
    parts = counting.parts(read)
    _console.print(f"dataset {read.id}, {read.vocabulary.name}, {read.apart}s kept apart")
    _console.print(_source_table(parts))
    _console.print(_attribute_table(parts, read.vocabulary))


def _source_table(parts: list[counting.Part]) -> Table:
    table = Table("split", "source", "frames", "experiments", "% of draws")
    for part in parts:
        name = part.split or "none yet"
        # Only training draws; what judges counts every frame once.
        drawn = {s: f"{100 * p:.1f}" for s, p in part.drawn.items() if part.split == "train"}
        for source, (frames, experiments) in sorted(part.sources.items()):
            table.add_row(name, source, str(frames), str(experiments), drawn.get(source, ""))
        if part.simulated:
            simulated = drawn.get(SIMULATED, "")
            table.add_row(name, SIMULATED, str(part.simulated), "", simulated)
    return table


def _attribute_table(parts: list[counting.Part], vocabulary: Vocabulary) -> Table:
    """Present, absent and unknown in each split, of the frames that have files."""
    heads = [f"{part.split or 'none yet'}: present, absent, unknown" for part in parts]
    table = Table("attribute", *heads, title="without simulated frames")
    for a, name in enumerate(vocabulary.ids):
        counts = [
            " ".join(f"{int(np.sum(part.labels[:, a] == value)):5}" for value in (1, 0, -1))
            for part in parts
        ]
        table.add_row(name, *counts)
    return table


@datasets.command("verify")
def verify_command(
    manifest: _Manifest,
    blobs: _Blobs = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help="Must be shown in every split; default: all must.")
    ] = None,
) -> None:
    """Check hash, splits, every frame's file, and that each split shows each attribute."""
    with _refusals():
        read = read_manifest(manifest)
        named = Words(read.vocabulary).attributes(attribute or (), "--attribute")
        wanted = [read.vocabulary.ids[index] for index in named] or None
        faults: list[str] = []
        digests: dict[Path, str] = {}
        for frame in read.frames:
            try:
                verified_path(frame, blobs, digests)
            except FrameVanishedError as error:
                faults.append(str(error))
        for part in counting.parts(read):
            if part.split is None or part.simulated:
                continue
            try:
                refuse_missing_positives(part.labels, read.vocabulary, part.split, wanted)
            except NoPositivesError as error:
                faults.append(str(error))
        if faults:
            raise DatasetError("\n".join(faults))
    _console.print(f"{manifest}: every frame is the one that was labelled", soft_wrap=True)
    if any(part.simulated for part in counting.parts(read)):
        _console.print("splits with simulated frames were not asked for positives of attributes")


@datasets.command("export")
def export_command(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(exporting.KINDS)}.")],
    manifest: _Manifest,
    out: Annotated[Path, typer.Option(help="File to write.")],
    blobs: _Blobs = None,
) -> None:
    """Write the labels as a file that other programs read, with paths to the frames."""
    with _refusals():
        read = read_manifest(manifest)
        count = exporting.export(read, kind, out, blobs)
    left = f"; {len(read.recipes)} recipes have no files" if read.recipes else ""
    _console.print(f"{count} frames in {out}{left}", soft_wrap=True)
