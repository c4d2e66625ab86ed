"""Files made to harm: a typed verdict each, the parent unharmed, no other file read."""

import bz2
import gzip
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest

from scatterlens_models.decoding import (
    ConfinementError,
    DecodeChild,
    DecodeCrashed,
    DecodeLimits,
    FrameRejected,
    missing_confinement,
)
from scatterlens_models.decoding.sandbox import give_up_files_and_network
from support.detector_files import COUNTS, cbf, edf, hdf5, npy, picture, smv, spe, tiff

CANARY = 12345
MIB = 1 << 20


@pytest.fixture
def child(child: DecodeChild, tmp_path: Path) -> Iterator[DecodeChild]:
    """The shared child; whatever a test did to it, the next file decodes."""
    yield child
    good = tmp_path / "good.edf"
    good.write_bytes(edf())
    np.testing.assert_array_equal(child.decode(good).image, COUNTS)


def verdict(child: DecodeChild, data: bytes, folder: Path, index: int = 0) -> str:
    path = folder / "frame.dat"
    path.write_bytes(data)
    with pytest.raises((FrameRejected, DecodeCrashed)) as end:
        child.decode(path, index)
    return end.value.kind


def vast_tiff() -> bytes:
    """A small TIFF that claims (2^31 - 1)^2 pixels."""
    data = bytearray(tiff(np.zeros((8, 8), np.int32)))
    start = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, start)[0]
    for at in range(start + 2, start + 2 + 12 * entries, 12):
        if struct.unpack_from("<H", data, at)[0] in (256, 257):
            struct.pack_into("<HII", data, at + 2, 4, 1, 2**31 - 1)
    return bytes(data)


def canary(folder: Path) -> Path:
    """A file next door whose content must never come out."""
    path = folder / "canary.bin"
    path.write_bytes(np.full(COUNTS.size, CANARY, "<i4").tobytes())
    return path


# Bombs


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress], ids=["gzip", "bzip2"])
def test_a_compression_bomb_is_stopped_before_it_unpacks(compress, child, tmp_path):
    member = compress(bytes(32 * MIB))
    for bomb in (member * 4, compress(bytes(80 * MIB))):
        assert verdict(child, bomb, tmp_path) == "too_large"


def test_a_tiff_whose_strip_unpacks_to_gigabytes_is_stopped(child, tmp_path):
    good = tiff(np.zeros((512, 512), np.int32), compression="zlib", rowsperstrip=512)
    packer = zlib.compressobj(1)
    bomb, again = (packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in "ab")
    bomb += 4095 * again
    start = len(good)
    data = bytearray(good + bomb)
    entries = struct.unpack_from("<I", data, 4)[0]
    for at in range(entries + 2, entries + 2 + 12 * struct.unpack_from("<H", data, entries)[0], 12):
        tag = struct.unpack_from("<H", data, at)[0]
        if tag == 273:
            struct.pack_into("<I", data, at + 8, start)
        if tag == 279:
            struct.pack_into("<I", data, at + 8, len(bomb))
    assert verdict(child, bytes(data), tmp_path) in ("memory", "timeout", "unreadable")


def test_an_edf_that_unpacks_itself_is_refused(child, tmp_path):
    data = edf(np.zeros((32, 32), np.int32), Compression="GzipCompression")
    assert verdict(child, data, tmp_path) == "unsupported"


@pytest.mark.parametrize("pixels", [np.zeros((9000, 9000), np.uint8)])
def test_a_picture_of_too_many_pixels_is_not_unpacked(pixels, child, tmp_path):
    assert verdict(child, picture(pixels, "PNG"), tmp_path) == "too_large"


def test_an_hdf5_chunk_of_gigabytes_is_not_unpacked(child, tmp_path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "entry/data/data", (1000, 1000, 1000), np.int32, chunks=(1000, 1000, 1000)
        )
    assert verdict(child, path.read_bytes(), tmp_path) == "too_large"


# Sizes that lie


