import hashlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from scatterlens_service.keeping.blobs import BlobDamagedError, BlobFolder, BlobMissingError
from scatterlens_service.keeping.file_locks import kernel_id

DATA = b"counts" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path) -> BlobFolder:
    return BlobFolder(tmp_path / "blobs")


def files(blobs: BlobFolder) -> list[str]:
    return sorted(str(p.relative_to(blobs.root)) for p in blobs.root.rglob("*") if p.is_file())


def test_a_spooled_file_is_kept_under_its_digest(blobs):
    with blobs.spool() as spool:
        for start in range(0, len(DATA), 100):
            spool.write(DATA[start : start + 100])
        assert (spool.sha256, spool.size) == (DIGEST, len(DATA))
        assert spool.keep() == DIGEST
    assert files(blobs) == [f"{DIGEST[:2]}/{DIGEST}"]
    assert blobs.read(DIGEST) == DATA
    assert blobs.verified_path(DIGEST).read_bytes() == DATA


def test_a_spooled_file_that_is_not_kept_leaves_nothing(blobs):
    with blobs.spool() as spool:
        spool.write(DATA)
    assert files(blobs) == []


def test_a_connection_that_breaks_leaves_nothing(blobs):
    def receive():
        with blobs.spool() as spool:
            spool.write(DATA)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        receive()
    assert files(blobs) == []


def test_incoming_files_have_names_that_nobody_can_guess(blobs):
    with blobs.spool() as one, blobs.spool() as two:
        assert one.path.name != two.path.name
        assert all(
            len(bytes.fromhex(path.name.split("-")[1])) == 16 for path in (one.path, two.path)
        )


def test_the_same_bytes_at_once_are_kept_once(blobs):
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(blobs.put_bytes, [DATA] * 50)) == {DIGEST}
    assert files(blobs) == [f"{DIGEST[:2]}/{DIGEST}"]


def test_the_file_and_its_folder_are_synced_before_the_name_is_told(blobs, monkeypatch):
    order = []
    fsync, replace = os.fsync, type(blobs.root).replace
    here = threading.get_ident()

    def noted_fsync(fd: int) -> None:
        # A thread that another test left may sync files of its own meanwhile.
        if threading.get_ident() == here:
            order.append("fsync")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(
        type(blobs.root), "replace", lambda *paths: (order.append("rename"), replace(*paths))[1]
    )
    blobs.put_bytes(DATA)
    assert order in (["fsync", "fsync", "rename", "fsync"], ["fsync", "rename", "fsync"])


def test_a_damaged_file_is_refused_and_healed_by_sending_it_again(blobs):
    path = blobs.path(blobs.put_bytes(DATA))
    path.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(BlobDamagedError, match="send it again"):
        blobs.verified_path(DIGEST)
    with pytest.raises(BlobDamagedError):
        blobs.read(DIGEST)
    blobs.put_bytes(DATA)
    assert blobs.read(DIGEST) == DATA


def test_a_missing_file_is_named(blobs):
    with pytest.raises(BlobMissingError, match=DIGEST):
        blobs.open(DIGEST)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", DIGEST.upper(), DIGEST + "0", "é" * 64])
def test_a_name_that_is_no_digest_has_no_path(blobs, name):
    with pytest.raises(ValueError, match="no sha256"):
        blobs.path(name)


def test_what_killed_processes_left_is_cleared_when_it_is_old(blobs):
    """Minutes old, that is; of another host a quarter of an hour. The clock may be set back."""
    incoming = blobs.root / "incoming"
    ages = {"-old": 70, "-stepped": -3600, "-new": 5}
    left = {incoming / f"{kernel_id()}{name}": age for name, age in ages.items()}
    elsewhere = {incoming / f"elsewhere-{age}": age for age in (1000, 70)}
    for path, age in (left | elsewhere).items():
        path.write_bytes(DATA)
        os.utime(path, (time.time() - age,) * 2)
    assert blobs.clear_incoming() == 3
    assert files(blobs) == sorted(
        f"incoming/{name}" for name in (f"{kernel_id()}-new", "elsewhere-70")
    )


def test_what_is_still_received_is_never_cleared_however_old_it_is(blobs):
    with blobs.spool() as spool:
        spool.write(DATA)
        spool.flush()
        os.utime(spool.path, (time.time() - 7200,) * 2)
        assert BlobFolder(blobs.root).clear_incoming() == 0
        spool.keep()
    assert blobs.read(DIGEST) == DATA


def test_the_free_share_of_the_disk_is_a_share(blobs):
    assert 0 <= blobs.free_share() <= 1


def test_what_was_used_just_now_stays_however_little_room_there_is(blobs):
    old, new = blobs.put_bytes(b"old"), blobs.put_bytes(b"new")
    os.utime(blobs.path(old), (1, 1))
    assert blobs.trim(0) == 1
    assert (blobs.use(old), blobs.use(new)) == (False, True)
    assert blobs.trim(0, spare_seconds=0.0) == 1
    assert not blobs.use(new)
