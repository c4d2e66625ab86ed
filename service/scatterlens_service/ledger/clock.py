"""The database's clock: leases never compare the wall clocks of two hosts."""

from typing import Any

from sqlalchemy import Double, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement


class Clock(FunctionElement[float]):
    """Seconds since 1970 as the database reads them when the statement runs."""

    type = Double()
    inherit_cache = True


def read_clock(session: Session) -> float:
    """Seconds since 1970 as the database reads them now."""
    return session.scalars(select(Clock())).one()


@compiles(Clock, "sqlite")
def _sqlite(element: Clock, compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(Clock, "postgresql")
def _postgresql(element: Clock, compiler: Any, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
