"""Short connections for workers: opened, one transaction, closed.

SQLite and PostgreSQL (`db.postgres`) are spoken to through their drivers alone, since SQLAlchemy
would cost every worker a third of a second. Any other URL goes through SQLAlchemy. Statements are
written once, with `%(name)s` for parameters, `"index"` for names that need quotes, and `{now}` for
the database's clock.
"""

from __future__ import annotations

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
    # A notification: channel (a plain name) and text.
    Ring = tuple[str, str]

    class Database(Protocol):
        """One kind of database."""

        dialect: str

        def transact(self, work: Callable[[Execute], T], *, ring: Ring | None = None) -> T:
            """Do `work` in one transaction over a connection of its own, or the held one.

            `ring` is sent after the commit, where the database can do that. Raises
            DatabaseUnavailable or DatabaseError; after the first it is not known whether the
            transaction was committed.
            """


CONNECT_SECONDS = 10
# A lock that is not given in this time is an answer too; the caller tries again.
STATEMENT_SECONDS = 30
_POSTGRES = ("postgresql", "postgres", "postgresql+psycopg2")
_SQLITE = ("sqlite", "sqlite+pysqlite")
# Milliseconds padded to the six digits that SQLAlchemy writes, so that texts sort as times do.
CLOCKS = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now')",
    "postgresql": "clock_timestamp()",
    "mysql": "UTC_TIMESTAMP(6)",
    "mariadb": "UTC_TIMESTAMP(6)",
}
_SQL_ERROR = 1  # SQLITE_ERROR: the statement itself is wrong, e.g. no such table


def open_database(url: str, *, hold: bool = False) -> Database:
    """Choose the driver for a database URL; nothing is opened yet.

    With `hold` a connection to PostgreSQL is kept between transactions: that is for pools, which
    come later and are few, since a server gives about a hundred connections in all.
    """
    scheme, _, rest = url.partition("://")
    if scheme in _SQLITE and rest.startswith("/") and "?" not in rest:
        return SqliteDatabase(rest[1:])
    if scheme in _POSTGRES:
        from db.postgres import PostgresDatabase

        return PostgresDatabase(f"postgresql://{rest}", hold=hold)
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

    def transact(self, work: Callable[[Execute], T], *, ring: Ring | None = None) -> T:
        """See `Database`."""
        del ring  # whoever waits looks at `PRAGMA data_version`
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
        cursor = connection.execute(_named(sql.replace("{now}", CLOCKS["sqlite"])), values)
        return cursor.rowcount, cursor.fetchall()


class OtherDatabase:
    """Whatever else SQLAlchemy can open."""

    def __init__(self, url: str) -> None:
        from db.sql.engine import make_engine

        self._url = url
        self._engine = make_engine(url, timeout_seconds=CONNECT_SECONDS, is_short=True)
        self.dialect = self._engine.dialect.name

    def transact(self, work: Callable[[Execute], T], *, ring: Ring | None = None) -> T:
        """See `Database`."""
        del ring
        from db.sql.engine import translated

        clock = CLOCKS.get(self.dialect, "CURRENT_TIMESTAMP")
        try:
            with translated(), self._engine.begin() as connection:
                return work(lambda sql, values: self._execute(connection, clock, sql, values))
        except DatabaseError as error:
            raise type(error)(without_password(error.message, self._url)) from None

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
