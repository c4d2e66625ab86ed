"""A backup of a service that runs, restored into an empty home: every answer is the same."""

import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import text
from typer.testing import CliRunner

from scatterlens import Client
from scatterlens_service import ledger
from scatterlens_service.commands.backup import backup as backup_command
from scatterlens_service.commands.backup import restore as restore_command
from scatterlens_service.keeping import backup
from scatterlens_service.keeping.archive import ArchiveWriter, BadArchiveError
from scatterlens_service.keeping.blobs import BlobFolder
from scatterlens_service.migrations import migrate
from scatterlens_service.settings import Settings
from support.bundles import make_bundle
from support.gateway import make_key, picture
from support.serving import serving

pytestmark = pytest.mark.timeout(300)

KINDS = ("sqlite", "postgresql")


@pytest.fixture
def new_database(request) -> Callable[[str, str], dict[str, str]]:
    """Settings of an empty database of a kind; each name is another database."""

    def make(kind: str, name: str) -> dict[str, str]:
        if kind == "sqlite":
            return {}
        url = request.getfixturevalue("postgres_url")
        engine = ledger.open_engine(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return {"SCATTERLENS_DATABASE_URL": f"{url.rpartition('/')[0]}/{name}"}

    return make


@pytest.fixture(autouse=True)
def small_models(monkeypatch):
    monkeypatch.setenv("SCATTERLENS_ACTIVE_MODELS", "linear")
    monkeypatch.setenv("SCATTERLENS_MIN_FREE_SHARE", "0")


def run(command, *arguments: str, **environment: str):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments), env=environment)


def use(client: Client, home: Path) -> list[str]:
    """Do with a service what people do; returns the frames."""
    better = make_bundle(home.parent / "made", "linear", seed=1)
    for seed in range(4):
        client.annotate(picture(seed), scan="a", sample="agbh", motors={"phi": seed / 3})
    frames = [one.frame_id for one in client.search()]
    client.label(frames[0], {"ring": "present", "halo": "absent"}, note="by eye")
    client.label(frames[1], {"ring": "unsure"})
    client.register_model(better.path)
    client.promote_model(better.version, "it is better", override=True)
    client.set_candidate(client.models()[0].version)
    frames.append(client.annotate(picture(9), scan="b").frame_id)
    client.save_search("rings", "ring", scan="a")
    client.create_key("Ada", "scientist", proposal="p1")
    (home / "runs" / "run-1" / "train").mkdir(parents=True)
    (home / "runs" / "run-1" / "train" / "metrics.jsonl").write_text("{}")
    return frames


def answers(http, frames: list[str]) -> dict[str, Any]:
    """Everything that a service says about what it keeps."""
    of_frame = (
        *("", "/annotation", "/annotations", "/labels?history=true", "/raw", "/similar"),
        *("/preview.png", "/overlays/ring.png", "/overlays/ring.npy"),
    )
    paths = [
        *("attributes", "frames", "frames.csv", "annotations.ndjson", "labels.ndjson", "training"),
        *("searches", "keys", "models", "scans", "scans/timeline?scan=a&attributes=ring"),
        *(f"models/{one['version']}" for one in http.get("models").json()),
        *(f"frames/{frame}{path}" for frame, path in product(frames, of_frame)),
    ]
    found = {path: http.get(path) for path in paths}
    return {path: (one.status_code, lasting(path, one)) for path, one in found.items()}