@pytest.mark.parametrize(
    "data",
    [
        edf(Dim_1=100_000, Dim_2=100_000),
        edf(Dim_1=2**32, Dim_2=2**32),
        smv(SIZE1=200_000, SIZE2=200_000),
        cbf()
        .replace(b"Fastest-Dimension: 60", b"Fastest-Dimension: 200000")
        .replace(b"Second-Dimension: 40", b"Second-Dimension: 200000"),
        npy().replace(b"(40, 60), }  ", b"(99999, 99999), }"),
        vast_tiff(),
    ],
    ids=["edf", "edf-2^32", "smv", "cbf", "npy", "tiff"],
)
def test_huge_dimensions_are_refused_without_memory(data, child, tmp_path):
    assert verdict(child, data, tmp_path) in ("too_large", "unreadable")
    path = tmp_path / "probed"
    path.write_bytes(data)
    with pytest.raises(FrameRejected) as caught:
        child.probe(path)
    assert caught.value.kind in ("too_large", "unreadable")


def test_a_dataset_of_a_million_squared_without_data_is_refused(child, tmp_path):
    path = tmp_path / "hollow.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data/data", (10**6, 10**6), np.int32, chunks=(100, 100))
    assert verdict(child, path.read_bytes(), tmp_path) == "too_large"


@pytest.mark.parametrize(
    "data",
    [
        edf(Dim_1=-60),
        edf(Dim_1=0),
        edf(data_type="Unheard"),
        edf().replace(b"}", b" "),
        cbf().replace(b"X-Binary-Size: ", b"X-Binary-Size: 1099511627776"),
        cbf().replace(b"_BYTE_OFFSET", b"_PACKED_____"),
        smv(TYPE="unheard"),
        smv(SIZE1="many"),
        b"{\n" + b"a = 1;\n" * 500_000,
        b"###CBF: VERSION 1.5\r\n",
        b"\x89HDF\r\n\x1a\n" + bytes(2000),
        b"II*\0" + bytes(60),
        b"\x93NUMPY" + bytes(100),
        b"\xd2\x04\0\0" + random.Random(0).randbytes(5000),
        b"FORMAT :        86" + random.Random(0).randbytes(5000),
        b"FORMAT :100" + random.Random(0).randbytes(5000),
        b"\xff\xd8\xff\xe0" + random.Random(0).randbytes(5000),
        random.Random(0).randbytes(10_000),
        b"x",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    ],
)
def test_nonsense_is_refused_by_type(data, child, tmp_path):
    assert verdict(child, data, tmp_path) in ("unreadable", "unsupported", "too_large", "crashed")


def test_an_empty_file_is_refused_as_empty(child, tmp_path):
    assert verdict(child, b"", tmp_path) == "empty"


def test_a_pickle_is_never_opened(child, tmp_path):
    marker = tmp_path / "opened"

    class Opens:
        def __reduce__(self):
            return (Path(marker).touch, ())

    data = npy(np.array([Opens(), Opens()], dtype=object), allow_pickle=True)
    assert verdict(child, data, tmp_path) == "unsupported"
    assert not marker.exists()


# Truncated and damaged


@pytest.mark.parametrize(
    "data",
    [edf(), smv(), cbf(), npy(), tiff(), spe(COUNTS[None]), hdf5({"entry/data/data": COUNTS})],
    ids=["edf", "smv", "cbf", "npy", "tiff", "spe", "hdf5"],
)
@pytest.mark.parametrize("share", [0.6, 0.98])
def test_a_truncated_file_is_refused_as_unreadable(data, share, child, tmp_path):
    assert verdict(child, data[: int(share * len(data))], tmp_path) == "unreadable"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_truncated_wrapper_is_refused_as_unreadable(pack, child, tmp_path):
    assert verdict(child, pack(edf())[:-20], tmp_path) == "unreadable"


def test_damaged_cbf_data_fails_its_checksum_instead_of_giving_wrong_counts(child, tmp_path):
    data = bytearray(cbf())
    data[data.index(b"\x0c\x1a\x04\xd5") + 500] ^= 0x55
    assert verdict(child, bytes(data), tmp_path) == "unreadable"


def test_damaged_chunks_end_in_a_frame_or_a_verdict_and_never_in_the_parent(child, tmp_path):
    counts = np.random.default_rng(0).poisson(5, (256, 256)).astype(np.uint32)
    good = hdf5({"entry/data/data": counts}, chunks=(256, 256), **hdf5plugin.Bitshuffle())
    dice = random.Random(1)
    ends = set()
    path = tmp_path / "damaged.h5"
    for _ in range(60):
        data = bytearray(good)
        for _ in range(32):
            data[dice.randrange(2048, len(data))] ^= dice.randrange(1, 256)
        path.write_bytes(data)
        try:
            child.decode(path)
            ends.add("frame")
        except (FrameRejected, DecodeCrashed) as end:
            ends.add(end.kind)
    assert "unreadable" in ends
    assert ends <= {"frame", "unreadable", "crashed", "no_image", "unsupported", "empty", "memory"}


