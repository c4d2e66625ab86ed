"""`scatterlens serve` as a process, and `scatterlens keys`."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from scatterlens_service import ledger
from scatterlens_service.commands.serve import keys
from scatterlens_service.migrations import migrate
from scatterlens_service.settings import Settings
from support.bundles import make_bundle
from support.gateway import picture
from support.serving import serving as start

pytestmark = pytest.mark.timeout(240)  # whole services start; on a busy machine that takes a while


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    make_bundle(tmp_path / "home" / "bundles")
    monkeypatch.setenv("SCATTERLENS_ACTIVE_MODELS", "linear")
    monkeypatch.setenv("SCATTERLENS_MIN_FREE_SHARE", "0")
    return tmp_path / "home"


@contextmanager
def serving(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen, str, str]]:
    """A `scatterlens serve` that is ready: process, address, key."""
    with start(home, *options) as site:
        yield site.process, site.url, site.key


def run_keys(home: Path, *arguments: str):
    return CliRunner().invoke(keys, [*arguments, "--home", str(home)])


def test_serve_takes_a_frame_and_answers_it_with_its_own_worker(home):
    with serving(home) as (process, url, key):
        headers = {"Authorization": f"Bearer {key}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=60) as http:
            sent = http.post("/api/v1/frames", content=picture(1))
            frame_id = sent.json()["items"][0]["frame_id"]
            path = f"/api/v1/frames/{frame_id}/annotation?wait=30"
            answer = http.get(path).json()
            assert answer["state"] == "done"
            assert http.get(f"/api/v1/frames/{frame_id}/overlays/ring.png").status_code == 200
        kept = home / "connection.json"
        assert json.loads(kept.read_text()) == {"url": url, "key": key}
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        workers = children_of(process.pid)
        assert workers
    assert process.returncode == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def children_of(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_the_second_start_is_quick_and_uses_the_same_key(home):
    with serving(home) as (_, _, first):
        pass
    with serving(home) as (process, _, second):
        assert cpu_seconds(process.pid) < 5
    assert second == first


def cpu_seconds(pid: int) -> float:
    """Time that a process computed; on a machine that does nothing else, what a start takes."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_revoked_start_key_is_replaced(home):
    with serving(home) as (_, _, first):
        assert run_keys(home, "create", "--name", "x", "--role", "admin").exit_code == 0
        assert run_keys(home, "revoke", first.split("_")[1]).exit_code == 0
    with serving(home) as (_, url, second):
        assert second != first
        for key, status in ((first, 401), (second, 200)):
            headers = {"Authorization": f"Bearer {key}"}
            assert httpx2.get(f"{url}/api/v1/frames", headers=headers).status_code == status


def test_a_port_that_is_taken_is_said_with_the_remedy(home):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = serve_in_vain(home, "--port", port)
    assert done.returncode == 2
    assert f"port {port} is taken" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_model_is_said_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("SCATTERLENS_ACTIVE_MODELS", "missing")
    done = serve_in_vain(tmp_path, "--port", "0")
    assert done.returncode == 2
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr


def serve_in_vain(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scatterlens", "serve", "--home", str(home), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=os.environ)


def test_keys_are_made_listed_and_revoked(tmp_path):
    migrate(Settings(home=tmp_path).database)
    made = run_keys(tmp_path, "create", "--name", "detector", "--role", "viewer")
    assert made.exit_code == 0
    key = made.stdout.strip().splitlines()[-1]
    assert re.fullmatch(r"sl_[0-9a-f]+_[\w-]{43}", key)
    listed = run_keys(tmp_path, "list").stdout
    assert "detector" in listed
    assert key.split("_", 2)[2] not in listed
    settings = Settings(home=tmp_path)
    migrate(settings.database)
    engine = ledger.open_engine(settings.database)
    with ledger.reading(engine) as session:
        holder = ledger.authenticate(session, key)
    engine.dispose()
    assert holder is not None
    assert holder.scopes == {"results:read"}
    key_id = key.split("_")[1]
    assert run_keys(tmp_path, "revoke", key_id).exit_code == 0
    assert run_keys(tmp_path, "revoke", key_id).exit_code == 1


def test_the_last_admin_cannot_be_revoked_and_is_told_what_to_do(tmp_path):
    migrate(Settings(home=tmp_path).database)

    def make(*options: str) -> str:
        made = run_keys(tmp_path, "create", "--name", "a", "--role", "admin", *options)
        return made.stdout.strip().splitlines()[-1].split("_")[1]

    first, _bound = make(), make("--proposal", "P1")
    refused = run_keys(tmp_path, "revoke", first)
    assert refused.exit_code == 1
    assert "keys create --role admin" in refused.stderr
    second = make()
    assert run_keys(tmp_path, "revoke", first).exit_code == 0
    assert run_keys(tmp_path, "revoke", second).exit_code == 1


def test_a_key_that_cannot_be_is_refused_with_what_can(tmp_path):
    migrate(Settings(home=tmp_path).database)
    refused = run_keys(tmp_path, "create", "--name", "x", "--role", "viewer", "--scopes", "admin")
    assert refused.exit_code == 2
    assert "results:read" in refused.output
    assert run_keys(tmp_path, "create", "--name", "x", "--role", "king").exit_code == 2


def test_an_open_event_stream_does_not_delay_the_end(home):
    with serving(home) as (process, url, key):
        headers = {"Authorization": f"Bearer {key}"}
        with httpx2.Client(headers=headers, timeout=60) as http:
            with http.stream("GET", f"{url}/api/v1/events") as stream:
                lines = stream.iter_lines()
                assert next(lines).startswith(":")
                process.send_signal(signal.SIGTERM)
                assert not any(lines)  # the stream ends as a stream should
    assert process.returncode == 0
