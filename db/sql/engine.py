"""Engines: the one place that opens databases, and the only one that rewrites their URLs."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from db.errors import BadDatabaseUrl, DatabaseError, DatabaseUnavailable, SchemaMismatch
from db.filesystems import is_network
from db.sql.tables import Base

# The head of db/migrations/versions; a test compares the two.
SCHEMA_VERSION = "0001"
BUSY_TIMEOUT_SECONDS = 30
_DRIVERS = {
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS = {"pymysql": "mysql"}
# In USER:PASSWORD@ up to the last @, since a password may hold one; and as an option at the end.
_PASSWORD = re.compile(r"^((?:[^:/@]*:?//)?[^:@/]*):.*@")
_PASSWORD_OPTION = re.compile(r"(?i)([?&][^=&]*(?:pass|pwd)[^=&]*=)[^&]*")
# A standby that is being promoted refuses to write for a moment (PostgreSQL, errcodes).
_READ_ONLY = "25006"


def parse_url(text: str) -> sa.URL:
    """Understand a database URL.

    `postgres://` and `postgresql://` mean psycopg2, which is what Headway installs; SQLAlchemy 2.1
    would look for psycopg 3.

    Raises:
        BadDatabaseUrl: It is no URL, or its database system or driver is not installed.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise BadDatabaseUrl(
            f"{mask(text)!r} is not a database URL.",
            "Give for example postgresql://user@host/name or sqlite:////path/to/file.db.",
        )
    try:
        url = sa.make_url(f"{_DRIVERS.get(scheme, scheme)}{separator}{rest}")
        url.get_dialect().import_dbapi()
    except NoSuchModuleError as error:
        raise BadDatabaseUrl(
            f"the database system {scheme!r} is not known here.",
            "Headway is tested with sqlite, postgresql and mysql.",
        ) from error
    except ImportError as error:
        raise BadDatabaseUrl(
            f"the driver {error.name!r} for {scheme!r} is not installed.",
            f"Install it: pip install {_install_name(error.name or scheme)}",
        ) from error
    except (ArgumentError, ValueError):
        # Not `from error`: its text may hold a piece of the password.
        raise BadDatabaseUrl(f"{mask(text)!r} is not a database URL.") from None
    if "@" in (url.host or ""):
        raise BadDatabaseUrl(
            f"{mask(text)!r} is not a database URL.", "Write an @ in a password as %40."
        )
    return url


def _install_name(module: str) -> str:
    return f"'headway[{_EXTRAS[module]}]'" if module in _EXTRAS else module