# Other people's files


def test_an_edf_cannot_name_a_neighbour_file(child, tmp_path):
    canary(tmp_path)
    data = edf(EDF_BinaryFileName="canary.bin", EDF_BinaryFilePosition=0)[:512]
    assert verdict(child, data, tmp_path) == "forbidden"


def test_external_storage_of_hdf5_is_forbidden_whatever_the_file_is_called(child, tmp_path):
    secret = canary(tmp_path)
    path = tmp_path / "external.edf"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "entry/data/data", COUNTS.shape, np.int32, external=[(str(secret), 0, 4 * COUNTS.size)]
        )
    with h5py.File(path) as file:  # the file does work where nobody looks
        assert (file["entry/data/data"][()] == CANARY).all()
    assert verdict(child, path.read_bytes(), tmp_path) == "forbidden"


def test_a_virtual_dataset_is_forbidden(child, tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["secret"] = np.full(COUNTS.shape, CANARY)
    layout = h5py.VirtualLayout(COUNTS.shape, np.int64)
    layout[:] = h5py.VirtualSource(str(tmp_path / "source.h5"), "secret", COUNTS.shape)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("entry/data/data", layout)
    assert verdict(child, (tmp_path / "virtual.h5").read_bytes(), tmp_path) == "forbidden"


def test_an_external_link_is_not_followed(child, tmp_path):
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["secret"] = np.full(COUNTS.shape, CANARY)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["entry/data/data"] = h5py.ExternalLink(str(tmp_path / "source.h5"), "secret")
    assert verdict(child, (tmp_path / "link.h5").read_bytes(), tmp_path) == "no_image"


def test_an_external_pixel_mask_is_not_read(child, tmp_path):
    secret = tmp_path / "mask.bin"
    secret.write_bytes(np.ones(COUNTS.size, "<u4").tobytes())
    path = tmp_path / "masked.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = COUNTS
        file.create_dataset(
            "entry/instrument/detector/pixel_mask",
            COUNTS.shape,
            np.uint32,
            external=[(str(secret), 0, 4 * COUNTS.size)],
        )
    assert not child.decode(path).mask.any()


def test_a_soft_link_in_a_circle_ends(child, tmp_path):
    with h5py.File(tmp_path / "circle.h5", "w") as file:
        file["entry/data"] = h5py.SoftLink("/entry/data")
        group = file.create_group("loop")
        group["again"] = group
    assert verdict(child, (tmp_path / "circle.h5").read_bytes(), tmp_path) == "no_image"


# Endless


def test_a_tiff_that_points_at_itself_ends(child, tmp_path):
    data = bytearray(tiff())
    directory = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, directory)[0]
    struct.pack_into("<I", data, directory + 2 + 12 * entries, directory)
    assert verdict(child, bytes(data), tmp_path) == "unreadable"


def test_a_hundred_thousand_edf_frames_are_too_many(child, tmp_path):
    path = tmp_path / "many.edf"
    path.write_bytes(edf(np.zeros((2, 2), np.int32)) * 100_000)
    with pytest.raises(FrameRejected) as refusal:
        child.probe(path)
    assert refusal.value.kind == "too_large"
    np.testing.assert_array_equal(child.decode(path).image, 0)


# The process itself