def lasting(path: str, answer) -> Any:
    """An answer without what changes by looking: when a key was last seen."""
    if path != "keys":
        return answer.content
    return [{**one, "used": None} for one in answer.json()["items"]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_home_gives_every_answer_of_the_one_that_was_saved(tmp_path, kind, new_database):
    old, new, archive = tmp_path / "old", tmp_path / "new", tmp_path / "home.backup"
    make_bundle(old / "bundles")
    environment = new_database(kind, "saved")
    with serving(old, **environment) as site, Client(site.url, site.key) as client:
        frames = use(client, old)
        admin = {"Authorization": f"Bearer {client.create_key('keeper', 'admin').key}"}
        with site.http() as http:
            http.headers.update(admin)
            expected = answers(http, frames)
        done = run(backup_command, str(archive), "--home", str(old), **environment)
        assert done.exit_code == 0, done.output
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    wrong = {path for path, (status, _) in expected.items() if status != 200}
    assert all(path.endswith("/similar") for path in wrong)  # not asked of the promoted model
    environment = new_database(kind, "restored")
    done = run(restore_command, str(archive), "--home", str(new), **environment)
    assert done.exit_code == 0, done.output
    with serving(new, **environment) as site, Client(site.url, site.key) as client:
        with site.http() as http:
            http.headers.update(admin)
            found = answers(http, frames)
        # A start without the key of the one before makes a key, and ends the old one.
        keys = [one for one in expected.pop("keys")[1] if one["name"] != "start"]
        assert [one for one in found.pop("keys")[1] if one["name"] != "start"] == keys
        assert found == expected
        assert client.annotate(picture(0)).frame_id in frames
        assert client.health().problems == []
    assert (new / "runs" / "run-1" / "train" / "metrics.jsonl").read_text() == "{}"


def test_frames_that_come_during_a_backup_are_whole_in_it_or_not_there(tmp_path, home):
    settings = Settings(home=home)
    archive = tmp_path / "home.backup"
    with serving(home) as site, Client(site.url, site.key) as client:
        sent, reports = [], []

        def report(what: str, done: int, total: int) -> None:
            # While the archive is written frames arrive, between any two of its members.
            reports.append((what, done, total))
            sent.append(client.submit(picture(100 + len(sent)))[0].frame_id)

        client.submit(picture(1))
        done = backup.back_up(settings, archive, report)
    assert done.missing == ()
    assert done.damaged == ()
    assert any(what == "files" and 0 < count == total for what, count, total in reports)
    restored = Settings(home=tmp_path / "new")
    backup.restore(restored, archive, ignore)
    engine = ledger.open_engine(restored.database)
    with ledger.reading(engine) as session:
        frames = session.scalars(text("SELECT sha256 FROM frames")).all()
    engine.dispose()
    assert frames
    blobs = BlobFolder(restored.blob_folder)
    assert all(blobs.verified_path(sha256) for sha256 in frames)


@pytest.fixture
def home(tmp_path) -> Path:
    """A home with a model, and a ledger."""
    make_bundle(tmp_path / "home" / "bundles")
    migrate(Settings(home=tmp_path / "home").database)
    make_key(Settings(home=tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def archive(tmp_path, home) -> Path:
    """A backup with a blob, of a home with few files."""
    BlobFolder(home / "blobs").put_bytes(os.urandom(3_000_000))
    backup.back_up(Settings(home=home), tmp_path / "home.backup", ignore)
    return tmp_path / "home.backup"


def ignore(_what: str, _done: int, _total: int) -> None:
    """A report that nobody reads."""


@pytest.mark.parametrize(("before", "after"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_a_ledger_moves_to_the_other_kind_of_database(tmp_path, before, after, new_database):
    url = new_database(before, "moving").get("SCATTERLENS_DATABASE_URL")
    old = Settings(home=tmp_path / "old", database_url=url)
    old.home.mkdir()
    migrate(old.database)
    engine = ledger.open_engine(old.database)
    frame = ledger.NewFrame("a" * 64, 7, "npy", "ä\n.npy")
    with ledger.writing(engine) as session:
        sender = ledger.Sender(scan="s", details={"motors": {"phi": 0.1}})
        ledger.submit(session, [frame], sender, [ledger.ModelVersion("linear", "0" * 12)])
        key = ledger.create_key(session, "Ada")
        session.execute(text("DELETE FROM events"))  # their numbers are not given again
    engine.dispose()
    backup.back_up(old, tmp_path / "home.backup", ignore)
    url = new_database(after, "moved").get("SCATTERLENS_DATABASE_URL")
    new = Settings(home=tmp_path / "new", database_url=url)
    backup.restore(new, tmp_path / "home.backup", ignore)
    engine = ledger.open_engine(new.database)
    with ledger.writing(engine) as session:
        assert ledger.authenticate(session, key) is not None
        row = ledger.get_frame(session, frame.id, production="0" * 12)
        assert row is not None
        assert (row.filename, row.details) == ("ä\n.npy", {"motors": {"phi": 0.1}})
        assert row.tags == ()
        other = ledger.NewFrame("b" * 64, 7, "npy")
        ledger.submit(session, [other], ledger.Sender(), [ledger.ModelVersion("x", "0" * 12)])
        assert ledger.last_event_id(session) == 2
    engine.dispose()


def refused_restore(archive: Path, home: Path) -> str:
    done = run(restore_command, str(archive), "--home", str(home))
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return done.output


def test_an_archive_that_was_cut_off_anywhere_restores_nothing(tmp_path, archive):
    data = archive.read_bytes()
    for length in (0, 100, 700, len(data) // 2, len(data) - 11_000, len(data) - 10_500):
        archive.write_bytes(data[:length])
        assert "another backup" in refused_restore(archive, tmp_path / "new") or length < 700
        assert not (tmp_path / "new").exists()


def test_an_archive_with_a_changed_byte_restores_nothing(tmp_path, archive):
    data = archive.read_bytes()
    places = [*range(60, 5_000, 512), data.index(b"home/blobs") + 700, len(data) // 2]
    for place in places:
        if data[place] != 0:
            archive.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            assert "another backup" in refused_restore(archive, tmp_path / "new"), place
            assert not (tmp_path / "new").exists()


def test_an_archive_that_lacks_a_member_restores_nothing(tmp_path, archive):
    shorter = tmp_path / "shorter"
    with tarfile.open(archive) as whole, tarfile.open(shorter, "w") as tar:
        for entry in whole:
            if not entry.name.startswith("home/blobs"):
                tar.addfile(entry, whole.extractfile(entry))
    assert "missing" in refused_restore(shorter, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../evil", "/evil", "home/../../evil"])
def test_an_archive_writes_nothing_outside_the_home(tmp_path, archive, name):
    odd = tmp_path / "odd"
    with tarfile.open(archive) as whole, tarfile.open(odd, "w") as tar:
        for entry in whole:
            if entry.name.startswith("home/blobs"):
                entry.name = name
            tar.addfile(entry, whole.extractfile(entry))
    assert "no plain file" in refused_restore(odd, tmp_path / "new")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("newer", [{"format": 99}, {"revision": "9999"}])
def test_an_archive_of_a_newer_version_names_it(tmp_path, archive, newer):
    rewritten = tmp_path / "newer"
    with tarfile.open(archive) as whole, rewritten.open("wb") as stream:
        head = json.load(whole.extractfile("archive.json"))
        writer = ArchiveWriter(stream, {**head, "version": "77.0", **newer})
        writer.finish()
    said = refused_restore(rewritten, tmp_path / "new")
    assert "version 77.0" in said
    assert "newer" in said


def test_a_home_that_is_not_empty_is_left_as_it_is(tmp_path, archive, home):
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    assert "not empty" in refused_restore(archive, home)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


def test_a_database_that_is_not_empty_is_left_as_it_is(tmp_path, archive, new_database):
    url = new_database("postgresql", "taken")["SCATTERLENS_DATABASE_URL"]
    migrate(url)
    settings = Settings(home=tmp_path / "new", database_url=url)
    with pytest.raises(backup.CannotRestoreError, match="not empty"):
        backup.restore(settings, archive, ignore)
    assert not (tmp_path / "new").exists()


def test_a_damaged_archive_leaves_an_empty_postgresql_empty(tmp_path, archive, new_database):
    url = new_database("postgresql", "empty")["SCATTERLENS_DATABASE_URL"]
    settings = Settings(home=tmp_path / "new", database_url=url)
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) - 1_000_000])
    with pytest.raises(BadArchiveError):
        backup.restore(settings, archive, ignore)
    archive.write_bytes(data)
    assert backup.restore(settings, archive, ignore)[0] > 0


def test_a_restoration_that_was_killed_does_not_look_whole(tmp_path, archive):
    code = (
        "import os, sys; from pathlib import Path; from scatterlens_service.keeping import backup;"
        "from scatterlens_service.settings import Settings;"
        "backup.restore(Settings(home=Path(sys.argv[2])), Path(sys.argv[1]),"
        " lambda what, *_: what == 'files' and os.kill(os.getpid(), 9))"
    )
    home = tmp_path / "new"
    killed = subprocess.run([sys.executable, "-c", code, str(archive), str(home)], check=False)
    assert killed.returncode == -9
    command = [sys.executable, "-m", "scatterlens", "serve", "--port", "0", "--home", str(home)]
    served = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert served.returncode == 2
    assert "not restored completely" in served.stderr
    assert "Traceback" not in served.stderr


def test_a_backup_says_what_the_home_had_lost_before(tmp_path, home):
    settings = Settings(home=home)
    blobs = BlobFolder(settings.blob_folder)
    lost = blobs.put_bytes(b"lost")
    engine = ledger.open_engine(settings.database)
    with ledger.writing(engine) as session:
        frames = [ledger.NewFrame(lost, 4, "npy"), ledger.NewFrame(blobs.put_bytes(b"bad"), 3, "")]
        model = ledger.ModelVersion("linear", "0" * 12)
        ledger.submit(session, frames, ledger.Sender(), [model])
    engine.dispose()
    blobs.path(lost).unlink()
    blobs.path(frames[1].sha256).write_bytes(b"worse")
    done = run(backup_command, str(tmp_path / "home.backup"), "--home", str(home))
    assert done.exit_code == 1
    assert f"missing already: {lost}" in done.output
    assert f"damaged already: {frames[1].sha256}" in done.output
    backup.restore(Settings(home=tmp_path / "new"), tmp_path / "home.backup", ignore)


def test_a_backup_goes_neither_into_its_home_nor_over_another(tmp_path, archive, home):
    for target, why in ((home / "x", "within the home"), (archive, "exists")):
        done = run(backup_command, str(target), "--home", str(home))
        assert done.exit_code == 2
        assert why in done.output


def test_a_disk_that_takes_no_more_is_said_in_one_line_and_nothing_is_left(tmp_path, home):
    """The system allows its files no more than some bytes, as a full disk would."""
    code = (
        "import resource, sys; from scatterlens.cli import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000));"
        "sys.argv[0] = 'scatterlens'; main()"
    )
    BlobFolder(Settings(home=home).blob_folder).put_bytes(os.urandom(1_000_000))
    target = tmp_path / "saved.tar"
    command = [sys.executable, "-c", code, "backup", str(target), "--home", str(home)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 2
    assert "No backup was made: " in run.stderr
    assert "Look at the disk" in run.stderr
    assert "Traceback" not in run.stderr
    assert list(tmp_path.glob("saved*")) == []


def test_there_is_no_backup_of_nothing(tmp_path):
    done = run(backup_command, str(tmp_path / "x"), "--home", str(tmp_path / "empty"))
    assert done.exit_code == 2
    assert "no ledger" in done.output
    assert list(tmp_path.iterdir()) == []
