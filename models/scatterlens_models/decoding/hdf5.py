"""HDF5 and NeXus: vetted first without touching data, then one image read.

A dataset can point at any file of the machine (external storage, virtual datasets), and some
filters crash on damaged chunks or give out heap memory. So the file is walked along its hard
links only, and what a dataset is made of is checked before a byte of it is read.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import h5py
import hdf5plugin  # noqa: F401 - registers the filters
import numpy as np
from h5py import h5d, h5f, h5l, h5o  # pyright: ignore[reportAttributeAccessIssue]

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.raw import (
    Header,
    RawImage,
    check_frames,
    check_image_shape,
    check_index,
    describe_shape,
    tidy,
)
from scatterlens_models.decoding.verdicts import FrameRejected, Probe
from scatterlens_models.geometry import HC_EV_M, Geometry, believable_geometry

FILTERS = {
    1: "deflate",
    2: "shuffle",
    3: "fletcher32",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32015: "zstd",
    32026: "blosc2",
}
"""Registered numbers of the filters that are read.

Nbit, scale-offset and szip are not among them: open faults in them give out heap memory.
"""
_USUAL_PATHS = (
    "entry/data/data",
    "entry/instrument/detector/data",
    "imageseries/images",
    "entry/data/frames",
)
_NOT_IMAGES = ("mask", "flat", "dark", "trim", "gain", "background", "table", "correction")
_SMALLEST_SIDE = 16
"""Of a dataset that is an image by nothing but its size."""
_MAX_OBJECTS = 20_000
_MAX_DEPTH = 32
_MOTOR_PLACES = (
    "sample/positioners/",
    "instrument/positioners/",
    "positioners/",
    "sample/goniometer/",
    "sample/transformations/",
)
"""Of NXcollection, NXpositioner and NXtransformations, within the entry."""
_NOT_POSITIONS = ("_end", "_set", "_increment", "_range_average", "_range_total")
_MAX_POSITION_BYTES = 2**24
"""Of a chunk: a motor has one number for each image."""
_MAX_MOTORS = 200
_GOOD_BITS = 0xFFFF
"""Of a NeXus pixel mask: bits 16 to 31 speak of pixels that are computed but usable."""
_METRES = {
    "m": 1.0,
    "cm": 1e-2,
    "mm": 1e-3,
    "um": 1e-6,
    "µm": 1e-6,
    "micrometer": 1e-6,
    "micron": 1e-6,
    "nm": 1e-9,
    "angstrom": 1e-10,
    "å": 1e-10,
    "a": 1e-10,
}


@dataclass(frozen=True)
class _Entry:
    dataset: h5py.Dataset
    problem: str | None
    """Why the dataset must not be read, or None."""


def probe_hdf5(data: bytes, limits: DecodeLimits) -> Probe:
    """Find the images and their number."""
    with _open(data) as file:
        dataset = _image_dataset(file, limits)
        shape = dataset.shape
        return Probe("hdf5", shape, shape[0] if len(shape) == 3 else 1)


def read_hdf5(data: bytes, index: int, limits: DecodeLimits) -> RawImage:
    """Read one image, with the pixel mask, ceiling and geometry beside it."""
    with _open(data) as file:
        entries = dict(_walk(file))
        dataset = _image_dataset(file, limits, entries)
        frames = dataset.shape[0] if dataset.ndim == 3 else 1
        check_index(index, frames)
        counts = dataset[index] if dataset.ndim == 3 else dataset[()]
        detector = _Neighbours(entries, dataset)
        return RawImage(
            counts=counts,
            header=detector.header(),
            geometry=detector.geometry(),
            motors=detector.motors(index, frames),
            invalid=detector.invalid(index, counts.shape, limits),
            ceiling=detector.number("saturation_value")
            or detector.number("detectorSpecific/countrate_correction_count_cutoff"),
            top_is_invalid=True,
        )


def _open(data: bytes) -> h5py.File:
    return h5py.File(h5f.open_file_image(data))


def _walk(file: h5py.File) -> Iterator[tuple[str, _Entry]]:
    """All datasets by path along hard links, each with the reason not to read it."""
    pending: list[tuple[h5py.Group, str, int]] = [(file, "", 0)]
    objects = 0
    seen = set()
    while pending:
        group, path, depth = pending.pop()
        for name in group:
            objects += 1
            if objects > _MAX_OBJECTS:
                raise FrameRejected(
                    "too_large",
                    "Too many objects",
                    f"The HDF5 file holds more than {_MAX_OBJECTS} groups and datasets.",
                    "Save the images into a file of their own.",
                )
            # Soft links lead to what a hard link reaches too; others lead out of the file.
            link = group.id.links.get_info(str(name).encode())
            if link.type != h5l.TYPE_HARD:
                continue
            item = group[name]
            address = h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Group) and depth < _MAX_DEPTH:
                pending.append((item, f"{path}{name}/", depth + 1))
            elif isinstance(item, h5py.Dataset):
                yield f"{path}{name}", _Entry(item, _problem(item))


def _problem(dataset: h5py.Dataset) -> str | None:
    creation = dataset.id.get_create_plist()
    if creation.get_external_count() or creation.get_layout() == h5d.VIRTUAL:
        return "stores its data in another file"
    filters = {creation.get_filter(i)[0] for i in range(creation.get_nfilters())}
    if filters - set(FILTERS):
        return f"uses the HDF5 filters {sorted(filters - set(FILTERS))}"
    return None


def _image_dataset(
    file: h5py.File, limits: DecodeLimits, entries: dict[str, _Entry] | None = None
) -> h5py.Dataset:
    """The dataset that holds the images, checked against what may be read."""
    found = dict(_walk(file)) if entries is None else entries
    entry = _choose(file, found)
    if entry is None:
        raise FrameRejected(
            "no_image",
            "No image inside",
            "The HDF5 file holds no image of its own; links to other files are not followed.",
            "Send the file that holds the frames, such as ..._data_000001.h5 beside a master.",
        )
    dataset = entry.dataset
    if entry.problem:
        elsewhere = "another file" in entry.problem
        raise FrameRejected(
            "forbidden" if elsewhere else "unsupported",
            "Data in another file" if elsewhere else "Filter not read",
            f"The dataset of the images {entry.problem}.",
            "Copy it into one plain file, for example with h5repack.",
        )
    if dataset.ndim > 3:
        raise FrameRejected(
            "unsupported",
            "Too many dimensions",
            f"The images have the shape {describe_shape(dataset.shape)}.",
            "Save them as (rows, cols) or (frames, rows, cols).",
        )
    if 0 in dataset.shape:
        raise FrameRejected(
            "no_image",
            "No frame inside",
            f"The images have the shape {describe_shape(dataset.shape)}.",
            "Send the file once frames are written to it.",
        )
    check_image_shape(dataset.shape[-2:], limits)
    check_frames(dataset.shape[0] if dataset.ndim == 3 else 1, limits)
    if _chunk_bytes(dataset) > limits.decompressed_bytes:
        raise FrameRejected(
            "too_large",
            "Chunks too large",
            f"One chunk of the images unpacks to {_chunk_bytes(dataset) >> 20} MiB.",
            "Save the images with one frame in each chunk.",
        )
    return dataset


def _choose(file: h5py.File, entries: dict[str, _Entry]) -> _Entry | None:
    """Image dataset by the NeXus signal, then by usual paths, then by size."""
    for path in [*_signal_paths(file, entries), *_USUAL_PATHS]:
        if path in entries and _is_stack(entries[path].dataset):
            return entries[path]
    images = [
        entry
        for path, entry in entries.items()
        if _is_stack(entry.dataset)
        and min(entry.dataset.shape[-2:]) >= _SMALLEST_SIDE
        and not any(word in path.lower() for word in _NOT_IMAGES)
    ]
    return max(images, key=lambda entry: entry.dataset.size or 0, default=None)


def _signal_paths(file: h5py.File, entries: dict[str, _Entry]) -> Iterator[str]:
    """Paths that NXdata groups name as their signal."""
    for path in dict.fromkeys(path.rpartition("/")[0] for path in entries):
        if not path:
            continue
        attributes = file[path].attrs
        if _text(attributes.get("NX_class")) == "NXdata" and "signal" in attributes:
            yield f"{path}/{_text(attributes['signal'])}"


def _chunk_bytes(dataset: h5py.Dataset) -> int:
    """Size of one unpacked chunk; 0 for data that is not chunked."""
    return math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0


def _is_stack(dataset: h5py.Dataset) -> bool:
    return dataset.dtype.kind in "iuf" and dataset.ndim >= 2 and min(dataset.shape[-2:]) != 1


class _Neighbours:
    """What stands beside the images: detector and beam of the same entry."""

    def __init__(self, entries: dict[str, _Entry], dataset: h5py.Dataset) -> None:
        self._entries = entries
        self._entry = (dataset.name or "/").strip("/").split("/")[0]

    def header(self) -> Header:
        """Single values of the detector and the beam, by their last names."""
        found: dict[str, object] = {}
        for prefix in (f"{self._entry}/instrument/detector/", f"{self._entry}/instrument/beam/"):
            for path, entry in self._entries.items():
                name = path.removeprefix(prefix)
                if path.startswith(prefix) and "/" not in name and entry.dataset.size == 1:
                    value = self._value(path)
                    if value is not None:
                        found[name] = value
        return tidy(found)

    def geometry(self) -> Geometry | None:
        """Distance, wavelength, pixel size and beam centre, where all are stated."""
        distance = self._length("detector/detector_distance") or self._length("detector/distance")
        wavelength = self._length("beam/incident_wavelength")
        energy = self.number("beam_energy") or self.number("collection/beam_energy")
        sizes = self._length("detector/y_pixel_size"), self._length("detector/x_pixel_size")
        beam = self.number("beam_center_y"), self.number("beam_center_x")
        return believable_geometry(
            distance_m=distance,
            wavelength_m=wavelength or (HC_EV_M / energy if energy else None),
            pixel_size_m=(sizes[0], sizes[1]) if sizes[0] and sizes[1] else None,
            beam_center_yx=(beam[0], beam[1])
            if beam[0] is not None and beam[1] is not None
            else None,
        )

    def motors(self, index: int, frames: int) -> dict[str, float]:
        """Positions of one image: those of the sample's stage, one for each image or for all."""
        found: dict[str, float] = {}
        for path, entry in self._entries.items():
            name = self._motor(path)
            dataset = entry.dataset
            if name is None or entry.problem or dataset.dtype.kind not in "iuf" or dataset.ndim > 1:
                continue
            if dataset.size not in (1, frames) or _chunk_bytes(dataset) > _MAX_POSITION_BYTES:
                continue
            value = float(np.ravel(dataset[()])[index if dataset.size == frames > 1 else 0])
            if math.isfinite(value):
                found.setdefault(name, value)
        return dict(list(found.items())[:_MAX_MOTORS])

    def _motor(self, path: str) -> str | None:
        """Name of the motor whose positions lie at a path; None where these are something else."""
        place = path.removeprefix(f"{self._entry}/")
        for prefix in _MOTOR_PLACES:
            if path != place and place.startswith(prefix):
                name, _, rest = place.removeprefix(prefix).partition("/")
                # An NXpositioner keeps its position in `value`.
                if rest in ("", "value") and not name.endswith(_NOT_POSITIONS):
                    return name[:100]
        return None

    def invalid(
        self, index: int, shape: tuple[int, ...], limits: DecodeLimits
    ) -> np.ndarray | None:
        """Pixels that the file's pixel mask rules out, bool (rows, cols)."""
        for name in ("pixel_mask", "detectorSpecific/pixel_mask"):
            entry = self._entries.get(f"{self._entry}/instrument/detector/{name}")
            if entry is None or entry.problem or entry.dataset.dtype.kind not in "iu":
                continue
            mask = entry.dataset
            if _chunk_bytes(mask) > limits.decompressed_bytes:
                continue
            if mask.shape == shape:
                return (mask[()] & _GOOD_BITS) != 0
            if mask.ndim == 3 and mask.shape[1:] == shape and mask.shape[0] >= 1:
                return (mask[min(index, mask.shape[0] - 1)] & _GOOD_BITS) != 0
        return None

    def number(self, name: str) -> float | None:
        """A single number of the detector, None where it is absent or not positive."""
        value = self._value(f"{self._entry}/instrument/detector/{name}")
        return float(value) if isinstance(value, int | float) and value > 0 else None

    def _length(self, name: str) -> float | None:
        """A single length in metres; one without a known unit is not guessed at."""
        path = f"{self._entry}/instrument/{name}"
        value = self._value(path)
        if not isinstance(value, int | float) or value <= 0:
            return None
        unit = _text(self._entries[path].dataset.attrs.get("units")).lower()
        return value * _METRES[unit] if unit in _METRES else None

    def _value(self, path: str) -> str | int | float | None:
        entry = self._entries.get(path)
        if entry is None or entry.problem or entry.dataset.size != 1:
            return None
        if entry.dataset.dtype.kind not in "iufSO":
            return None
        value = entry.dataset[()]
        if isinstance(value, np.ndarray):
            value = value.ravel()[0]
        return value.item() if isinstance(value, np.number) else _text(value)


def _text(value: object) -> str:
    """Attribute or string dataset as text, `b'...'` undone."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value if value is not None else "").strip()
    return text[2:-1] if text.startswith("b'") and text.endswith("'") else text
