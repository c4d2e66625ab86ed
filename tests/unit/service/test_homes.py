"""One home has one service, commands find it, and nobody else reads what it keeps."""

import fcntl
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scatterlens import Client
from scatterlens.connection import Connection, find_connection, read_connection, write_connection
from scatterlens.errors import AmbiguousService
from scatterlens.running import LOCK, running_in
from scatterlens_service.commands.serve import keys
from scatterlens_service.keeping.holding import holding_home
from scatterlens_service.keeping.homes import HomeError, find_ledger, mend_rights
from scatterlens_service.migrations import migrate
from scatterlens_service.settings import Settings
from support.bundles import make_bundle
from support.gateway import picture
from support.serving import serving

pytestmark = pytest.mark.timeout(240)  # whole services start; on a busy machine that takes a while


@pytest.fixture(autouse=True)
def nothing_named(tmp_path, monkeypatch):
    """A user with an empty data folder, who names no home."""
    for name in ("SCATTERLENS_HOME", "SCATTERLENS_DATABASE_URL", "SCATTERLENS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("SCATTERLENS_ACTIVE_MODELS", "linear")
    monkeypatch.setenv("SCATTERLENS_MIN_FREE_SHARE", "0")


@pytest.fixture
def home(tmp_path) -> Path:
    make_bundle(tmp_path / "home" / "bundles")
    return tmp_path / "home"


@contextmanager
def held(home: Path, url: str) -> Iterator[None]:
    """A home with a ledger that this process serves, as far as others can see."""
    home.mkdir(parents=True, exist_ok=True)
    migrate(Settings(home=home).database)
    with holding_home(Settings(home=home), alone=True) as holding:
        holding.tell(url)
        write_connection(home, Connection(url, f"sl_{home.name}_secret"))
        yield


def serve_in_vain(home: Path, *options: str, **environment: str):
    command = [sys.executable, "-m", "scatterlens", "serve", "--port", "0", "--home", str(home)]
    environment = {**os.environ, **environment}
    return subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=60, env=environment
    )


def run_keys(*arguments: str):
    return CliRunner().invoke(keys, arguments)


# --- one home, one service


def test_a_second_service_of_a_home_says_who_has_it_and_changes_nothing(home):
    with serving(home) as first:
        kept = (home / "connection.json", home / LOCK, home / "home.id")
        before = {path: path.stat().st_mtime_ns for path in kept if path.exists()}
        second = serve_in_vain(home)
        assert second.returncode == 2
        assert str(first.process.pid) in second.stderr
        assert first.url in second.stderr
        assert "Traceback" not in second.stderr
        assert {path: path.stat().st_mtime_ns for path in before} == before
        with Client(first.url, first.key) as client:
            assert client.health().status == "ok"
    assert running_in(home) is None


def test_a_killed_service_leaves_a_home_that_can_be_served_at_once(home):
    with serving(home) as first:
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        with serving(home) as second:
            assert second.key == first.key


def test_what_a_dead_process_wrote_into_the_lock_does_not_hold_a_home(home):
    # As after a restart of the machine, when its number is another program's.
    (home / LOCK).write_text(f'{{"pid": {os.getpid()}, "host": "h", "url": "u", "database": "x"}}')
    assert running_in(home) is None
    with holding_home(Settings(home=home), alone=True):
        assert running_in(home) is not None


def test_who_looks_at_a_lock_does_not_keep_a_service_from_starting(home):
    with (home / LOCK).open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        code = "import fcntl, os, time; time.sleep(0.3); fcntl.flock(int(os.environ['F']), 8)"
        environment = {**os.environ, "F": str(looking.fileno())}
        letting_go = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, pass_fds=[looking.fileno()]
        )
        with holding_home(Settings(home=home), alone=True):
            pass
        letting_go.wait()


