"""What MariaDB and MySQL need to behave as the other databases do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from db.errors import DatabaseUnavailable

DIALECTS = frozenset({"mysql", "mariadb"})
# Tables get what the database says: whole Unicode, and names that differ in case are two names.
CHARSET = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
# How long one process waits until another one has set the tables up.
LOCK_SECONDS = 60
# Without the first a text that is too long is cut, and a wrong number becomes another one.
_SESSION = (
    "sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', "
    "innodb_lock_wait_timeout = 30, time_zone = '+00:00'"
)
# Errors after which the same call may work (mariadb.com/kb/en/mariadb-error-codes): too many
# connections, no such account or database (yet), shutdown, lock wait, deadlock, a read-only
# server, an interrupted or killed statement, no room on the disk.
_PASSING = frozenset(
    {1021, 1040, 1041, 1044, 1045, 1049, 1053, 1114, 1129, 1130, 1203, 1205, 1213, 1226, 1290}
    | {1317, 1792, 1836, 1927, 1969, 3024}
)
# 2000 to 2999 are errors of the client: no connection, a lost one. 0: it was closed before.
_CLIENT = range(2000, 3000)


def arguments(answer_seconds: float) -> dict[str, Any]:
    """Return what pymysql is told of a connection.

    Args:
        answer_seconds: How long a statement may take; a server that vanished is noticed then.
    """
    return {
        "read_timeout": answer_seconds,
        "write_timeout": answer_seconds,
        "charset": "utf8mb4",
        "init_command": f"SET SESSION {_SESSION}",
    }


def may_pass(code: object) -> bool:
    """Whether an error with this number may be gone in a moment."""
    return isinstance(code, int) and (code == 0 or code in _PASSING or code in _CLIENT)


@contextlib.contextmanager
def locked(connection: sa.Connection) -> Iterator[None]:
    """Keep other processes from changing the tables of this database meanwhile.

    Every statement that changes a table commits there: no transaction could do that.

    Raises:
        DatabaseUnavailable: Another process does it for longer than `LOCK_SECONDS`.
    """
    name = "CONCAT('headway ', SHA1(DATABASE()))"
    if connection.exec_driver_sql(f"SELECT GET_LOCK({name}, {LOCK_SECONDS})").scalar() != 1:
        raise DatabaseUnavailable("another process has been changing its tables for a minute.")
    try:
        yield
    finally:
        # The server gives it back too, when the connection is lost.
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK({name})")
