"""Short connections for workers: opened, one transaction, closed.

SQLite and PostgreSQL are spoken to through their drivers alone, since SQLAlchemy would cost every
worker a third of a second. Any other URL goes through SQLAlchemy. Statements are written once, with
`%(name)s` for parameters, `"index"` for names that need quotes, and `{now}` for the database's
clock.
"""

from __future__ import annotations

import sys

from db.errors import DatabaseError, DatabaseUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from typing import Any, Protocol, TypeVar

    T = TypeVar("T")
    Row = tuple[Any, ...]
    # Runs one statement; gives the number of changed rows, and the rows if it was a question.
    Execute = Callable[[str, dict[str, Any]], tuple[int, list[Row]]]

    class Database(Protocol):
        """One kind of database."""

        dialect: str

        def transact(self, work: Callable[[Execute], T]) -> T:
            """Do `work` in one transaction over a connection of its own.

            Raises DatabaseUnavailable or DatabaseError; after the first it is not known whether
            the transaction was committed.
            """


CONNECT_SECONDS = 10
# A lock that is not given in this time is an answer too; the caller tries again.
STATEMENT_SECONDS = 30
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg2")
_SQLITE = ("sqlite", "sqlite+pysqlite")
_READ_ONLY = "25006"  # a standby that is being promoted
# Milliseconds padded to the six digits that SQLAlchemy writes, so that texts sort as times do.
_CLOCKS = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
    "postgresql": "clock_timestamp()",
    "mysql": "UTC_TIMESTAMP(6)",
    "mariadb": "UTC_TIMESTAMP(6)",
}
_SQL_ERROR = 1  # SQLITE_ERROR: the statement itself is wrong, e.g. no such table


def open_database(url: str) -> Database:
    """Choose the driver for a database URL; nothing is opened yet."""
    scheme, _, rest = url.partition("://")
    if scheme in _SQLITE and rest.startswith("/") and "?" not in rest:
        return SqliteDatabase(rest[1:])
    if scheme in _POSTGRES:
        return PostgresDatabase(f"postgresql://{rest}")
    return OtherDatabase(url)


def without_password(text: str, url: str) -> str:
    """Take the password of `url` out of a text about an error, and make it one line."""
    secrets = {url, *passwords_of(url)}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return " ".join(text.split())


def passwords_of(url: str) -> set[str]:
    """Return the passwords in a URL, as they are written there and as they are meant."""
    _, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    user, _, password = place.rpartition("@")[0].partition(":")
    found = {password} if "/" not in user else set()  # else it is the path of a file
    for option in query.split("&"):
        name, _, value = option.partition("=")
        if "password" in name.lower():
            found.add(value)
    if any("%" in secret or "+" in secret for secret in found):
        from urllib.parse import unquote, unquote_plus

        found |= {unquote(secret) for secret in found} | {unquote_plus(s) for s in found}
    return found - {""}


class SqliteDatabase:
    """A file of SQLite."""

    dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self._path = path

    def transact(self, work: Callable[[Execute], T]) -> T:
        """See `Database`."""
        import sqlite3

        try:
            connection = self._connect()
            try:
                connection.execute("BEGIN IMMEDIATE")
                result = work(lambda sql, values: self._execute(connection, sql, values))
                connection.execute("COMMIT")
            finally:
                connection.close()  # rolls back what was not committed
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", None)
            kind = DatabaseError if code == _SQL_ERROR else DatabaseUnavailable
            message = f"{self._path}: {error}"
            raise kind(message) from error
        except sqlite3.Error as error:
            message = f"{self._path}: {error}"
            raise DatabaseError(message) from error
        return result

    def _connect(self) -> sqlite3.Connection:
        """Open the file, which has to exist."""
        import sqlite3

        name = self._path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        return sqlite3.connect(
            f"file:{name}?mode=rw", uri=True, timeout=STATEMENT_SECONDS, isolation_level=None
        )

    def _execute(
        self, connection: sqlite3.Connection, sql: str, values: dict[str, Any]
    ) -> tuple[int, list[Row]]:
        cursor = connection.execute(_named(sql.replace("{now}", _CLOCKS["sqlite"])), values)
        return cursor.rowcount, cursor.fetchall()