def test_gateways_without_a_worker_share_a_home_and_a_whole_service_does_not(home):
    settings = Settings(home=home, database_url="postgresql://nobody@nowhere/none")
    with holding_home(settings, alone=False), holding_home(settings, alone=False):
        with pytest.raises(HomeError, match="served already"), holding_home(settings, alone=True):
            pass


def test_a_home_that_cannot_be_written_into_is_said_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    done = serve_in_vain(tmp_path / "file" / "home")
    assert done.returncode == 2
    assert "--home" in done.stderr
    assert "Traceback" not in done.stderr


# --- finding it


def test_a_key_is_made_in_the_ledger_of_the_service_that_runs(home):
    with serving(home) as site:
        made = run_keys("create", "--name", "detector")
        assert made.exit_code == 0, made.output
        assert str(home) in made.output
        with Client(site.url, made.output.split()[-1]) as client:
            client.health()


def test_a_named_home_counts_more_than_the_one_that_is_served(tmp_path, home):
    migrate(Settings(home=tmp_path / "other").database)
    with held(home, "http://127.0.0.1:1"):
        listed = run_keys("list", "--home", str(tmp_path / "other"))
    assert str(tmp_path / "other") in listed.output


def test_several_services_are_named_and_none_is_chosen(tmp_path):
    with held(tmp_path / "a", "http://127.0.0.1:1"), held(tmp_path / "b", "http://127.0.0.1:2"):
        refused = run_keys("create", "--name", "x")
        assert refused.exit_code == 2
        assert str(tmp_path / "a") in refused.output
        assert str(tmp_path / "b") in refused.output
        with pytest.raises(AmbiguousService, match=r"127\.0\.0\.1:2"):
            find_connection()
        assert find_connection("http://127.0.0.1:2").key == "sl_b_secret"


@pytest.mark.parametrize("arguments", [("create", "--name", "x"), ("list",), ("revoke", "abc")])
def test_no_ledger_is_made_by_looking_for_one(tmp_path, arguments):
    for named in ((), ("--home", str(tmp_path / "typo"))):
        refused = run_keys(*arguments, *named)
        assert refused.exit_code == 2
        assert "no ledger" in refused.output
        assert "--home" in refused.output
    assert list(tmp_path.iterdir()) == []


def test_a_client_finds_the_only_service_that_runs(tmp_path):
    assert find_connection().key is None
    with held(tmp_path / "a", "http://127.0.0.1:1"):
        assert find_connection() == Connection("http://127.0.0.1:1", "sl_a_secret")


def test_an_old_connection_of_the_default_home_does_not_hide_the_service_that_runs(tmp_path):
    own = tmp_path / "data" / "scatterlens"
    own.mkdir(parents=True)
    write_connection(own, Connection("http://127.0.0.1:9", "sl_old_secret"))
    with held(tmp_path / "a", "http://127.0.0.1:1"):
        assert find_connection().url == "http://127.0.0.1:1"
    assert find_connection().url == "http://127.0.0.1:9"


def test_the_settings_of_an_installed_service_are_used_by_who_may_read_them(tmp_path):
    units = tmp_path / "scatterlens.env"
    units.write_text(
        f"SCATTERLENS_HOME={tmp_path / 'var'}\nSCATTERLENS_MAX_QUEUE=7\nPOSTGRES_PASSWORD=x\n"
        "SCATTERLENS_PORT=127.0.0.1:8000\nSCATTERLENS_REDIS_URL=\n"
    )
    with pytest.raises(HomeError, match="no ledger"):
        find_ledger(None, installed=units)
    assert not (tmp_path / "var").exists()
    migrate(Settings(home=tmp_path / "var").database)
    found = find_ledger(None, installed=units)
    assert (found.home, found.max_queue, found.redis_url) == (tmp_path / "var", 7, None)


