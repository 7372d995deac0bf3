"""What SQLite needs: files only, the right journal, and transactions that begin with their lock."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from db.errors import DatabaseUnavailable
from db.filesystems import is_network

BUSY_TIMEOUT_SECONDS = 30
# Of a code of SQLite, the part that is not the detail (sqlite.org/rescode.html).
_PRIMARY = 0xFF


def names_file(url: sa.URL) -> bool:
    """Whether a URL means a file: what is in memory would be gone with the process."""
    database = url.database or ""
    is_file = database not in {"", ":memory:"} and not database.startswith("file:")
    return is_file and "uri" not in url.query


def is_there(url: sa.URL) -> bool:
    """Whether an SQLite file is there; raises DatabaseUnavailable if that cannot be told."""
    try:
        return Path(url.database or "").is_file()
    except OSError as error:
        raise DatabaseUnavailable(
            f"the database file {url.database} cannot be opened: {error.strerror}."
        ) from error


def readable(text: str, url: sa.URL) -> str:
    """Return the URL by which SQLite opens a file even if it may make no file beside it.

    With a write-ahead log it wants to, though nobody writes (sqlite.org/wal.html, section 5). What
    is opened so is taken to stay as it is: whoever looked before the head began sees no news.
    """
    if url.query:
        return text
    path = Path(url.database or "").absolute()
    # Only where nobody of this account can write: to close a file drops the locks of the process.
    if os.access(path.parent, os.W_OK) or not _is_wal(path):
        return text
    # A log beside it holds what the file lacks, and tells that a writer may be at work.
    if Path(f"{path}-wal").exists():
        return text
    return f"sqlite:///file:{quote(str(path))}?immutable=1&uri=true"


def _is_wal(path: Path) -> bool:
    """Whether an SQLite file says that it has a write-ahead log (sqlite.org/fileformat.html)."""
    try:
        with path.open("rb") as file:
            return file.read(19)[18:] == b"\2"
    except OSError:
        return False  # SQLite itself says best what is wrong with it


def make_engine(url: sa.URL) -> sa.Engine:
    """SQLite, with transactions that take the write lock when they begin.

    A transaction that reads first and writes later fails at once with "database is locked" when
    another writer came between, whatever the busy timeout (sqlite.org/isolation.html).
    """
    engine = sa.create_engine(
        url,
        # Held: opening one reads all tables and views, which takes longer than most transactions.
        poolclass=QueuePool,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: object) -> None:
        del record
        connection.isolation_level = None
        (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
        # In WAL mode NORMAL survives the death of any process; FULL also survives a power cut.
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if journal == 'wal' else 'FULL'}")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "handle_error")
    def let_go(context: sa.ExceptionContext) -> None:
        # A file handle of a network file system may be stale for ever; a new one is not.
        code = getattr(context.original_exception, "sqlite_errorcode", 0)
        if code & _PRIMARY == sqlite3.SQLITE_IOERR:
            context.is_disconnect = True

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def set_journal(engine: sa.Engine) -> None:
    """Let an SQLite file have the journal that suits its file system.

    Only in a file that is known to be Headway's: the file remembers it.
    """
    if engine.dialect.name != "sqlite" or "uri" in engine.url.query:
        return
    # Write-ahead logging needs shared memory between all processes: one host, local file system.
    journal = "DELETE" if is_network(Path(engine.url.database or ":memory:")) else "WAL"

    # Before all else that is done with a new connection.
    @sa.event.listens_for(engine, "connect", insert=True)
    def choose(connection: sqlite3.Connection, record: object) -> None:
        del record
        connection.execute(f"PRAGMA journal_mode = {journal}")

    engine.dispose()


def make_nothing(engine: sa.Engine) -> None:
    """Let no connection make the file anew if it is moved or removed while a process has it open.

    An empty file in the place of the database would look like an experiment that lost everything.
    """
    if engine.dialect.name != "sqlite" or "uri" in engine.url.query:
        return
    file = Path(engine.url.database or "")

    @sa.event.listens_for(engine, "do_connect")
    def look(dialect: object, record: object, arguments: object, options: object) -> None:
        del dialect, record, arguments, options
        try:
            file.stat()
        except FileNotFoundError:
            raise sqlite3.OperationalError(f"{file} is not there any more") from None
        except OSError as error:
            raise sqlite3.OperationalError(f"{file} cannot be seen: {error.strerror}") from error


def identity(engine: sa.Engine) -> tuple[int, int] | None:
    """Return what tells the file of an engine from another one of its name; None: not there.

    Raises:
        DatabaseUnavailable: Nobody knows whether it is there.
    """
    try:
        found = Path(engine.url.database or "").stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DatabaseUnavailable(
            f"the database file {engine.url.database} cannot be seen: {error.strerror}."
        ) from error
    return found.st_dev, found.st_ino
