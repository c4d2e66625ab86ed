"""Labels in an HDF5 file, with the frames inside it or beside it.

The file holds `labels (N, A)` with 1, 0 and -1, `attributes (A)`, and either `frames (N, H, W)` or
`paths (N)`; it may hold `source`, `experiment`, `author` and `split`, (N) each, and for paths
`frame (N)`, the place inside a stack.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scatterlens_models.datasets.errors import ForeignLabelError, RowError
from scatterlens_models.datasets.importing.rows import Origin, Row, members_of, origin_of
from scatterlens_models.datasets.importing.tables import row
from scatterlens_models.datasets.importing.words import Words
from scatterlens_models.datasets.members import FrameMember
from scatterlens_models.vocabulary import Vocabulary

TEXTS = ("source", "experiment", "author", "split")


def read_hdf5(
    path: Path,
    vocabulary: Vocabulary,
    frames: Path | None = None,
    origin: Origin | None = None,
    ignored: Collection[str] = (),
) -> list[FrameMember]:
    """Read an HDF5 file; `paths` in it are taken from the folder `frames`.

    Raises:
        DatasetError: what is in the file does not fit together; the message names it.
    """
    try:
        with h5py.File(path, "r") as file:
            found = {name: _array(file, name) for name in ("labels", "attributes", "paths")}
            found |= {name: _array(file, name) for name in (*TEXTS, "frame")}
            inside: Any = file.get("frames")
            stack = None if inside is None else inside.shape
    except OSError as error:
        raise RowError(f"{path} cannot be read as HDF5: {error}") from error
    labels, attributes = found["labels"], found["attributes"]
    if labels is None or attributes is None or labels.shape[1:] != (len(attributes),):
        raise RowError(f"{path} is to hold labels (N, A) and attributes (A)")
    if (stack is None) == (found["paths"] is None):
        raise RowError(f"{path} is to hold either frames (N, H, W) or paths (N)")
    for name, array in found.items():
        if name != "attributes" and array is not None and len(array) != len(labels):
            raise RowError(f"{path}: {name} has {len(array)} entries, labels has {len(labels)}")
    if stack is not None and (len(stack) != 3 or stack[0] != len(labels)):
        raise RowError(f"{path}: frames has the shape {stack}, it is to be ({len(labels)}, H, W)")
    if not np.isin(labels, (1, 0, -1)).all():
        raise ForeignLabelError(f"{path}: labels are to be 1, 0 and -1 alone")
    rows = _rows(path, found, Words(vocabulary, ignored), frames, origin or origin_of(path))
    return members_of(rows, vocabulary)


def _array(file: h5py.File, name: str) -> Any:
    if name not in file:
        return None
    data: Any = file[name]
    return data.asstr()[:] if h5py.check_string_dtype(data.dtype) else data[:]


def _rows(
    path: Path, found: dict[str, Any], words: Words, frames: Path | None, origin: Origin
) -> list[Row]:
    names = [str(name) for name in found["attributes"]]
    at = {name: words.attribute(name, f"attributes of {path.name}") for name in names}
    rows = []
    for n, values in enumerate(found["labels"]):
        said = {key: found[key][n] for key in TEXTS if found[key] is not None}
        inside = found["paths"] is None
        said["file"] = path.name if inside else found["paths"][n]
        said["frame"] = n if inside else None if found["frame"] is None else found["frame"][n]
        judged = {
            index: int(value)
            for name, value in zip(names, values, strict=True)
            if (index := at[name]) is not None and value >= 0
        }
        folder = path.parent if inside else frames or path.parent
        rows.append(row(said, f"entry {n} of {path.name}", judged, folder, origin))
    return rows
