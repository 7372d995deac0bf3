"""Brings a database to the newest schema, by Alembic's migrations."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

import db.migrations
from db import views
from db.errors import DatabaseError, DatabaseInUse, DatabaseUnavailable, SchemaMismatch
from db.sql import mysql
from db.sql.columns import UtcDateTime
from db.sql.engine import SCHEMA_VERSION, check_version, open_any, schema_version, translated
from db.sql.leases import database_time

HOME = Path(db.migrations.__file__).parent
# How long an upgrade waits for readers and writers before it gives up, having changed nothing.
LOCK_SECONDS = 30

# Not the typed tables: these have to work on the tables of every version.
_LEASE = sa.table(
    "head_lease",
    *(sa.column(name) for name in ("experiment_id", "host", "pid", "epoch")),
    sa.column("expires_at", UtcDateTime()),
)
_EXPERIMENT = sa.table("experiment", *(sa.column(name) for name in ("id", "name", "run_number")))


@dataclass(frozen=True, kw_only=True)
class Upgraded:
    """What an upgrade did.

    Attributes:
        before: The schema that the database had.
        after: The one that it has now.
        copy: The file as it was before; None if nothing changed, or on a server.
    """

    before: str
    after: str
    copy: Path | None


def upgrade_database(text: str) -> Upgraded:
    """Bring a database to the schema of this Headway.

    It is all or nothing on SQLite and PostgreSQL. MariaDB commits every statement at once: an
    upgrade that died there is begun again by calling this again.

    Args:
        text: The URL.

    Raises:
        DatabaseInUse: A head is alive on one of its experiments.
        SchemaMismatch: It is newer, empty, or not Headway's.
        DatabaseError: The database does not answer or refused; it is as it was (not on MariaDB).
    """
    engine, before = open_any(text)
    copy = None
    try:
        check_version(text, before, may_be_older=True)
        if before != SCHEMA_VERSION:
            with translated(), _alone(engine) as connection:
                # Another process may have done it while this one waited.
                before = schema_version(connection) or before
                if before != SCHEMA_VERSION:
                    _check_no_head(connection)
                    copy = _keep_copy(engine)
                    with _unless_failed(copy):
                        _migrate(connection)
    finally:
        engine.dispose()
    return Upgraded(before=before, after=SCHEMA_VERSION, copy=copy)


def _migrate(connection: sa.Connection) -> None:
    try:
        upgrade(connection)
    except CommandError as error:
        raise SchemaMismatch(f"its schema is of no version that was released: {error}") from error
    connection.commit()


@contextlib.contextmanager
def _alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Give a connection that no other upgrade works beside, and no head starts beside.

    On MariaDB, where a change of a table ends every transaction, only upgrades are kept away: a
    head of this version refuses the old tables by itself.
    """
    with engine.connect() as connection:
        match connection.dialect.name:
            case "sqlite":
                # Alembic alters a table by copying it, and dropping the old one would take all
                # rows with it that refer to it. Inside a transaction this switch does nothing.
                _raw(connection).execute("PRAGMA foreign_keys = OFF")
                yield connection
            case "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
                connection.exec_driver_sql("LOCK TABLE head_lease IN ACCESS EXCLUSIVE MODE")
                yield connection
            case name if name in mysql.DIALECTS:
                with mysql.locked(connection):
                    yield connection
            case _:
                yield connection


def _raw(connection: sa.Connection) -> sqlite3.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _check_no_head(connection: sa.Connection) -> None:
    """Make sure that no head works with the old tables, and that none that sleeps wakes up to.

    Raises:
        DatabaseInUse: One is alive, as far as the database knows.
    """
    query = sa.select(_LEASE, _EXPERIMENT.c.name, _EXPERIMENT.c.run_number).join(
        _EXPERIMENT, _EXPERIMENT.c.id == _LEASE.c.experiment_id
    )
    moment = database_time(connection)
    # The lease that a head gave back has no process.
    held = [row for row in connection.execute(query) if row.pid != 0]
    for row in held:
        left = (row.expires_at - moment).total_seconds()
        if left > 0:
            raise DatabaseInUse(
                f"the head of {row.name}/{row.run_number} uses it: process {row.pid} on "
                f"{row.host}.",
                f"Stop it first; if it is dead already, try again in {left:.0f} s.",
            )
    # A head that stood still for longer than its lease must not go on: its epoch is over.
    keys = [row.experiment_id for row in held]
    fence = sa.update(_LEASE).where(_LEASE.c.experiment_id.in_(keys))
    connection.execute(fence.values(epoch=_LEASE.c.epoch + 1))


def _keep_copy(engine: sa.Engine) -> Path | None:
    """Copy an SQLite file as it was committed last, beside it; None for a server.

    The copy gets its name when it is whole and on the disk. Nobody else writes meanwhile, and no
    other upgrade copies: the caller's transaction has the lock. So what an upgrade that was killed
    has left behind is in nobody's way and is written over.
    """
    if engine.dialect.name != "sqlite":
        return None
    source = Path(engine.url.database or "")
    draft = source.with_name(f"{source.name}.copying")
    try:
        draft.unlink(missing_ok=True)
        # As private as the database itself.
        mode = source.stat().st_mode & 0o777
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        with _unless_failed(draft):
            _copy_pages(source, draft)
            copy = _free_name(source)
            draft.rename(copy)
    except OSError as error:
        raise DatabaseError(f"{draft} cannot be written: {error.strerror}") from error
    return copy


def _free_name(source: Path) -> Path:
    number, copy = 1, source.with_name(f"{source.name}.before-{SCHEMA_VERSION}")
    while copy.exists():
        number += 1
        copy = source.with_name(f"{source.name}.before-{SCHEMA_VERSION}-{number}")
    return copy


def _copy_pages(source: Path, copy: Path) -> None:
    reading, writing = sqlite3.connect(source), sqlite3.connect(copy)
    try:
        # A journal would outlive a killed upgrade, and be played back into the next copy.
        writing.execute("PRAGMA journal_mode = OFF")
        reading.backup(writing)
    except sqlite3.Error as error:
        raise DatabaseUnavailable(f"{copy} cannot be written: {error}") from error
    finally:
        writing.close()
        reading.close()


@contextlib.contextmanager
def _unless_failed(copy: Path | None) -> Iterator[None]:
    """Take the copy away again if the database stays as it is."""
    try:
        yield
    except BaseException:
        if copy is not None:
            copy.unlink(missing_ok=True)
        raise


def upgrade(connection: sa.Connection, version: str = "head") -> None:
    """Run the migrations that a database lacks, in the transaction of `connection`.

    The views are made anew: no column could be altered below them.

    Raises:
        DatabaseError: Rows of an SQLite file refer to rows that are not there.
    """
    views.drop(connection)
    command.upgrade(configuration(connection), version)
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise DatabaseError(
                f"row {broken[1]} of table {broken[0]} refers to a row of {broken[2]} that is not "
                "there."
            )
    if version == "head":
        views.create(connection)


def configuration(connection: sa.Connection) -> Config:
    """Return Alembic's configuration for one connection; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(HOME).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
