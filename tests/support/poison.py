"""A file that crashes its reader, for real."""

import io
import tempfile
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from scatterlens_models.decoding import DecodeChild, DecodeCrashed, FrameRejected

_TRIES = 2000


def make_poison() -> bytes:
    """An HDF5 image whose damaged bitshuffle-LZ4 chunk kills the decoding process each time.

    About one in fifty damaged chunks does; which ones depends on the installed library, so they
    are tried.
    """
    counts = np.random.default_rng(0).poisson(5, (256, 256)).astype(np.uint32)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        data = file.create_dataset(
            "entry/data/data", data=counts, chunks=counts.shape, **hdf5plugin.Bitshuffle()
        )
        chunk = data.id.get_chunk_info(0)
    sound = stream.getvalue()
    with DecodeChild() as child, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame"
        for seed in range(_TRIES):
            random = np.random.default_rng(seed)
            damaged = bytearray(sound)
            for offset in random.integers(chunk.byte_offset, chunk.byte_offset + chunk.size, 32):
                damaged[offset] = random.integers(256)
            path.write_bytes(damaged)
            if all(_crashes(child, path) for _ in range(3)):
                return bytes(damaged)
    raise RuntimeError(f"none of {_TRIES} damaged chunks crashed its reader")


def _crashes(child: DecodeChild, path: Path) -> bool:
    try:
        child.decode(path)
    except FrameRejected:
        return False
    except DecodeCrashed:
        return True
    return False
