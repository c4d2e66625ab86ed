"""Memory for pixels that the decoding process fills and its owner reads."""

import mmap
import os

import numpy as np

from scatterlens_models.decoding.masks import Planes

_BYTES_PER_PIXEL = 6  # float32 count, mask, saturated
_KEPT_BYTES = 96 << 20


class PixelMemory:
    """Owns anonymous memory for the largest frame allowed; pages never written cost nothing.

    It is used again for every frame: fresh pages of shared memory cost more than the decoding
    itself (13 ms for a 2.5 Mpixel frame, measured). What one file wrote is erased before the next.
    """

    def __init__(self, pixels: int) -> None:
        self._size = _BYTES_PER_PIXEL * pixels
        self.descriptor = os.memfd_create("scatterlens-frame")
        os.ftruncate(self.descriptor, self._size)
        self._memory = mmap.mmap(self.descriptor, self._size)

    def take(self, shape: tuple[int, int]) -> Planes:
        """Copy out the frame that was written, and erase it here."""
        shared = _planes(self._memory, shape)
        planes = Planes(*(plane.copy() for plane in shared))
        if _BYTES_PER_PIXEL * shape[0] * shape[1] > _KEPT_BYTES:
            self.erase()
        else:
            for plane in shared:
                plane.fill(0)
        return planes

    def erase(self) -> None:
        """Give all pages back."""
        os.ftruncate(self.descriptor, 0)
        os.ftruncate(self.descriptor, self._size)

    def close(self) -> None:
        """Give the memory back for good."""
        self._memory.close()
        os.close(self.descriptor)


def map_planes(descriptor: int, shape: tuple[int, int]) -> Planes:
    """Planes of a frame in the memory behind a descriptor, for the process that fills them."""
    # All pages will be touched: mapping them at once is cheaper than one fault for each.
    flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
    size = _BYTES_PER_PIXEL * shape[0] * shape[1]
    return _planes(mmap.mmap(descriptor, size, flags=flags), shape)


def _planes(memory: mmap.mmap, shape: tuple[int, int]) -> Planes:
    count = shape[0] * shape[1]
    return Planes(
        image=np.frombuffer(memory, np.float32, count).reshape(shape),
        mask=np.frombuffer(memory, bool, count, 4 * count).reshape(shape),
        saturated=np.frombuffer(memory, bool, count, 5 * count).reshape(shape),
    )
