"""Where the client looks for the gateway and its key."""

import stat

import pytest

from scatterlens.connection import (
    DEFAULT_URL,
    Connection,
    find_connection,
    read_connection,
    write_connection,
)

SERVED = Connection("http://127.0.0.1:9123", "sl_served_secret")


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("SCATTERLENS_URL", "SCATTERLENS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCATTERLENS_HOME", str(tmp_path))
    return tmp_path


def test_without_anything_it_is_this_machine_and_no_key(home):
    assert find_connection() == Connection(DEFAULT_URL, None)


def test_what_serve_wrote_is_used_and_is_private(home):
    path = write_connection(home, SERVED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert find_connection() == SERVED


def test_writing_again_replaces_and_keeps_it_private(home):
    (home / "connection.json").write_text("{}")
    (home / "connection.json").chmod(0o644)
    write_connection(home, Connection("http://old", "sl_old"))
    path = write_connection(home, SERVED)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_connection(home) == SERVED
    assert list(home.iterdir()) == [path]


def test_the_environment_counts_more_and_arguments_most(home, monkeypatch):
    write_connection(home, SERVED)
    monkeypatch.setenv("SCATTERLENS_URL", "https://beamline/lens/")
    monkeypatch.setenv("SCATTERLENS_KEY", "sl_env")
    assert find_connection() == Connection("https://beamline/lens", "sl_env")
    assert find_connection("http://other", "sl_arg") == Connection("http://other", "sl_arg")


def test_the_key_of_one_gateway_is_not_sent_to_another(home):
    write_connection(home, SERVED)
    assert find_connection("http://elsewhere:9123").key is None
    assert find_connection(SERVED.url + "/").key == SERVED.key


@pytest.mark.parametrize("text", ["", "[]", "{", '{"key": "x"}', "null"])
def test_a_damaged_file_counts_as_none(home, text):
    (home / "connection.json").write_text(text)
    assert read_connection(home) is None


def test_a_key_is_not_shown_where_a_connection_is_printed():
    assert "secret" not in repr(SERVED)
