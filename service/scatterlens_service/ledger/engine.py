"""Opening the ledger, and its two kinds of transactions.

Nothing here is global: whoever opens an engine passes it on and disposes of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.orm import Session

_WRITES = "scatterlens_writes"
_BUSY_MILLISECONDS = 20_000


class BadAddressError(ValueError):
    """No ledger can be at that address: correct SCATTERLENS_DATABASE_URL."""


def open_engine(url: str) -> Engine:
    """Engine for a SQLite file (its folder is created) or for PostgreSQL.

    Raises:
        BadAddressError: for any other database.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            if parsed.database is None or parsed.database == ":memory:":
                raise BadAddressError("the ledger needs a file: sqlite:////folder/ledger.sqlite")
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            engine = create_engine(parsed)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        case "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
            return create_engine(
                parsed,
                pool_pre_ping=True,
                pool_size=10,
                max_overflow=20,
                connect_args={"connect_timeout": 5},
            )
        case other:
            raise BadAddressError(f"no ledger on {other}: use sqlite:/// or postgresql://")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, deferred; `_begin_sqlite` does it instead.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {_BUSY_MILLISECONDS}",
        "journal_mode = WAL",
        # An answer of 202 must outlive a power cut, not only a killed process.
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A reader that turns writer fails at once when another wrote meanwhile; one that
    # says so at the start waits its turn.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """One transaction that may write: committed at the end, rolled back on an exception."""
    with Session(engine.execution_options(**{_WRITES: True})) as session, session.begin():
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """One transaction that only reads: it sees one state of the ledger and blocks nobody."""
    options = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with Session(engine.execution_options(**options)) as session, session.begin():
        yield session
