"""Bringing a ledger's tables up to date; run at every start, from inside the installed package."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from scatterlens_service.ledger.engine import open_engine

_LOCK = 0x5CA77E2  # any number that nobody else locks


class LedgerTooNewError(RuntimeError):
    """A newer version wrote the ledger; the text says what to do."""


def migrate(url: str) -> None:
    """Bring the ledger at `url` to this version's tables; several processes may do so at once."""
    engine = open_engine(url)
    try:
        migrate_engine(engine)
    finally:
        engine.dispose()


def migrate_engine(engine: Engine) -> None:
    """The same on an engine that is open already."""
    with engine.execution_options(scatterlens_writes=True).begin() as connection:
        upgrade(connection)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """The same within a transaction, up to some revision."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and not knows(found):
        raise LedgerTooNewError(
            "the ledger was written by a newer version of Scatterlens (its tables are of revision"
            f" {found}, this one knows them up to {_newest()}): install that version again, or"
            " restore a backup that was made before the upgrade"
        )
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def knows(revision: str) -> bool:
    """Whether a ledger of that revision is one of this version, or of an older one."""
    scripts = ScriptDirectory.from_config(_config())
    return revision in {script.revision for script in scripts.walk_revisions()}


def _newest() -> str | None:
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
