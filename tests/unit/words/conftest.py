"""The whole command line over a home of its own."""

import pytest

from support.cli import RunCli, runner


@pytest.fixture
def run_cli(monkeypatch, capsys, tmp_path) -> RunCli:
    for name in ("URL", "KEY", "DATABASE_URL", "ACTIVE_MODELS"):
        monkeypatch.delenv(f"SCATTERLENS_{name}", raising=False)
    monkeypatch.setenv("SCATTERLENS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return runner(monkeypatch, capsys)
