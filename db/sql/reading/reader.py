"""The way into a database for somebody who only looks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from db.sql import mysql
from db.sql.engine import open_existing, translated
from db.sql.store import Transaction

__all__ = ["Reader", "Transaction", "open_reader"]


class Reader:
    """A database that is only read; usable from several threads.

    Every `read` sees one state of the database, however many queries it makes, and holds no lock
    that a writer would wait for.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        options: dict[str, object] = {"reading": True}
        if engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        elif engine.dialect.name in mysql.DIALECTS:
            options["isolation_level"] = "REPEATABLE READ"
        self._options = options

    @contextlib.contextmanager
    def read(self) -> Iterator[Transaction]:
        """One reading transaction; keep it short.

        Raises:
            DatabaseUnavailable: The database does not answer.
            DatabaseError: It refused a query.
        """
        with translated(), self._engine.connect() as plain:
            connection = plain.execution_options(**self._options)
            with connection.begin(), _read_only(connection):
                yield connection

    def close(self) -> None:
        """Give the connections back; the reader may be used again, and opens new ones then."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@contextlib.contextmanager
def _read_only(connection: Transaction) -> Iterator[None]:
    """Let the database itself refuse to write; PostgreSQL was told so with the transaction."""
    if connection.dialect.name in mysql.DIALECTS:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    try:
        yield
    finally:
        if is_sqlite and not connection.invalidated:
            # It holds as long as the connection, which the next one to ask the pool may write with.
            connection.exec_driver_sql("PRAGMA query_only = OFF")


def open_reader(url: str, *, timeout_seconds: float = 10) -> Reader:
    """Open a database that holds Headway's tables.

    Raises:
        DatabaseError: The URL cannot be used, the database does not answer, or its tables belong to
            another version.
    """
    return Reader(open_existing(url, timeout_seconds=timeout_seconds, is_viewer=True))
