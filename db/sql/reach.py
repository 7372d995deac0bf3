"""What can be told of a database without changing it: whether it answers, how fast, what it holds."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import sqlalchemy as sa

from db.sql.engine import is_sqlite, make_engine, open_any, schema_version, translated

_QUESTIONS = 9
# From PostgreSQL 15 on, not everybody may make tables in the schema that all share.
_MAY_CREATE = "SELECT has_schema_privilege(coalesce(current_schema(), 'public'), 'CREATE')"


@dataclass(frozen=True, kw_only=True)
class Reach:
    """A database that answers.

    Attributes:
        milliseconds: Median of the time of a small question.
        version: Its schema; None: it has no tables of Headway.
        is_empty: Whether it has no tables at all.
        may_create: Whether this user may make tables; None: not known.
    """

    milliseconds: float
    version: str | None
    is_empty: bool
    may_create: bool | None


def reach(text: str, *, timeout_seconds: float = 10) -> Reach:
    """Ask a database what it is; nothing is changed.

    Args:
        text: The URL; an SQLite file has to be there, with tables of Headway.
        timeout_seconds: How long connecting may take.

    Raises:
        DatabaseError: As for `open_any`.
    """
    if is_sqlite(text):
        engine, _ = open_any(text, timeout_seconds=timeout_seconds)
    else:
        engine = make_engine(text, timeout_seconds=timeout_seconds)
    try:
        with translated(), engine.connect().execution_options(reading=True) as connection:
            return Reach(
                milliseconds=statistics.median(_question(connection) for _ in range(_QUESTIONS)),
                version=schema_version(connection),
                is_empty=not sa.inspect(connection).get_table_names(),
                may_create=_may_create(connection),
            )
    finally:
        engine.dispose()


def _question(connection: sa.Connection) -> float:
    began = time.monotonic()
    connection.exec_driver_sql("SELECT 1").close()
    return 1000 * (time.monotonic() - began)


def _may_create(connection: sa.Connection) -> bool | None:
    if connection.dialect.name != "postgresql":
        return None
    return bool(connection.exec_driver_sql(_MAY_CREATE).scalar())
