"""Column types that keep their meaning on every database: aware UTC times, checked enums."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
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


def word(enum: type[Enum]) -> sa.Enum:
    """A text column that holds the words of an enum, with a CHECK that says so."""
    return sa.Enum(
        enum,
        native_enum=False,
        create_constraint=True,
        name=enum.__name__.lower(),
        length=20,
        values_callable=lambda members: [str(m.value) for m in members],
    )


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