def test_a_ledger_file_beside_a_service_on_postgresql_is_not_taken_for_its_ledger(home):
    migrate(Settings(home=home).database)
    settings = Settings(home=home, database_url="postgresql://nobody@nowhere/none")
    with holding_home(settings, alone=True) as holding:
        holding.tell("http://127.0.0.1:1")
        refused = run_keys("create", "--name", "x", "--home", str(home))
    assert refused.exit_code == 2
    assert "SCATTERLENS_DATABASE_URL" in refused.output


# --- readable by its owner alone


def open_to_others(home: Path) -> list[str]:
    found = [home, *home.rglob("*")]
    return [str(path) for path in found if path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]


def test_nothing_that_a_service_keeps_is_readable_by_others_whatever_the_umask(home):
    before = os.umask(0)
    try:
        make_bundle(home / "made", "linear", seed=1)
        with serving(home) as site, Client(site.url, site.key) as client:
            client.annotate(picture(1))
            with site.http() as http:
                frame = next(client.search()).frame_id
                assert http.get(f"frames/{frame}/pixels.npy?wait=30").status_code == 200
            client.register_model(home / "made" / "linear")
            assert (home / "ledger.sqlite-wal").exists()
            wrong = open_to_others(home)
    finally:
        os.umask(before)
    assert [path for path in wrong if not path.startswith(str(home / "made"))] == []


def test_a_home_of_an_older_version_is_mended_at_the_start(home):
    migrate(Settings(home=home).database)
    (home / "blobs" / "ab").mkdir(parents=True)
    (home / "blobs" / "ab" / "cd").write_text("counts")
    (home / "theirs").write_text("not ours")
    for path in (home, *home.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    mend_rights(Settings(home=home))
    assert open_to_others(home) == [str(home / "theirs")]


def test_a_folder_that_is_for_everybody_stays_so(tmp_path):
    tmp_path.chmod(0o1777)
    mend_rights(Settings(home=tmp_path))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


def test_what_is_only_linked_to_stays_as_it_is(tmp_path, home):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    (home / "bundles" / "shipped").symlink_to(shared)
    mend_rights(Settings(home=home))
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755


def test_no_log_holds_the_key_that_is_made_at_a_start(home):
    with serving(home) as site:
        with site.http() as http:
            http.get("frames")
    said = site.log.read_text()
    assert site.key.split("_", 2)[2] not in said
    assert str(home / "connection.json") in said


def test_a_terminal_shows_the_link_with_the_key(home):
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "scatterlens", "serve", "--port", "0", "--home", str(home)]
    process = subprocess.Popen(command, stdout=follower, stderr=subprocess.DEVNULL)
    os.close(follower)
    said, end = b"", time.monotonic() + 90
    try:
        while b"#key=" not in said or not said.endswith(b"\n"):
            assert time.monotonic() < end, said
            if select.select([leader], [], [], 1)[0]:
                said += os.read(leader, 1000)
        kept = read_connection(home)
        assert kept is not None
        assert f"#key={kept.key}" in said.decode()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        os.close(leader)


def test_a_users_own_journals_are_private(tmp_path):
    from scatterlens.journal import Journal, Stamp

    before = os.umask(0)
    try:
        with Journal(tmp_path / "watch" / "x.jsonl") as journal:
            journal.add(Stamp("a", 1, 1))
    finally:
        os.umask(before)
    assert open_to_others(tmp_path / "watch") == []


def test_the_ledger_of_another_home_is_refused(tmp_path):
    """As with `--home` and a database that was set for all: files would lie in two places."""
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    make_bundle(tmp_path / "a" / "bundles")
    with serving(tmp_path / "a", SCATTERLENS_DATABASE_URL=url):
        pass
    make_bundle(tmp_path / "b" / "bundles")
    done = serve_in_vain(tmp_path / "b", SCATTERLENS_DATABASE_URL=url)
    assert done.returncode == 2
    assert str(tmp_path / "a") in done.stderr
    (tmp_path / "a").rename(tmp_path / "moved")
    with serving(tmp_path / "moved", SCATTERLENS_DATABASE_URL=url):
        pass
