"""How much a single file may cost."""

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class DecodeLimits:
    """Limits of one decode; the defaults let 16 Mpixel frames pass with room to spare."""

    file_bytes: int = 256 * MIB
    decompressed_bytes: int = GIB
    pixels: int = 64 * MIB
    """Pixels of one frame."""
    frames: int = 10_000
    """Images in one file."""
    ratio: int = 200
    """Decompressed over compressed bytes of a .gz or .bz2 file ..."""
    ratio_from_bytes: int = 64 * MIB
    """... once this much came out: a dark frame compresses a thousandfold and is harmless."""
    wall_s: float = 30.0
    """Longest wait; generous, since a busy machine makes innocent files wait for a processor."""
    cpu_s: int = 5
    memory_bytes: int = 3 * GIB
    """Address space of the process that decodes."""
    whole_confinement: bool = False
    """Decode nothing where the kernel lacks a means to confine the process that does."""
