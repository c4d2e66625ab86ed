"""A frame and all that was said of it as one NeXus file, made from arrays that are kept.

Laid out as NXsas asks, with an NXprocess for each model and one NXcollection of labels. What is
not known (the source, the monitor, the sample's tilt) is left out, not made up.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

import h5py
import numpy as np

from scatterlens.schemas import GeometryIn
from scatterlens_models.stored import StoredAnnotation
from scatterlens_service import ledger

_LARGEST_INT = 2**31


@dataclass(frozen=True, eq=False)
class Said:
    """What one model says about the frame."""

    row: ledger.StoredAnnotation
    arrays: StoredAnnotation
    attention_names: tuple[str, ...]
    """Empty where the bundle is no longer installed."""


def write_nexus(
    frame: ledger.FrameRow,
    pixels: np.ndarray,
    geometry: GeometryIn | None,
    said: Sequence[Said],
    labels: Sequence[ledger.LabelRow],
) -> bytes:
    """Bytes of an HDF5 file; `pixels` are counts (H, W) float32, NaN where masked."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs.update(default="entry", creator=f"scatterlens {version('scatterlens')}")
        entry = _group(file, "entry", "NXentry", default="data")
        entry["definition"] = "NXsas"
        entry["title"] = frame.filename or frame.frame_id
        entry["entry_identifier"] = frame.frame_id
        _fill(entry, experiment_identifier=frame.proposal, collection_identifier=frame.scan)
        entry["submitted"] = _time(frame.submitted)
        _write_instrument(entry, frame, pixels, geometry)
        sample = _group(entry, "sample", "NXsample")
        sample["name"] = frame.sample or "unknown"
        motors = _group(sample, "positioners", "NXcollection")
        for name, value in frame.motors.items():
            motors.create_dataset(name.replace("/", "_"), data=value)
        data = _group(entry, "data", "NXdata", signal="data")
        data["data"] = h5py.SoftLink("/entry/instrument/detector/data")
        for number, one in enumerate(said, 1):
            _write_annotation(_group(entry, f"annotation_{number}", "NXprocess"), one, number)
        _write_labels(_group(entry, "labels", "NXcollection"), labels)
    return stream.getvalue()


def _write_instrument(
    entry: h5py.Group, frame: ledger.FrameRow, pixels: np.ndarray, geometry: GeometryIn | None
) -> None:
    instrument = _group(entry, "instrument", "NXinstrument")
    _fill(instrument, name=frame.beamline)
    detector = _group(instrument, "detector", "NXdetector")
    masked = np.isnan(pixels)
    counts = detector.create_dataset(
        "data", data=_whole(np.where(masked, 0, pixels)), **_compression(pixels.shape)
    )
    counts.attrs.update(units="counts", signal=1)
    mask = detector.create_dataset(
        "pixel_mask", data=masked.astype(np.uint32), **_compression(pixels.shape)
    )
    mask.attrs["meaning"] = "1 = not to be used; such pixels are 0 in data"
    header = _group(detector, "header", "NXcollection")
    for name, value in frame.header.items():
        header.attrs[name] = value if isinstance(value, int | float) else str(value)[:1000]
    if geometry is None:
        return
    pixel_y, pixel_x = geometry.pixel_size_m
    center_y, center_x = geometry.beam_center_yx
    for name, value, units in (
        ("distance", geometry.distance_m, "m"),
        ("x_pixel_size", pixel_x, "m"),
        ("y_pixel_size", pixel_y, "m"),
        ("beam_center_x", center_x, "pixel"),
        ("beam_center_y", center_y, "pixel"),
    ):
        _measured(detector, name, value, units)
    monochromator = _group(instrument, "monochromator", "NXmonochromator")
    _measured(monochromator, "wavelength", geometry.wavelength_m * 1e10, "angstrom")


def _write_annotation(process: h5py.Group, one: Said, number: int) -> None:
    scores, arrays = one.row.scores, one.arrays
    process["program"] = "scatterlens"
    process["sequence_index"] = number
    process["model"] = one.row.model.name
    process["version"] = one.row.model.version
    if one.row.time is not None:
        process["date"] = _time(one.row.time)
    _fill(process, novelty=one.row.novelty, mask_fraction=one.row.mask_fraction)
    process["attributes"] = _names([score.id for score in scores])
    process["probabilities"] = np.array([score.probability for score in scores])
    process["thresholds"] = np.array([score.threshold for score in scores])
    process["tags"] = np.array([score.tag for score in scores], np.uint8)
    process["attribute_maps"] = arrays.attribute_maps
    if arrays.attention_maps is not None:
        process["attention_maps"] = arrays.attention_maps
        if one.attention_names:
            process["attention_names"] = _names(one.attention_names)
    placement = _group(process, "placement", "NXcollection")
    placement.attrs["meaning"] = (
        "Network pixel i lies at detector row (i + 0.5 - pad) / scale - 0.5; a map of h rows has "
        "cells of size / h network pixels."
    )
    for name, value in arrays.placement.to_dict().items():
        placement[name] = value


def _write_labels(group: h5py.Group, labels: Sequence[ledger.LabelRow]) -> None:
    group.attrs["meaning"] = "region: corners (row, col) in detector pixels, as JSON"
    for name, values in (
        ("attribute", [label.attribute for label in labels]),
        ("author", [label.author for label in labels]),
        ("value", [label.value or "" for label in labels]),
        ("region", [json.dumps(label.region or []) for label in labels]),
        ("note", [label.note or "" for label in labels]),
        ("time", [_time(label.time) for label in labels]),
    ):
        group[name] = _names(values)


def _group(parent: h5py.Group, name: str, nexus_class: str, **attributes: Any) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs.update(NX_class=nexus_class, **attributes)
    return group


def _fill(group: h5py.Group, **values: str | float | None) -> None:
    for name, value in values.items():
        if value is not None:
            group[name] = value


def _measured(group: h5py.Group, name: str, value: float, units: str) -> None:
    group.create_dataset(name, data=value).attrs["units"] = units


def _names(values: Sequence[str]) -> np.ndarray:
    return np.array(list(values), dtype=h5py.string_dtype())


def _whole(counts: np.ndarray) -> np.ndarray:
    """Counts as int32 where they are whole numbers: smaller, and what other programs expect."""
    if np.abs(counts).max(initial=0) < _LARGEST_INT and np.array_equal(counts, np.rint(counts)):
        return counts.astype(np.int32)
    return counts.astype(np.float32)


def _compression(shape: tuple[int, ...]) -> dict[str, Any]:
    rows = min(shape[0], 128)
    return {
        "chunks": (rows, shape[1]),
        "shuffle": True,
        "compression": "gzip",
        "compression_opts": 1,
    }


def _time(time: datetime) -> str:
    return time.isoformat()
