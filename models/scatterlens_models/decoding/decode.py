"""Bytes of one file to a frame, in this process.

Only the process that `child.py` limits should call this on files from elsewhere.
"""

from collections.abc import Callable

from scatterlens_models.decoding.braced import probe_edf, probe_smv, read_edf, read_smv
from scatterlens_models.decoding.cbf import probe_cbf, read_cbf
from scatterlens_models.decoding.hdf5 import probe_hdf5, read_hdf5
from scatterlens_models.decoding.legacy import (
    probe_bruker,
    probe_mar345,
    read_bruker,
    read_mar345,
)
from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.masks import Planes, new_planes, to_frame
from scatterlens_models.decoding.pictures import probe_picture, read_picture
from scatterlens_models.decoding.plain import (
    probe_int32,
    probe_npy,
    probe_spe,
    read_int32,
    read_npy,
    read_spe,
)
from scatterlens_models.decoding.raw import Reader, check_image_shape
from scatterlens_models.decoding.sniff import HEAD_BYTES, refused_name, sniff
from scatterlens_models.decoding.tiff import probe_tiff, read_tiff
from scatterlens_models.decoding.verdicts import FrameRejected, Probe
from scatterlens_models.decoding.wrapping import unwrap
from scatterlens_models.frame import Frame

READERS: dict[str, Reader] = {
    "bruker": Reader(probe_bruker, read_bruker),
    "cbf": Reader(probe_cbf, read_cbf),
    "edf": Reader(probe_edf, read_edf),
    "hdf5": Reader(probe_hdf5, read_hdf5),
    "int32": Reader(probe_int32, read_int32),
    "jpeg": Reader(probe_picture, read_picture),
    "mar345": Reader(probe_mar345, read_mar345),
    "npy": Reader(probe_npy, read_npy),
    "png": Reader(probe_picture, read_picture),
    "smv": Reader(probe_smv, read_smv),
    "spe": Reader(probe_spe, read_spe),
    "tiff": Reader(probe_tiff, read_tiff),
}
"""By the names that `sniff` gives."""


def decode_frame(
    data: bytes,
    index: int = 0,
    limits: DecodeLimits | None = None,
    allocate: Callable[[tuple[int, int]], Planes] = new_planes,
) -> Frame:
    """Decode image number `index` of a file; `FrameRejected` says why it cannot be.

    The arrays of the frame lie in what `allocate` gives.
    """
    limits = limits or DecodeLimits()
    content, name = _content(data, limits)
    try:
        raw = READERS[name].read(content, index, limits)
    except (FrameRejected, MemoryError):
        raise
    except Exception as error:
        raise _unreadable(name) from error
    return to_frame(raw, name, allocate)


def probe_frames(data: bytes, limits: DecodeLimits | None = None) -> Probe:
    """Format, stored shape and number of images; `FrameRejected` as for decoding."""
    limits = limits or DecodeLimits()
    content, name = _content(data, limits)
    try:
        found = READERS[name].probe(content, limits)
        check_image_shape(found.shape[-2:], limits)
        return found
    except (FrameRejected, MemoryError):
        raise
    except Exception as error:
        raise _unreadable(name) from error


def _content(data: bytes, limits: DecodeLimits) -> tuple[bytes, str]:
    """The file without its wrapper, and its format."""
    if not data:
        raise FrameRejected(
            "empty", "Empty file", "The file has 0 bytes.", "Send it once it is written."
        )
    name = sniff(data[:HEAD_BYTES], len(data))
    if name in ("gzip", "bzip2"):
        data = unwrap(data, name, limits)
        name = sniff(data[:HEAD_BYTES], len(data))
    if name not in READERS:
        known = refused_name(data[:HEAD_BYTES])
        raise FrameRejected(
            "unsupported",
            "Format not read",
            f"The content is that of {known}." if known else "The content is of no known format.",
            "Send EDF, CBF, TIFF, HDF5/NeXus, SMV, SPE, MarCCD, Mar345, Bruker, npy, PNG or JPEG.",
        )
    return data, name


def _unreadable(name: str) -> FrameRejected:
    """Verdict on whatever a reader raised: its words are for the log, not for clients."""
    return FrameRejected(
        "unreadable",
        f"Damaged {name.upper()} file",
        "The content starts like this format but could not be read.",
        "Open it with the detector's software, and write or copy it again.",
    )
