"""Datasets as files that others read: CSV, JSON, HDF5, Label Studio, COCO.

Each is what the importer of its kind reads again. Paths in them are relative to the file's folder.
Recipes have no files and are not exported; neither are weights, but in CSV and JSON.
"""

import csv
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scatterlens_models.datasets.errors import DatasetError
from scatterlens_models.datasets.importing.tables import FIELDS
from scatterlens_models.datasets.manifest import Manifest
from scatterlens_models.datasets.members import FrameMember, locate

_WORDS = {1: "present", 0: "absent"}


def export(manifest: Manifest, kind: str, out: Path, blobs: Path | None = None) -> int:
    """Write the frames of a dataset as a file of some kind; returns how many there are.

    Args:
        manifest: what to write.
        kind: a name in `KINDS`.
        out: the file; it is replaced where it exists.
        blobs: folder of the blobs of a service, where members are blobs.

    Raises:
        DatasetError: no such kind, or no frames.
        FrameVanishedError: a frame's file is gone.
    """
    if kind not in KINDS:
        raise DatasetError(f"no kind {kind!r} to export; there are {', '.join(KINDS)}")
    if not manifest.frames:
        raise DatasetError("the dataset has recipes alone: `scatterlens synth` writes their frames")
    entries = [_fields(frame, out, blobs) for frame in manifest.frames]
    out.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](out, manifest.vocabulary.ids, manifest.frames, entries)
    return len(entries)


def _fields(frame: FrameMember, out: Path, blobs: Path | None) -> dict[str, Any]:
    """What is said of a frame besides its labels; None where nothing is."""
    path = locate(frame, blobs).resolve()
    values = (
        Path(os.path.relpath(path, out.resolve().parent)).as_posix(),
        frame.index,
        frame.source,
        frame.experiment,
        frame.author,
        frame.split,
        frame.weight,
    )
    return dict(zip(FIELDS, values, strict=True))


def _judged(ids: Sequence[str], frame: FrameMember) -> dict[str, str]:
    return {a: _WORDS[v] for a, v in zip(ids, frame.labels, strict=True) if v >= 0}


def _write_csv(
    out: Path, ids: Sequence[str], frames: list[FrameMember], entries: list[dict[str, Any]]
) -> None:
    with out.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, [*FIELDS, *ids])
        table.writeheader()
        for frame, entry in zip(frames, entries, strict=True):
            table.writerow(entry | _judged(ids, frame))


def _write_json(
    out: Path, ids: Sequence[str], frames: list[FrameMember], entries: list[dict[str, Any]]
) -> None:
    _dump(out, [e | {"labels": _judged(ids, f)} for f, e in zip(frames, entries, strict=True)])


def _write_hdf5(
    out: Path, ids: Sequence[str], frames: list[FrameMember], entries: list[dict[str, Any]]
) -> None:
    text = h5py.string_dtype()
    with h5py.File(out, "w") as file:
        file["labels"] = np.array([frame.labels for frame in frames], np.int8)
        file.create_dataset("attributes", data=list(ids), dtype=text)
        file.create_dataset("paths", data=[entry["file"] for entry in entries], dtype=text)
        file["frame"] = np.array([entry["frame"] or 0 for entry in entries], np.int64)
        for name in ("source", "experiment", "author", "split"):
            file.create_dataset(name, data=[entry[name] or "" for entry in entries], dtype=text)


def _write_label_studio(
    out: Path, ids: Sequence[str], frames: list[FrameMember], entries: list[dict[str, Any]]
) -> None:
    """Tasks with a control for each attribute, named by its id."""
    tasks = []
    for number, (frame, entry) in enumerate(zip(frames, entries, strict=True), start=1):
        results = [
            {"type": "choices", "from_name": a, "to_name": "image", "value": {"choices": [word]}}
            for a, word in _judged(ids, frame).items()
        ]
        data = {key: value for key, value in entry.items() if value is not None and key != "weight"}
        data |= {"image": entry["file"], "frame_id": frame.frame_id}
        annotation = {"id": number, "was_cancelled": False, "result": results}
        tasks.append({"id": number, "data": data, "annotations": [annotation]})
    _dump(out, tasks)


def _write_coco(
    out: Path, ids: Sequence[str], frames: list[FrameMember], entries: list[dict[str, Any]]
) -> None:
    images, annotations = [], []
    for number, (frame, entry) in enumerate(zip(frames, entries, strict=True), start=1):
        named = {k: v for k, v in entry.items() if v is not None and k not in ("file", "weight")}
        negative = [a + 1 for a, value in enumerate(frame.labels) if value == 0]
        own = {"id": number, "file_name": entry["file"], "neg_category_ids": negative}
        images.append({**named, **own})
        annotations += [
            {"image_id": number, "category_id": a + 1}
            for a, value in enumerate(frame.labels)
            if value == 1
        ]
    numbered = [{"id": n} | annotation for n, annotation in enumerate(annotations, start=1)]
    categories = [{"id": a + 1, "name": name} for a, name in enumerate(ids)]
    _dump(out, {"images": images, "categories": categories, "annotations": numbered})


def _dump(out: Path, content: Any) -> None:
    out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


KINDS: dict[str, Callable[..., None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "hdf5": _write_hdf5,
    "label-studio": _write_label_studio,
    "coco": _write_coco,
}
