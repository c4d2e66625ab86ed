"""Bringing a ledger's tables up to date; run at every start, from inside the installed package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from scatterlens_service.ledger.engine import open_engine

_LOCK = 0x5CA77E2  # any number that nobody else locks


def migrate(url: str) -> None:
    """Bring the ledger at `url` to this version's tables; several processes may do so at once."""
    engine = open_engine(url)
    try:
        migrate_engine(engine)
    finally:
        engine.dispose()


def migrate_engine(engine: Engine) -> None:
    """The same on an engine that is open already."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with engine.execution_options(scatterlens_writes=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
