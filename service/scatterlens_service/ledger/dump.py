"""All rows of a ledger as plain values, out of one database and into another of either kind.

Tables are read as the database describes them, not as this version declares them: a ledger is
dumped at the revision it has, loaded at that revision, and brought up to date afterwards.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, LargeBinary, MetaData, Table, func, inspect, select, text, update
from sqlalchemy.orm import Session

_REVISION_TABLE = "alembic_version"
_ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class Portion:
    """Some rows of one table."""

    table: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    """JSON values; bytes as base64."""


def read_revision(session: Session) -> str | None:
    """Revision of the tables; None where there is no ledger."""
    connection = session.connection()
    if not inspect(connection).has_table(_REVISION_TABLE):
        return None
    return connection.scalar(text(f"SELECT version_num FROM {_REVISION_TABLE}"))


def is_empty(session: Session) -> bool:
    """Whether the database has no table at all."""
    return not inspect(session.connection()).get_table_names()


def dump_rows(session: Session) -> Iterator[Portion]:
    """Every row, parents before the rows that refer to them; few are held at a time.

    In a `reading` transaction all are of one moment, and nobody is kept from writing.
    """
    connection = session.connection()
    for table in _tables(session):
        query = select(table).execution_options(yield_per=_ROWS_AT_ONCE)
        binary = [isinstance(column.type, LargeBinary) for column in table.columns]
        columns = [column.name for column in table.columns]
        for part in connection.execute(query).partitions():
            yield Portion(table.name, columns, [_to_json(row, binary) for row in part])


def dump_counters(session: Session) -> dict[str, int]:
    """The last number that each counting column gave out: a number is never given twice."""
    if session.get_bind().dialect.name == "sqlite":
        counters = text("SELECT name, seq FROM sqlite_sequence")
        return {name: int(last) for name, last in session.execute(counters)}
    found = {}
    for table in _tables(session):
        sequence = _sequence(session, table)
        if sequence is not None:
            last = session.scalar(text(f"SELECT last_value FROM {sequence} WHERE is_called"))
            if last is not None:
                found[table.name] = int(last)
    return found


def load_rows(session: Session, portions: Iterable[Portion]) -> int:
    """Add rows to tables that are as they were where the rows come from; returns how many.

    Raises:
        ValueError: a table or column is not there.
    """
    tables = {table.name: table for table in _tables(session)}
    connection, count = session.connection(), 0
    for portion in portions:
        table = tables.get(portion.table)
        if table is None or not set(portion.columns) <= set(table.columns.keys()):
            raise ValueError(f"the ledger has no table {portion.table} with these columns")
        columns = [table.columns[name] for name in portion.columns]
        binary = [isinstance(column.type, LargeBinary) for column in columns]
        rows = [
            dict(zip(portion.columns, _from_json(row, binary), strict=True)) for row in portion.rows
        ]
        if rows:
            connection.execute(table.insert(), rows)
        count += len(rows)
    return count


def load_counters(session: Session, counters: dict[str, int]) -> None:
    """Let every counting column go on where it stood."""
    tables = {table.name: table for table in _tables(session)}
    if session.get_bind().dialect.name == "sqlite":
        sequences = Table("sqlite_sequence", MetaData(), autoload_with=session.connection())
        known = dict(session.execute(select(sequences.c.name, sequences.c.seq)).all())
        for name, last in counters.items():
            if name in known:
                changed = update(sequences).where(sequences.c.name == name).values(seq=last)
                session.execute(changed)
            elif name in tables:
                session.execute(sequences.insert().values(name=name, seq=last))
        return
    for name, table in tables.items():
        sequence = _sequence(session, table)
        if sequence is not None:
            highest = session.scalar(select(func.max(table.columns["id"]))) or 0
            last = max(counters.get(name, 0), highest)
            if last:
                session.execute(select(func.setval(sequence, last)))


def _tables(session: Session) -> list[Table]:
    """Tables of the ledger, parents first."""
    metadata = MetaData()
    metadata.reflect(session.connection())
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type = JSON(none_as_null=True)
    skipped = (_REVISION_TABLE, "sqlite_sequence")
    return [table for table in metadata.sorted_tables if table.name not in skipped]


def _sequence(session: Session, table: Table) -> str | None:
    column = table.columns.get("id")
    if column is None or not column.primary_key:
        return None
    return session.scalar(select(func.pg_get_serial_sequence(table.name, "id")))


def _to_json(row: Sequence[Any], binary: Sequence[bool]) -> list[Any]:
    return [
        base64.b64encode(value).decode() if is_binary and value is not None else value
        for value, is_binary in zip(row, binary, strict=True)
    ]


def _from_json(row: Sequence[Any], binary: Sequence[bool]) -> list[Any]:
    return [
        base64.b64decode(value) if is_binary and value is not None else value
        for value, is_binary in zip(row, binary, strict=True)
    ]


def named_files(session: Session) -> Iterator[str]:
    """sha256 of every file that rows count on: those of frames, and of what models said."""
    tables = {table.name: table for table in _tables(session)}
    for name, column in (("frames", "sha256"), ("annotations", "blob")):
        wanted = tables[name].columns[column]
        query = select(wanted).distinct()
        if "raw_removed" in tables[name].columns:
            query = query.where(tables[name].columns["raw_removed"].is_(None))
        yield from session.scalars(query.execution_options(yield_per=_ROWS_AT_ONCE))
