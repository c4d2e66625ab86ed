"""What a file is, by its content: names and suffixes lie."""

HEAD_BYTES = 4100
"""`sniff` needs no more than this much of a file."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"###CBF", "cbf"),
    (b"\x93NUMPY", "npy"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\xd2\x04\0\0", "mar345"),
    (b"\0\0\x04\xd2", "mar345"),
    (b"FORMAT :", "bruker"),
)

# Known, and not ours to read: naming them makes a better refusal.
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"MATLAB", "a MATLAB file"),
    (b"SIMPLE  =", "a FITS file"),
    (b"\x0e\x03\x13\x01", "an HDF4 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"%PDF", "a PDF document"),
    (b"GIF8", "a GIF picture"),
    (b"<", "an XML or HTML text"),
)

# int32 frames without any header, as SPEC writes them for Pilatus detectors: known by size alone.
HEADERLESS_SHAPES: dict[int, tuple[int, int]] = {
    4 * rows * cols: (rows, cols)
    for rows, cols in (
        (195, 487),
        (195, 1475),
        (407, 487),
        (619, 487),
        (1043, 981),
        (1679, 1475),
        (2527, 2463),
    )
}


def sniff(head: bytes, size: int) -> str | None:
    """Name the format of a file of `size` bytes from its first bytes; None if it is none of ours.

    `gzip` and `bzip2` are wrappers: what they wrap is sniffed again once unwrapped. `int32` is a
    guess from the size that reading has to confirm.
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:16].lstrip().startswith(b"{"):
        return "smv" if b"HEADER_BYTES" in head[:512] else "edf"
    if head[4098:4100] == b"UU" and size > 4100:  # the last value of an SPE header, 0x5555
        return "spe"
    if refused_name(head) is None and size in HEADERLESS_SHAPES:
        return "int32"
    return None


def refused_name(head: bytes) -> str | None:
    """Name of a well-known kind of file that is not read, such as `a FITS file`."""
    return next((name for magic, name in _REFUSED if head.startswith(magic)), None)
