"""The INSERT of each database that passes over rows that are there already."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert_into(session: Session) -> Any:
    """The INSERT of this database that knows `on_conflict_do_nothing`."""
    dialect = session.get_bind().dialect.name
    return postgresql.insert if dialect == "postgresql" else sqlite.insert
