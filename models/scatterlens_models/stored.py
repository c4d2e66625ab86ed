"""The arrays that are kept with an annotation: what is stored, and its bytes.

Apart from `annotate`, because whoever draws pictures needs no onnxruntime.
"""

import io
import json
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scatterlens_models.preprocess import Placement

PREVIEW_SIDE = 1024
"""Longest side of the stored preview, in pixels."""


class NotKeptError(LookupError):
    """A part of the arrays was removed, as it was too old; the text says which."""


@dataclass(frozen=True, eq=False)
class StoredAnnotation:
    """The arrays kept with a result, enough to draw any overlay without the original file.

    Preview and maps may be gone (`without`): who asks for them then gets a `NotKeptError`.
    """

    attribute_maps: np.ndarray
    """(A, h, w) float16."""
    attention_maps: np.ndarray | None
    """(M, h, w) float16, or None."""
    features: np.ndarray
    """(D,) float16."""
    preview: np.ndarray
    """Compressed mean counts (ph, pw) float16; `preprocess.expand` gives counts."""
    preview_mask: np.ndarray
    """True where a preview pixel has no live detector pixel, bool (ph, pw)."""
    mask: np.ndarray
    """Invalid detector pixels, bool (H, W)."""
    placement: Placement

    def __getattr__(self, name: str) -> np.ndarray:
        # Asked only for what an instance does not have.
        for part, arrays in _PARTS.items():
            if name in arrays:
                raise NotKeptError(f"the {part} of this answer was removed, as it was too old")
        raise AttributeError(name)


_PARTS = {
    "preview": ("preview", "preview_mask"),
    "maps": ("attribute_maps", "attention_maps"),
}


def pack(stored: StoredAnnotation) -> bytes:
    """Bytes for the blob store: an npz without pickles, masks as bits, deflated as a whole.

    The fastest level of zlib: the preview of a noisy frame hardly gets smaller at higher ones,
    which cost more time than the network does.
    """
    arrays = {
        "attribute_maps": stored.attribute_maps,
        "features": stored.features,
        "preview": stored.preview,
        "preview_mask": np.packbits(stored.preview_mask),
        "mask": np.packbits(stored.mask),
        "placement": np.frombuffer(json.dumps(stored.placement.to_dict()).encode(), np.uint8),
    }
    if stored.attention_maps is not None:
        arrays["attention_maps"] = stored.attention_maps
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return zlib.compress(buffer.getvalue(), level=1)


def unpack(data: bytes) -> StoredAnnotation:
    """Read `pack` back."""
    with np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False) as arrays:
        placement = Placement.from_dict(json.loads(arrays["placement"].tobytes()))
        found: dict[str, Any] = {
            "features": arrays["features"],
            "mask": _bits(arrays["mask"], placement.shape_yx),
            "placement": placement,
        }
        if "attribute_maps" in arrays.files:
            found["attribute_maps"] = arrays["attribute_maps"]
            has_attention = "attention_maps" in arrays.files
            found["attention_maps"] = arrays["attention_maps"] if has_attention else None
        if "preview" in arrays.files:
            found["preview"] = arrays["preview"]
            found["preview_mask"] = _bits(arrays["preview_mask"], found["preview"].shape)
    stored = object.__new__(StoredAnnotation)
    vars(stored).update(found)
    return stored


def without(data: bytes, part: Literal["preview", "maps"]) -> bytes:
    """Packed arrays less their preview, or less their maps."""
    with np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False) as arrays:
        left = {name: arrays[name] for name in arrays.files if name not in _PARTS[part]}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **left)
    return zlib.compress(buffer.getvalue(), level=1)


def _bits(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    return np.unpackbits(packed, count=count).astype(bool).reshape(shape)
