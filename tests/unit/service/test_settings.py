from pathlib import Path

import pytest

from scatterlens_service.settings import BadSettingsError, Settings


def test_without_variables_everything_lies_in_the_users_data_folder(monkeypatch):
    monkeypatch.delenv("SCATTERLENS_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    settings = Settings()
    assert settings.home in (
        Path("/somewhere/scatterlens"),
        Path.home() / "Library" / "Application Support" / "scatterlens",
    )
    assert settings.database == f"sqlite:///{settings.home}/ledger.sqlite"
    assert settings.redis_url is None


def test_variables_set_what_their_names_say(monkeypatch):
    monkeypatch.setenv("SCATTERLENS_HOME", "/data")
    monkeypatch.setenv("SCATTERLENS_DATABASE_URL", "postgresql://user@host/db")
    monkeypatch.setenv("SCATTERLENS_ACTIVE_MODELS", "aam-slim, vgg")
    monkeypatch.setenv("SCATTERLENS_LEASE_SECONDS", "3")
    settings = Settings()
    assert settings.blob_folder == Path("/data/blobs")
    assert settings.database == "postgresql://user@host/db"
    assert settings.active_models == ("aam-slim", "vgg")
    assert settings.lease_seconds == 3


def test_a_limit_of_zero_is_refused(monkeypatch):
    monkeypatch.setenv("SCATTERLENS_MAX_FRAMES", "0")
    with pytest.raises(BadSettingsError, match="SCATTERLENS_MAX_FRAMES"):
        Settings()
