"""Small detector files of every kind, made for the purpose."""

import io
import struct
import tempfile
from pathlib import Path

import h5py
import numpy as np
import tifffile
from fabio.cbfimage import CbfImage
from PIL import Image

COUNTS = np.random.default_rng(0).poisson(3.0, (40, 60)).astype(np.int32)
"""An image of 40 x 60 pixels with low counts."""


def edf(counts: np.ndarray = COUNTS, data_type: str = "SignedInteger", **entries: object) -> bytes:
    """One EDF block; `entries` add to the header or replace what stands there."""
    lines = {
        "ByteOrder": "LowByteFirst",
        "DataType": data_type,
        "Dim_1": counts.shape[1],
        "Dim_2": counts.shape[0],
        "Size": counts.nbytes,
        **entries,
    }
    text = "{\n" + "".join(f"{key} = {value} ;\n" for key, value in lines.items())
    return text.encode().ljust(510) + b"}\n" + counts.tobytes()


def smv(counts: np.ndarray = COUNTS, **entries: object) -> bytes:
    """An ADSC file of unsigned 16-bit counts."""
    lines = {
        "HEADER_BYTES": 512,
        "DIM": 2,
        "BYTE_ORDER": "little_endian",
        "TYPE": "unsigned_short",
        "SIZE1": counts.shape[1],
        "SIZE2": counts.shape[0],
        **entries,
    }
    text = "{\n" + "".join(f"{key}={value};\n" for key, value in lines.items()) + "}\n"
    return text.encode().ljust(512) + counts.astype("<u2").tobytes()


def cbf(counts: np.ndarray = COUNTS) -> bytes:
    """A CBF as fabio writes it, checksum included."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.cbf"
        CbfImage(data=counts).write(str(path))
        return path.read_bytes()


def npy(array: np.ndarray = COUNTS, allow_pickle: bool = False) -> bytes:
    """What `np.save` writes."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def tiff(*pages: np.ndarray, **options: object) -> bytes:
    """A TIFF with these pages."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for page in pages or (COUNTS,):
            writer.write(page, photometric="minisblack", metadata=None, **options)
    return stream.getvalue()


def hdf5(datasets: dict[str, object], **options: object) -> bytes:
    """An HDF5 file with datasets by path; `options` are those of `create_dataset`."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for path, data in datasets.items():
            file.create_dataset(path, data=data, **(options if np.ndim(data) >= 2 else {}))
    return stream.getvalue()


def picture(pixels: np.ndarray, format_name: str) -> bytes:
    """A PNG or JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format_name)
    return stream.getvalue()


def spe(stack: np.ndarray) -> bytes:
    """An SPE file of unsigned 16-bit frames (frames, rows, cols)."""
    header = bytearray(4100)
    struct.pack_into("<h", header, 108, 3)
    struct.pack_into("<H", header, 42, stack.shape[2])
    struct.pack_into("<H", header, 656, stack.shape[1])
    struct.pack_into("<i", header, 1446, stack.shape[0])
    header[4098:4100] = b"UU"
    return bytes(header) + stack.astype("<u2").tobytes()