def mask(text: str) -> str:
    """Return a database URL without its password, also one that is written wrongly."""
    return _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def is_sqlite(text: str) -> bool:
    """Whether a database URL means an SQLite file."""
    return parse_url(text).get_backend_name() == "sqlite"


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file."""
    return f"sqlite:///{path.absolute()}"


def connect(text: str, *, timeout_seconds: float = 10) -> sa.Engine:
    """Open a database and set up its tables if it is empty.

    Args:
        text: The URL.
        timeout_seconds: How long connecting may take.

    Raises:
        BadDatabaseUrl: The URL cannot be used.
        DatabaseUnavailable: The database does not answer.
        SchemaMismatch: Its tables belong to another version.
    """
    engine = make_engine(text, timeout_seconds=timeout_seconds)
    with translated(), engine.connect() as connection:
        # In this order: between the two another process may have set the tables up.
        names = sa.inspect(connection).get_table_names()
        version = schema_version(connection)
        if version is None and names:
            engine.dispose()
            raise SchemaMismatch(
                f"the database {mask(text)} holds tables that are not Headway's.",
                "Give Headway a database of its own.",
            )
    if version is None:
        _set_up(engine)
    elif version != SCHEMA_VERSION:
        engine.dispose()
        _refuse(text, version)
    return engine


def open_existing(text: str, *, timeout_seconds: float = 10) -> sa.Engine:
    """Open a database that must hold Headway's tables already.

    Raises:
        DatabaseError: As for `connect`; an empty database is a SchemaMismatch.
    """
    url = parse_url(text)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise DatabaseUnavailable(f"there is no database file {url.database}.")
    engine = make_engine(text, timeout_seconds=timeout_seconds)
    # A viewer that opens a database makes no writer wait.
    with translated(), engine.connect().execution_options(reading=True) as connection:
        version = schema_version(connection)
    if version != SCHEMA_VERSION:
        engine.dispose()
        if version is None:
            raise SchemaMismatch(f"the database {mask(text)} holds no experiment of Headway.")
        _refuse(text, version)
    return engine


def _refuse(text: str, version: str) -> None:
    if version < SCHEMA_VERSION:
        raise SchemaMismatch(
            f"the database {mask(text)} has schema {version}, this Headway needs {SCHEMA_VERSION}.",
            "Bring it up to date: headway db upgrade",
        )
    raise SchemaMismatch(
        f"the database {mask(text)} has schema {version}, newer than {SCHEMA_VERSION}.",
        "Use the newer Headway that made it.",
    )


def make_engine(text: str, *, timeout_seconds: float = 10) -> sa.Engine:
    """Make an engine without touching the database; connections are held by the pool."""
    url = parse_url(text)
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite_engine(url)
    arguments: dict[str, Any] = {"connect_timeout": max(1, round(timeout_seconds))}
    if backend == "postgresql":
        arguments["application_name"] = "headway"
        # A server that vanished without a word is noticed within about half a minute.
        arguments |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4}
    return sa.create_engine(url, pool_pre_ping=True, pool_size=4, connect_args=arguments)


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    """SQLite, with transactions that take the write lock when they begin.

    A transaction that reads first and writes later fails at once with "database is locked" when
    another writer came between, whatever the busy timeout (sqlite.org/isolation.html).
    """
    path = Path(url.database or ":memory:")
    engine = sa.create_engine(
        url,
        poolclass=NullPool if url.database else None,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    # Write-ahead logging needs shared memory between all processes: one host, local file system.
    journal = "DELETE" if is_network(path) else "WAL"

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        del record
        connection.isolation_level = None
        connection.execute(f"PRAGMA journal_mode = {journal}")
        # In WAL mode NORMAL survives the death of any process; FULL also survives a power cut.
        connection.execute(
            "PRAGMA synchronous = FULL" if journal == "DELETE" else "PRAGMA synchronous = NORMAL"
        )
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _set_up(engine: sa.Engine) -> None:
    """Create the tables; another process that does the same at this moment is no error."""
    try:
        _create(engine)
    except DatabaseError:
        with translated(), engine.connect() as connection:
            if schema_version(connection) != SCHEMA_VERSION:
                raise


def _create(engine: sa.Engine) -> None:
    """Set up all tables and note the version, in one transaction where the database has that."""
    with translated(), engine.begin() as connection:
        Base.metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
        )
        connection.execute(
            sa.text("INSERT INTO alembic_version (version_num) VALUES (:version)"),
            {"version": SCHEMA_VERSION},
        )


def schema_version(connection: sa.Connection) -> str | None:
    """Return the version of the tables, or None for a database without them."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of drivers into ours, without a password in the text.

    Raises:
        DatabaseUnavailable: The database could not be reached or went away.
        DatabaseError: Anything else that a database refused.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        if _may_pass(error):
            message = f"the database does not answer: {_first_line(error)}"
            raise DatabaseUnavailable(message) from error
        raise DatabaseError(f"the database refused a statement: {_first_line(error)}") from error


def _may_pass(error: sa.exc.DBAPIError) -> bool:
    """Whether the same call may work in a moment."""
    if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return False  # the statement itself is wrong, e.g. no such table
    kinds = (sa.exc.OperationalError, sa.exc.InterfaceError)
    is_read_only = getattr(error.orig, "pgcode", None) == _READ_ONLY
    return isinstance(error, kinds) or error.connection_invalidated or is_read_only


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
