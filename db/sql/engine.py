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

from db import views
from db.errors import (
    BadDatabaseUrl,
    DatabaseError,
    DatabaseFull,
    DatabaseUnavailable,
    OlderSchema,
    SchemaMismatch,
)
from db.sql import head_lock, mysql, postgres, sqlite
from db.sql.tables import Base

# The head of db/migrations/versions; a test compares the two.
SCHEMA_VERSION = "0005"
VERSION_TABLE = "alembic_version"
_VERSION_ROW = sa.table(VERSION_TABLE, sa.column("version_num"))
# A worker's statement, and any other one: the loading of a million rows takes its time.
_SHORT_ANSWER_SECONDS = 40
_ANSWER_SECONDS = 600
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
_VERSION = re.compile(r"[0-9]{4}")
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


def has_password(text: str) -> bool:
    """Whether a database URL holds a password.

    Raises:
        BadDatabaseUrl: It is none.
    """
    return parse_url(text).password is not None or bool(_PASSWORD_OPTION.search(text))


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
        DatabaseInUse: It is an SQLite file that a head on another host uses.
    """
    _check_place(parse_url(text), text)
    engine = make_engine(text, timeout_seconds=timeout_seconds)
    with _disposed_on_error(engine):
        with translated(), engine.connect() as connection:
            # In this order: between the two another process may have set the tables up.
            names = set(sa.inspect(connection).get_table_names())
            version = schema_version(connection)
        if version is not None:
            check_version(text, version)
        else:
            _check_ours(text, names)
        sqlite.set_journal(engine)
        if version is None:
            _set_up(engine)
        sqlite.make_nothing(engine)
        postgres.limit(engine)
    return engine


def _check_place(url: sa.URL, text: str) -> None:
    if url.get_backend_name() != "sqlite":
        return
    if not sqlite.names_file(url):
        raise BadDatabaseUrl(
            f"{mask(text)!r} names no file on disk.", "Give for example sqlite:////path/to/file.db."
        )
    head_lock.check_host(Path(url.database or ""))


@contextlib.contextmanager
def _disposed_on_error(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.dispose()
        raise


def _check_ours(text: str, names: set[str]) -> None:
    """Refuse a database that holds anything else.

    On MariaDB some tables without a version are those that another process is making now, or that
    one left behind when it died.
    """
    begun = VERSION_TABLE in names and names <= {VERSION_TABLE, *Base.metadata.tables}
    if names and not begun:
        raise _not_ours(text)


def open_existing(text: str, *, timeout_seconds: float = 10, is_viewer: bool = False) -> sa.Engine:
    """Open a database that must hold Headway's tables already.

    Args:
        text: The URL.
        timeout_seconds: How long connecting may take.
        is_viewer: Leave an SQLite file as it is, also its journal.

    Raises:
        DatabaseError: As for `connect`; an empty database is a SchemaMismatch.
    """
    engine, version = open_any(text, timeout_seconds=timeout_seconds)
    with _disposed_on_error(engine):
        check_version(text, version)
        if not is_viewer:
            sqlite.set_journal(engine)
            postgres.limit(engine)
    return engine


def open_any(text: str, *, timeout_seconds: float = 10) -> tuple[sa.Engine, str]:
    """Open a database that holds Headway's tables, of whatever version; return that, too.

    Nothing is changed, and an SQLite file may lie where nobody may write.

    Raises:
        DatabaseError: As for `connect`; an empty database is a SchemaMismatch.
    """
    url = parse_url(text)
    _check_place(url, text)
    place = text
    if url.get_backend_name() == "sqlite":
        if not sqlite.is_there(url):
            raise DatabaseUnavailable(f"there is no database file {url.database}.")
        place = sqlite.readable(text, url)
    engine = make_engine(place, timeout_seconds=timeout_seconds)
    with _disposed_on_error(engine):
        if place == text:
            sqlite.make_nothing(engine)
        # A viewer that opens a database makes no writer wait.
        with translated(), engine.connect().execution_options(reading=True) as connection:
            version = schema_version(connection)
        if version is None:
            raise SchemaMismatch(f"the database {mask(text)} holds no experiment of Headway.")
    return engine, version


def check_version(text: str, version: str, *, may_be_older: bool = False) -> None:
    """Make sure that the tables of a database are those of this Headway.

    Raises:
        OlderSchema: They are older, and must not be.
        SchemaMismatch: They are newer, or not Headway's at all.
    """
    if not _VERSION.fullmatch(version):
        raise _not_ours(text)
    if version > SCHEMA_VERSION:
        raise SchemaMismatch(
            f"the database {mask(text)} has schema {version}, newer than {SCHEMA_VERSION}.",
            "Use the newer Headway that made it.",
        )
    if version < SCHEMA_VERSION and not may_be_older:
        # A password must not be typed where everybody can see it.
        place = text if mask(text) == text else "@FILE, a file with the URL in it"
        raise OlderSchema(
            f"the database {mask(text)} has schema {version}, this Headway needs {SCHEMA_VERSION}.",
            f"Bring it up to date: headway db upgrade --db_url {place}",
        )


def _not_ours(text: str) -> SchemaMismatch:
    return SchemaMismatch(
        f"the database {mask(text)} holds tables that are not Headway's.",
        "Give Headway a database of its own.",
    )


def make_engine(text: str, *, timeout_seconds: float = 10, is_short: bool = False) -> sa.Engine:
    """Make an engine without touching the database.

    Args:
        text: The URL.
        timeout_seconds: How long connecting may take.
        is_short: For a worker: no connection is kept, and no statement may take long.
    """
    url = parse_url(text)
    backend = url.get_backend_name()
    if backend == "sqlite":
        return sqlite.make_engine(url)
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 4}
    if is_short:
        options = {"poolclass": NullPool}
    arguments: dict[str, Any] = {"connect_timeout": max(1, round(timeout_seconds))}
    if backend in mysql.DIALECTS:
        arguments |= mysql.arguments(_SHORT_ANSWER_SECONDS if is_short else _ANSWER_SECONDS)
        # InnoDB's own default locks gaps between rows, which makes writers wait for each other.
        options["isolation_level"] = "READ COMMITTED"
    if backend == "postgresql":
        arguments |= postgres.ARGUMENTS
    return sa.create_engine(url, connect_args=arguments, **options)


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
    with translated(), engine.connect() as connection:
        is_mysql = connection.dialect.name in mysql.DIALECTS
        with mysql.locked(connection) if is_mysql else contextlib.nullcontext():
            # Another process may have done it while this one waited.
            if schema_version(connection) is None:
                if is_mysql:
                    connection.exec_driver_sql(f"ALTER DATABASE {mysql.CHARSET}")
                _make_tables(connection)
            connection.commit()


def _make_tables(connection: sa.Connection) -> None:
    """Make what is missing; the version comes last, and says that all is there."""
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
    )
    Base.metadata.create_all(connection)
    views.create(connection)
    connection.execute(sa.insert(_VERSION_ROW).values(version_num=SCHEMA_VERSION))


def schema_version(connection: sa.Connection) -> str | None:
    """Return the version of the tables, or None for a database without them."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.select(_VERSION_ROW.c.version_num)).scalar()


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
            code = getattr(error.orig, "sqlite_errorcode", None)
            kind = DatabaseFull if code == sqlite3.SQLITE_FULL else DatabaseUnavailable
            raise kind(message) from error
        raise DatabaseError(f"the database refused a statement: {_first_line(error)}") from error


def _may_pass(error: sa.exc.DBAPIError) -> bool:
    """Whether the same call may work in a moment."""
    if getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return False  # the statement itself is wrong, e.g. no such table
    if (getattr(error.orig, "__module__", None) or "").startswith("pymysql"):
        code = error.orig.args[0] if error.orig is not None and error.orig.args else 0
        return error.connection_invalidated or mysql.may_pass(code)
    kinds = (sa.exc.OperationalError, sa.exc.InterfaceError)
    is_read_only = getattr(error.orig, "pgcode", None) == _READ_ONLY
    return isinstance(error, kinds) or error.connection_invalidated or is_read_only


def _first_line(error: sa.exc.DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
