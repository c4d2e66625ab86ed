"""Lists can be read at a narrow terminal, through a pipe, and by programs."""

import json
import os
import pty
import subprocess
import sys
import threading

import pytest

ROLES = ("viewer", "annotator", "scientist", "trainer", "admin")


@pytest.fixture
def home(run_cli, tmp_path):
    """A home with keys of several people; their ids, by name."""
    from scatterlens_service.ledger import open_engine, writing
    from scatterlens_service.ledger.keys import create_key
    from scatterlens_service.migrations import migrate

    folder = tmp_path / "home"
    folder.mkdir()
    url = f"sqlite:///{folder / 'ledger.sqlite'}"
    migrate(url)
    engine = open_engine(url)
    ids = {}
    with writing(engine) as session:
        for role in ROLES:
            name = f"a rather long name of the {role} [b]"
            ids[name] = create_key(session, name, role=role).split("_")[1]
    engine.dispose()
    return ids


def at_terminal(*words: str, columns: int) -> str:
    """What a command prints at a real terminal of so many columns."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb"}
    command = [sys.executable, "-m", "scatterlens", *words]
    parts: list[bytes] = []

    def read() -> None:
        while True:
            try:
                part = os.read(leader, 65_536)
            except OSError:
                return
            if not part:
                return
            parts.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    process = subprocess.Popen(command, stdout=follower, stderr=subprocess.DEVNULL, env=environment)
    assert process.wait(60) == 0
    os.close(follower)
    reader.join(20)
    os.close(leader)
    return b"".join(parts).decode()


def test_keys_at_eighty_columns_have_whole_ids(home):
    said = at_terminal("keys", "list", columns=80)
    for key_id in home.values():
        assert key_id in said
    assert all(len(line.rstrip("\r")) <= 80 for line in said.split("\n"))
    assert "…" not in said


def test_keys_that_are_piped_are_whole_lines(run_cli, home):
    code, out, _ = run_cli("keys", "list")
    assert code == 0
    heads, *lines = [line.split("\t") for line in out.splitlines()]
    assert heads[:2] == ["id", "name"]
    assert {line[1]: line[0] for line in lines} == home


def test_keys_as_json_are_one_document_a_line(run_cli, home):
    code, out, _ = run_cli("keys", "list", "--json")
    assert code == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert {one["name"]: one["id"] for one in found} == home
    assert {one["role"] for one in found} == set(ROLES)
    assert "secret" not in out


def test_a_key_is_revoked_by_how_its_id_begins_where_that_is_one(run_cli, home):
    first, second, *_ = home.values()
    code, out, err = run_cli("keys", "revoke", "")
    assert code == 1
    assert first in err
    assert second in err
    code, _, err = run_cli("keys", "revoke", "nothing")
    assert (code, "keys list" in err) == (1, True)
    start = next(first[:n] for n in range(1, 13) if not second.startswith(first[:n]))
    others = [one for one in home.values() if one.startswith(start) and one != first]
    code, out, _ = run_cli("keys", "revoke", first if others else start)
    assert code == 0
    assert f"Revoked {first}" in out
    revoked = [
        json.loads(line)["id"]
        for line in run_cli("keys", "list", "--json")[1].splitlines()
        if json.loads(line)["revoked"]
    ]
    assert revoked == [first]
    assert run_cli("keys", "revoke", first)[0] == 1
