"""Column types that keep their meaning on every database: aware UTC times, checked enums."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time, kept with microseconds and without a zone where a database has none."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> Any:
        """Choose the column type of this database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.DateTime(timezone=True))
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse a naive time: nobody could tell later which zone it was in."""
        if value is None:
            return None
        if value.tzinfo is None:
            message = f"a time without a zone cannot be stored: {value!r}"
            raise ValueError(message)
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give the time back in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# MariaDB's TEXT ends after 64 kB, which a figure or a traceback may exceed.
LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def word(enum: type[Enum], *, name: str | None = None, length: int = 20) -> sa.Enum:
    """A text column that holds the words of an enum, with a CHECK that says so.

    Args:
        enum: The words.
        name: Last part of the CHECK's name; the enum's own name unless it is given.
        length: Room for the longest word.
    """
    return sa.Enum(
        enum,
        native_enum=False,
        create_constraint=True,
        name=name or enum.__name__.lower(),
        length=length,
        values_callable=lambda members: [str(m.value) for m in members],
    )


def stored_word(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Read a word as it is stored, without making a member of an enum of it."""
    return sa.type_coerce(column, sa.String)


class Code(TypeDecorator[IntEnum]):
    """A small integer column that holds the numbers of an IntEnum."""

    impl = sa.SmallInteger
    cache_ok = True

    def __init__(self, enum: type[IntEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> int | None:
        """Store the number."""
        del dialect
        return None if value is None else int(self.enum(value))

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> IntEnum | None:
        """Give the member back."""
        del dialect
        return None if value is None else self.enum(value)


class PastIndex(FunctionElement[int]):
    """A column that SQLite does not look up in an index (sqlite.org/optoverview.html, unary `+`).

    Without ANALYZE, SQLite believes that every index leads to a few rows. A query that asks for the
    few open rows of an experiment would then go through all trials of it. Other systems know better
    and get the bare column.
    """

    inherit_cache = True
    type = sa.Integer()


@compiles(PastIndex)
def _bare(element: PastIndex, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(PastIndex, "sqlite")
def _disqualified(element: PastIndex, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"
