"""The tables as copying sees them: rows whose references are names that hold in every database.

Keys differ from database to database. A row here names what it refers to by what is the same
everywhere: a trial by its index, an attempt and a submission by their tokens, a generation by its
number, an objective and a parameter by their names. JSON stays the text that it is, so that no
digit and no order changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from db.sql.columns import LONG_TEXT, Code, UtcDateTime
from db.sql.tables import Base

Row = dict[str, Any]
# Rows that are read, compared and written at a time.
PAGE = 1000
_METADATA = sa.MetaData()


class JsonText(TypeDecorator[str]):
    """JSON as the text that is stored; psycopg2 would read it."""

    impl = LONG_TEXT
    cache_ok = True

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Read it as text."""
        return sa.cast(column, sa.Text)


class PlainTime(UtcDateTime):
    """A time, read from and written to SQLite in half the time: it is a text there."""

    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """Choose the column type of this database."""
        is_text = dialect.name == "sqlite"
        return sa.String(26) if is_text else super().load_dialect_impl(dialect)

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        """Write it as SQLAlchemy writes it; all times here are in UTC."""
        if value is None or dialect.name != "sqlite":
            return super().process_bind_param(value, dialect)
        return value.isoformat(" ", "microseconds")[:26]

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        """Give the time back in UTC."""
        if value is None or dialect.name != "sqlite":
            return super().process_result_value(value, dialect)
        return datetime.fromisoformat(f"{value}+00:00")


def _plain(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """Return a column type that hands values through: words stay words, JSON stays text."""
    if isinstance(kind, sa.JSON):
        return JsonText()
    if isinstance(kind, sa.Enum):
        return sa.String(kind.length)
    if isinstance(kind, UtcDateTime):
        return PlainTime()
    return sa.SmallInteger() if isinstance(kind, Code) else kind


for _table in Base.metadata.sorted_tables:
    sa.Table(
        _table.name,
        _METADATA,
        *(sa.Column(c.name, _plain(c.type), primary_key=c.primary_key) for c in _table.c),
    )
TABLES = _METADATA.tables

# Column -> the table that it refers to, and the column there that is the same everywhere.
NAMES = {
    "generation_id": ("generation", "number"),
    "trial_id": ("trial", "index"),
    "reused_trial_id": ("trial", "index"),
    "submission_id": ("submission", "token"),
    "attempt_id": ("attempt", "token"),
    "objective_id": ("objective", "name"),
}


def named(table: sa.Table) -> sa.Select[*tuple[Any, ...]]:
    """Select a table with names in place of keys."""
    columns: list[sa.ColumnElement[Any]] = []
    source: sa.FromClause = table
    for column in table.c:
        if column.name not in NAMES:
            columns.append(column)
            continue
        target, name = NAMES[column.name]
        other = TABLES[target].alias(column.name.removesuffix("_id"))
        source = source.outerjoin(other, other.c.id == column)
        columns.append(other.c[name].label(column.name))
    return sa.select(*columns).select_from(source)


def keys_of(
    connection: sa.Connection, column: str, names: Collection[Any], experiment_id: int
) -> dict[Any, int]:
    """Return the keys that rows have in a database, by what is the same everywhere.

    Args:
        connection: The database.
        column: The column that refers to them.
        names: What they are called.
        experiment_id: The experiment that they belong to, there.
    """
    target, name = NAMES[column]
    table = TABLES[target]
    found: dict[Any, int] = {}
    wanted = [value for value in set(names) if value is not None]
    for part in parts(wanted):
        query = sa.select(table.c[name], table.c.id).where(table.c[name].in_(part))
        if "experiment_id" in table.c:
            query = query.where(table.c.experiment_id == experiment_id)
        found |= {value: int(key) for value, key in connection.execute(query)}
    return found


def parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Cut a list into pages."""
    return (values[start : start + PAGE] for start in range(0, len(values), PAGE))
