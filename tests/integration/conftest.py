"""Ledgers on each database, empty for every test."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from scatterlens_service import ledger
from scatterlens_service.migrations import migrate_engine
from support import servers


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    try:
        with servers.postgres() as url:
            yield url
    except servers.ProgramMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path) -> Iterator[Engine]:
    """A migrated, empty ledger."""
    if request.param == "sqlite":
        engine = ledger.open_engine(f"sqlite:///{tmp_path}/ledger.sqlite")
    else:
        engine = ledger.open_engine(request.getfixturevalue("postgres_url"))
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    migrate_engine(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def redis() -> Iterator[servers.Redis]:
    try:
        server = servers.Redis()
    except servers.ProgramMissingError as missing:
        pytest.skip(str(missing))
    yield server
    server.close()
