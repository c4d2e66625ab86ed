"""One level of gzip or bzip2, undone by a stream that stops in time.

Readers' own decompression is not used: 1,650 bytes of bzip2 can hold 2 GiB.
"""

import bz2
import zlib

from scatterlens_models.decoding.limits import DecodeLimits
from scatterlens_models.decoding.verdicts import FrameRejected

_STEP = 1 << 20


def unwrap(data: bytes, wrapper: str, limits: DecodeLimits) -> bytes:
    """Decompress all members of a `gzip` or `bzip2` file; `FrameRejected` beyond the limits."""
    parts: list[bytes] = []
    total = 0
    rest = data
    while rest:
        stream = _GzipMember() if wrapper == "gzip" else _Bzip2Member()
        pending = rest
        while not stream.eof:
            try:
                part = stream.decompress(pending, _STEP)
            except (zlib.error, OSError, EOFError):
                raise _damaged(wrapper) from None
            pending = stream.pending
            if not part and not pending and not stream.eof:
                raise _damaged(wrapper)
            parts.append(part)
            total += len(part)
            _check(total, len(data), limits)
        rest = stream.rest
        if not rest.startswith((b"\x1f\x8b", b"BZh")):  # padding after the last member
            break
    return b"".join(parts)


class _GzipMember:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, size: int) -> bytes:
        return self._stream.decompress(data, size)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def pending(self) -> bytes:
        return self._stream.unconsumed_tail

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data


class _Bzip2Member:
    pending = b""  # bz2 keeps what it has not consumed

    def __init__(self) -> None:
        self._stream = bz2.BZ2Decompressor()

    def decompress(self, data: bytes, size: int) -> bytes:
        if not data and self._stream.needs_input:
            raise EOFError
        return self._stream.decompress(data, size)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data


def _check(total: int, compressed: int, limits: DecodeLimits) -> None:
    if total > limits.decompressed_bytes or (
        total > limits.ratio_from_bytes and total > limits.ratio * compressed
    ):
        raise FrameRejected(
            "too_large",
            "Decompresses to too much",
            f"{compressed} compressed bytes hold more than {total >> 20} MiB.",
            "Send the file uncompressed, or split it.",
        )


def _damaged(wrapper: str) -> FrameRejected:
    return FrameRejected(
        "unreadable",
        "Damaged compressed file",
        f"The {wrapper} stream is broken or ends too early.",
        "Compress or copy the file again, or send it uncompressed.",
    )
