"""A worker's way to a PostgreSQL server: psycopg2 alone, and few ways to the server and back."""

from __future__ import annotations

import sys

from db.connections import CLOCKS, CONNECT_SECONDS, STATEMENT_SECONDS, without_password
from db.errors import DatabaseError, DatabaseUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from db.connections import Execute, Ring, Row

    T = TypeVar("T")

# A standby that is being promoted (errcodes, PostgreSQL).
_READ_ONLY = "25006"
# A pooler between us and the server gave this connection to somebody else meanwhile: the statement
# is not there, or another one of that name is.
_NOT_PREPARED = ("26000", "42P05")
# Types of parameters that a prepared statement cannot guess; all others are text.
_TYPES = {"attempt_id": "integer", "sequence": "integer", "array_index": "integer"}
_TYPES["payload"] = "json"


class PostgresDatabase:
    """A PostgreSQL server; see `db.connections.Database`."""

    dialect = "postgresql"

    def __init__(self, url: str, *, hold: bool) -> None:
        self._url = url
        self._hold = hold
        self._prepares = hold
        self._held: _Session | None = None

    def transact(self, work: Callable[[Execute], T], *, ring: Ring | None = None) -> T:
        """See `Database`."""
        _load_psycopg2()
        import psycopg2

        try:
            session, self._held = self._held or self._connect(), None
            try:
                result = session.transact(work, ring)
            except BaseException:
                session.close()  # rolls back
                raise
            if self._hold:
                self._held = session
            else:
                session.close()
        except psycopg2.Error as error:
            if error.pgcode in _NOT_PREPARED:
                self._prepares = False
            may_pass = error.pgcode in {_READ_ONLY, *_NOT_PREPARED}
            may_pass |= isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
            kind = DatabaseUnavailable if may_pass else DatabaseError
            raise kind(without_password(str(error), self._url)) from None
        return result

    def _connect(self) -> _Session:
        """Open a connection."""
        import psycopg2

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
        connection.autocommit = True  # else BEGIN would be a way to the server of its own
        return _Session(connection, prepares=self._prepares)


class _Session:
    """One connection, and the statements that it has prepared."""

    def __init__(self, connection: Any, *, prepares: bool) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._prepared: dict[str, str] | None = {} if prepares else None
        self._before = ""

    def close(self) -> None:
        """Let the connection go; what was not committed is rolled back."""
        self._connection.close()

    def transact(self, work: Callable[[Execute], T], ring: Ring | None) -> T:
        """Do `work` in one transaction."""
        # Goes with the first statement.
        self._before = f"BEGIN; SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s';"
        result = work(self._execute)
        if ring is None:
            self._cursor.execute("COMMIT")
        else:
            # Not within the transaction: there it would hold a lock of the whole server until the
            # commit is on the disk, and no two commits could share one write (async.c, NOTIFY).
            channel, text = ring
            self._cursor.execute(f"COMMIT; NOTIFY {channel}, %s", (text,))
        return result

    def _execute(self, sql: str, values: dict[str, Any]) -> tuple[int, list[Row]]:
        before, self._before = self._before, ""
        sql = sql.replace("{now}", CLOCKS["postgresql"])
        if self._prepared is not None:
            sql = self._prepare(sql, self._prepared)
        cursor = self._cursor
        cursor.execute(before + sql, values)
        return cursor.rowcount, cursor.fetchall() if cursor.description else []

    def _prepare(self, sql: str, prepared: dict[str, str]) -> str:
        """Return the call of a statement that the server has planned once and for all.

        Planning takes the server longer than all else that a report needs.
        """
        if sql not in prepared:
            names = list(dict.fromkeys(part.partition(")s")[0] for part in sql.split("%(")[1:]))
            name, body = f"headway_{len(prepared)}", sql
            for place, each in enumerate(names, start=1):
                body = body.replace(f"%({each})s", f"${place}")
            types = ", ".join(_TYPES.get(each, "text") for each in names)
            self._cursor.execute(f"PREPARE {name} ({types}) AS {body}")
            prepared[sql] = f"EXECUTE {name} ({', '.join(f'%({each})s' for each in names)})"
        return prepared[sql]


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