class PostgresDatabase:
    """A PostgreSQL server, through psycopg2."""

    dialect = "postgresql"

    def __init__(self, url: str) -> None:
        self._url = url

    def transact(self, work: Callable[[Execute], T]) -> T:
        """See `Database`."""
        _load_psycopg2()
        import psycopg2

        try:
            connection = psycopg2.connect(
                self._url,
                connect_timeout=CONNECT_SECONDS,
                application_name="headway-worker",
                # A server that vanished without a word must not hold a worker for hours.
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
                tcp_user_timeout=STATEMENT_SECONDS * 1000,
            )
            try:
                with connection.cursor() as cursor:
                    cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
                    result = work(lambda sql, values: _ask(cursor, sql, values))
                connection.commit()
            finally:
                connection.close()  # rolls back what was not committed
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise DatabaseUnavailable(without_password(str(error), self._url)) from None
        except psycopg2.Error as error:
            kind = DatabaseUnavailable if error.pgcode == _READ_ONLY else DatabaseError
            raise kind(without_password(str(error), self._url)) from None
        return result


def _load_psycopg2() -> None:
    """Import psycopg2 without Python's `ssl`, which it wants only to see whether that is there.

    It asks, so that libpq does not set OpenSSL up a second time; a worker has no first time. The
    import would cost each worker 20 ms. libpq's own TLS is not touched by this.
    """
    if "ssl" in sys.modules or "psycopg2" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]  # makes `import ssl` fail
    try:
        import psycopg2  # noqa: F401
    finally:
        del sys.modules["ssl"]


def _ask(cursor: Any, sql: str, values: dict[str, Any]) -> tuple[int, list[Row]]:
    """Run a statement of our own with psycopg2."""
    cursor.execute(sql.replace("{now}", _CLOCKS["postgresql"]), values)
    return cursor.rowcount, cursor.fetchall() if cursor.description else []


class OtherDatabase:
    """Whatever else SQLAlchemy can open."""

    def __init__(self, url: str) -> None:
        import sqlalchemy as sa
        from sqlalchemy.pool import NullPool

        self._url = url
        try:
            self._engine = sa.create_engine(url, poolclass=NullPool)
        except (sa.exc.ArgumentError, ImportError) as error:
            raise DatabaseError(without_password(str(error), url)) from None
        self.dialect = self._engine.dialect.name

    def transact(self, work: Callable[[Execute], T]) -> T:
        """See `Database`."""
        import sqlalchemy as sa

        clock = _CLOCKS.get(self.dialect, "CURRENT_TIMESTAMP")
        try:
            with self._engine.begin() as connection:
                return work(lambda sql, values: self._execute(connection, clock, sql, values))
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            raise DatabaseUnavailable(without_password(str(error.orig), self._url)) from None
        except sa.exc.SQLAlchemyError as error:
            raise DatabaseError(without_password(str(error), self._url)) from None

    def _execute(
        self,
        connection: Any,
        clock: str,
        sql: str,
        values: dict[str, Any],
    ) -> tuple[int, list[Row]]:
        import sqlalchemy as sa

        if self.dialect in {"mysql", "mariadb"}:
            sql = sql.replace('"', "`")
        result = connection.execute(sa.text(_named(sql).replace("{now}", clock)), values)
        rows = [tuple(row) for row in result] if result.returns_rows else []
        return result.rowcount, rows


def _named(sql: str) -> str:
    """Write the parameters of a statement as SQLite and SQLAlchemy want them: `:name`."""
    first, *others = sql.split("%(")
    return first + "".join(":" + other.replace(")s", "", 1) for other in others)
