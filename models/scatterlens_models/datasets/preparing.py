"""Frames of a dataset as a network takes them, decoded and prepared as in the service."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from scatterlens_models.datasets.checks import verified_path
from scatterlens_models.datasets.errors import DatasetError
from scatterlens_models.datasets.members import FrameMember
from scatterlens_models.decoding import DecodeChild, DecodeCrashed, FrameRejected
from scatterlens_models.preprocess import PreprocessSpec, prepare


def prepare_members(
    frames: Sequence[FrameMember], spec: PreprocessSpec, blobs: Path | None = None
) -> Iterator[np.ndarray]:
    """Decode and prepare frames, one after another: (2, S, S) float32.

    Raises:
        FrameVanishedError: a frame is gone or is another than the one that was labelled.
        DatasetError: a frame cannot be decoded.
    """
    if not frames:
        return
    digests: dict[Path, str] = {}
    with DecodeChild() as child:
        for member in frames:
            path = verified_path(member, blobs, digests)
            try:
                frame = child.decode(path, member.index or 0)
            except (FrameRejected, DecodeCrashed) as error:
                raise DatasetError(f"{path} cannot be learned from: {error}") from error
            yield prepare(frame, spec)[0]
