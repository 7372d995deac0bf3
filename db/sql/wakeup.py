"""Tells the head that something was committed, without asking the tables."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import Any, Protocol

import sqlalchemy as sa

CHANNEL = "headway"
# A bell whose connection broke asks for another one so often; until then the tables are looked at
# once a second anyway.
RETRY_SECONDS = 1.0


class Bell(Protocol):
    """Rings when another process may have committed a report."""

    def fileno(self) -> int | None:
        """Return a descriptor that gets readable when it rings; None: `rang` has to be asked."""
        ...

    def rang(self) -> bool:
        """Whether it rang since the last call; waits for nothing but a new connection.

        A connection that breaks is a ring, and so is a new one in its place.
        """
        ...

    def close(self) -> None:
        """Let go of its connection."""
        ...


class SqliteBell:
    """Compares `PRAGMA data_version`, which changes when another connection commits.

    A connection that does not answer is replaced: a file handle of a network file system may be
    stale for ever.
    """

    _ERRORS = (sqlite3.Error, sa.exc.SQLAlchemyError)

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._connection: sa.PoolProxiedConnection | None = engine.raw_connection()
        self._seen = -1

    def fileno(self) -> int | None:  # noqa: D102
        return None

    def rang(self) -> bool:  # noqa: D102
        try:
            self._connection = self._connection or self._engine.raw_connection()
            row = self._connection.cursor().execute("PRAGMA data_version").fetchone()
        except self._ERRORS:
            self.close()
            return True
        before, self._seen = self._seen, int(row[0])
        return before != self._seen

    def close(self) -> None:  # noqa: D102
        # The number means something within one connection only.
        pooled, self._connection, self._seen = self._connection, None, -1
        if pooled is not None:
            with contextlib.suppress(*self._ERRORS):
                pooled.invalidate()


class PostgresBell:
    """Listens for the NOTIFY that comes with the end of an attempt.

    A connection that broke is replaced; what was committed meanwhile is a ring.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._errors = (engine.dialect.loaded_dbapi.Error, sa.exc.SQLAlchemyError)
        self._pooled: sa.PoolProxiedConnection | None = None
        self._connection: Any = None
        self._next_try = 0.0
        self._listen()

    def _listen(self) -> bool:
        """Take a connection to listen on; False if the server does not give one now."""
        if time.monotonic() < self._next_try:
            return False
        self._next_try = time.monotonic() + RETRY_SECONDS
        try:
            self._pooled = self._engine.raw_connection()
            self._connection = self._pooled.driver_connection
            self._connection.autocommit = True
            self._connection.cursor().execute(f"LISTEN {CHANNEL}")
        except self._errors:
            self.close()
            return False
        return True

    def fileno(self) -> int | None:  # noqa: D102
        return None if self._connection is None else int(self._connection.fileno())

    def rang(self) -> bool:  # noqa: D102
        if self._connection is None:
            return self._listen()
        try:
            self._connection.poll()
        except self._errors:
            self.close()
            return True
        is_new = bool(self._connection.notifies)
        self._connection.notifies.clear()
        return is_new

    def close(self) -> None:  # noqa: D102
        pooled, self._pooled, self._connection = self._pooled, None, None
        if pooled is not None:
            with contextlib.suppress(*self._errors):
                pooled.invalidate()


class NoBell:
    """Never rings: the tables are looked at once a second."""

    def fileno(self) -> int | None:  # noqa: D102
        return None

    def rang(self) -> bool:  # noqa: D102
        return False

    def close(self) -> None:
        """Hold nothing."""


def make_bell(engine: sa.Engine) -> Bell:
    """Return the bell of a database."""
    if engine.dialect.name == "sqlite":
        return SqliteBell(engine)
    if engine.dialect.name == "postgresql":
        return PostgresBell(engine)
    return NoBell()