def run_confined(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process confined like a child that decodes."""
    program = (
        "from scatterlens_models.decoding.sandbox import confine\n"
        "from scatterlens_models.decoding.limits import DecodeLimits\n"
        "import os, socket, sys\n"
        f"confine(DecodeLimits(cpu_s=1))\n{code}\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=90, check=False
    )


def test_a_confined_process_can_neither_open_files_nor_connect(tmp_path):
    probe = subprocess.run(
        [
            sys.executable,
            "-c",
            "from scatterlens_models.decoding.sandbox import give_up_files_and_network as g;"
            "raise SystemExit(0 if g() else 3)",
        ],
        check=False,
    )
    if probe.returncode == 3:
        pytest.skip("this kernel has no Landlock: limits hold, files stay readable")
    secret = canary(tmp_path)
    attempts = (
        f"open({str(secret)!r}, 'rb')",
        f"os.listdir({str(tmp_path)!r})",
        f"open({str(tmp_path / 'new')!r}, 'wb')",
        f"os.unlink({str(secret)!r})",
        "socket.create_connection(('127.0.0.1', 9))",
    )
    code = "".join(
        f"try:\n    {attempt}\nexcept PermissionError:\n    print('denied', flush=True)\n"
        for attempt in attempts
    )
    ended = run_confined(code)
    assert ended.stdout.split() == ["denied"] * len(attempts), ended.stderr
    assert secret.exists()
    assert not (tmp_path / "new").exists()


def test_a_confined_process_cannot_use_more_time_or_memory_than_its_limits():
    assert run_confined("while True: pass").returncode == -signal.SIGXCPU
    assert "MemoryError" in run_confined("bytearray(4 << 30)").stderr


def child_of(zygote: int) -> int | None:
    """Process id of the fork that decodes now."""
    found = Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
    return int(found[0]) if found else None


def slow_file(folder: Path) -> Path:
    """Takes seconds to decode: noise through bzip2, many times over."""
    path = folder / "slow.bz2"
    noise = np.random.default_rng(0).integers(0, 256, MIB, dtype=np.uint8).tobytes()
    path.write_bytes(32 * bz2.compress(noise))
    return path


def kill_when_it_decodes(decoder: DecodeChild, whom: Callable[[int, int], int]) -> threading.Thread:
    """Kill the decoding fork, or the zygote, as soon as a decode runs."""
    assert decoder.pid is not None
    zygote = decoder.pid

    def wait_and_kill() -> None:
        while (fork := child_of(zygote)) is None:
            time.sleep(0.005)
        time.sleep(0.05)
        os.kill(whom(zygote, fork), signal.SIGKILL)

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("whom", [lambda zygote, fork: fork, lambda zygote, fork: zygote])
def test_a_killed_process_is_a_crash_and_the_next_file_decodes(whom, tmp_path):
    good = tmp_path / "good.edf"
    good.write_bytes(edf())
    with DecodeChild() as decoder:
        decoder.decode(good)
        slow = slow_file(tmp_path)
        killer = kill_when_it_decodes(decoder, whom)
        with pytest.raises(DecodeCrashed) as end:
            decoder.decode(slow)
        killer.join()
        assert end.value.kind == "crashed"
        np.testing.assert_array_equal(decoder.decode(good).image, COUNTS)


def test_a_zygote_killed_while_idle_is_replaced_unnoticed(tmp_path):
    good = tmp_path / "good.edf"
    good.write_bytes(edf())
    with DecodeChild() as decoder:
        decoder.decode(good)
        first = decoder.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        time.sleep(0.1)
        np.testing.assert_array_equal(decoder.decode(good).image, COUNTS)
        assert decoder.pid != first


def test_a_decode_without_end_is_stopped_by_the_clock(tmp_path):
    with DecodeChild(DecodeLimits(wall_s=1.0)) as decoder:
        good = tmp_path / "good.edf"
        good.write_bytes(edf())
        decoder.decode(good)
        slow = slow_file(tmp_path)
        started = time.monotonic()
        with pytest.raises(DecodeCrashed) as end:
            decoder.decode(slow)
        assert end.value.kind == "timeout"
        assert time.monotonic() - started < 4
        np.testing.assert_array_equal(decoder.decode(good).image, COUNTS)


def test_the_zygote_ends_with_its_owner(tmp_path):
    code = (
        "import os, sys\n"
        "from scatterlens_models.decoding import DecodeChild\n"
        "child = DecodeChild()\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    zygote = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()
    ends = time.monotonic() + 60
    while time.monotonic() < ends and is_running(zygote):
        time.sleep(0.05)
    assert not is_running(zygote)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_threads_share_one_child_and_each_gets_its_own_frame(child, tmp_path):
    paths = []
    for number in range(8):
        path = tmp_path / f"{number}.npy"
        path.write_bytes(npy(np.full((50 + number, 70), number, np.int32)))
        paths.append(path)
    frames: dict[int, list[np.ndarray]] = {}

    def decode(number: int) -> None:
        frames[number] = [child.decode(paths[number]).image for _ in range(5)]

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        for image in frames[number]:
            assert image.shape == (50 + number, 70)
            assert (image == number).all()


def test_a_frame_stays_as_it_is_when_the_next_one_is_decoded(child, tmp_path):
    first, second = tmp_path / "1.npy", tmp_path / "2.npy"
    first.write_bytes(npy(np.full((50, 70), 1, np.int32)))
    second.write_bytes(npy(np.full((50, 70), 2, np.int32)))
    frame = child.decode(first)
    child.decode(second)
    assert (frame.image == 1).all()
    frame.image[:] = 5  # its own memory, writable


def test_a_file_larger_than_the_limit_is_not_even_sent(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(300 * MIB)
    with DecodeChild() as decoder, pytest.raises(FrameRejected) as refusal:
        decoder.decode(path)
    assert refusal.value.kind == "too_large"


def test_a_missing_file_is_the_callers_to_handle(child, tmp_path):
    with pytest.raises(FileNotFoundError):
        child.decode(tmp_path / "nowhere")


def test_an_interrupted_decode_does_not_shift_answers_to_the_next_file(tmp_path):
    first, second = tmp_path / "1.npy", tmp_path / "2.npy"
    first.write_bytes(npy(np.full((50, 70), 1, np.int32)))
    second.write_bytes(npy(np.full((60, 80), 2, np.int32)))

    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    with DecodeChild() as decoder:
        decoder.decode(first)
        slow = slow_file(tmp_path)
        usual = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(Interrupted):
                decoder.decode(slow)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, usual)
        assert (decoder.decode(second).image == 2).all()
        assert (decoder.decode(first).image == 1).all()


def test_a_closed_child_says_so(tmp_path):
    decoder = DecodeChild()
    decoder.close()
    decoder.close()
    with pytest.raises(ValueError, match="make another one"):
        decoder.decode(tmp_path / "frame")


def test_without_landlock_the_limits_still_hold(monkeypatch):
    """An unknown system call answers like an old kernel."""
    from scatterlens_models.decoding import sandbox

    monkeypatch.setattr(sandbox, "_LANDLOCK_CREATE_RULESET", 999_999)
    assert give_up_files_and_network() is False


def test_without_landlock_files_sockets_and_programs_are_denied_all_the_same(tmp_path):
    if "seccomp" in missing_confinement():
        pytest.skip("this kernel filters no calls")
    secret = canary(tmp_path)
    attempts = (
        f"open({str(secret)!r}, 'rb')",
        f"open({str(tmp_path / 'new')!r}, 'wb')",
        f"os.unlink({str(secret)!r})",
        f"os.rename({str(secret)!r}, {str(secret) + 'x'!r})",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
    )
    code = "".join(
        f"try:\n    {attempt}\nexcept PermissionError:\n    print('denied', flush=True)\n"
        for attempt in attempts
    )
    program = (
        "from scatterlens_models.decoding import sandbox, DecodeLimits\n"
        "import os, socket\n"
        "sandbox._LANDLOCK_CREATE_RULESET = 999_999\n"
        f"assert not sandbox.confine(DecodeLimits())\n{code}"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.stdout.split() == ["denied"] * len(attempts), ended.stderr
    assert secret.exists()


def test_a_machine_that_cannot_confine_is_told_of_and_refused_where_that_is_asked(monkeypatch):
    from scatterlens_models.decoding import sandbox

    assert DecodeLimits().whole_confinement is False
    monkeypatch.setattr(sandbox, "_LANDLOCK_CREATE_RULESET", 999_999)
    assert "Landlock" in missing_confinement()
    with pytest.raises(ConfinementError, match="no Landlock"):
        DecodeChild(DecodeLimits(whole_confinement=True))


def test_what_a_reader_prints_or_raises_never_reaches_the_verdict(child, tmp_path, capfd):
    data = b"###CBF: VERSION 1.5\r\n" + bytes(500)
    path = tmp_path / "secret-name-of-a-sample.cbf"
    path.write_bytes(data)
    with pytest.raises(FrameRejected) as refusal:
        child.decode(path)
    assert "secret-name" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")
