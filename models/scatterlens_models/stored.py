"""The arrays that are kept with an annotation: what is stored, and its bytes.

Apart from `annotate`, because whoever draws pictures needs no onnxruntime.
"""

import io
import json
import zlib
from dataclasses import dataclass

import numpy as np

from scatterlens_models.preprocess import Placement

PREVIEW_SIDE = 1024
"""Longest side of the stored preview, in pixels."""


@dataclass(frozen=True, eq=False)
class StoredAnnotation:
    """The arrays kept with a result, enough to draw any overlay without the original file."""

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
        small = arrays["preview"]
        return StoredAnnotation(
            arrays["attribute_maps"],
            arrays["attention_maps"] if "attention_maps" in arrays.files else None,
            arrays["features"],
            small,
            _bits(arrays["preview_mask"], small.shape),
            _bits(arrays["mask"], placement.shape_yx),
            placement,
        )


def _bits(packed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    return np.unpackbits(packed, count=count).astype(bool).reshape(shape)
