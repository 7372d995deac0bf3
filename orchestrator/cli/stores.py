"""Whole databases: which one a user means, by an experiment in it, a file or a URL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from db.errors import (
    BadDatabaseUrl,
    DatabaseError,
    DatabaseInUse,
    DatabaseUnavailable,
    SchemaMismatch,
)
from db.sql.engine import mask, parse_url, sqlite_url
from orchestrator.cli.places import find, open_place
from orchestrator.cli.urls import read_db_url, user_path
from orchestrator.errors import HeadAliveError, UsageError

_MAGIC = b"SQLite format 3\0"
_BAD_INPUT = (BadDatabaseUrl, DatabaseUnavailable, SchemaMismatch)


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database, and what of it is meant.

    Attributes:
        url: Where it is; may hold a password.
        label: The same for people, without a password.
        experiment_id: Only this experiment; None: all that it holds.
    """

    url: str = field(repr=False)
    label: str
    experiment_id: int | None = None


def find_database(
    text: str | None, *, called: str, run_root: str | None = None, db_url: str | None = None
) -> Database:
    """Find the database that a user means.

    Args:
        text: An experiment, as `places.find` takes it; or a database: a URL, `@FILE`, or an SQLite
            file. None: the one of `--db_url` or HEADWAY_DB_URL, else the latest run here.
        called: What the word is called in errors.
        run_root: Folder of all runs; None: `runs`.
        db_url: Where experiments are looked for; None: see `places.find`.

    Raises:
        UsageError: There is no such experiment or file, or the URL cannot be used.
    """
    if text is not None and (url := read_url(text, called=called)) is not None:
        check_one(text, db_url, called=called)
        return Database(url=url, label=label_of(url))
    if text is None:
        whole, _ = read_db_url(db_url, os.environ, Path.cwd())
        if whole is not None:
            return Database(url=whole, label=label_of(whole))
    place = find(text, run_root=run_root, db_url=db_url)
    if place.other_host is not None:
        open_place(place).close()  # says why not
    return Database(url=place.db_url, label=place.label, experiment_id=place.experiment_id)


def is_url(text: str) -> bool:
    """Whether a word is meant as a URL, or as `@FILE` with one."""
    return "://" in text or text.startswith("@")


def read_url(text: str, *, called: str, may_be_new: bool = False) -> str | None:
    """Return the URL of the database that a word means by itself; None: an experiment, perhaps.

    Args:
        text: A URL, `@FILE`, or the path of an SQLite file.
        called: What the word is called in errors.
        may_be_new: Whether a path may lead to a file that is to be made.

    Raises:
        UsageError: It is a URL or a path that cannot be used, or a file that cannot be made.
    """
    if is_url(text):
        try:
            return read_db_url(text, {}, Path.cwd())[0]
        except UsageError as error:
            raise UsageError(error.message.replace("--db_url", called, 1), error.hint) from None
    path = user_path(text, called)
    if path.is_file():
        if _may_be_sqlite(path):
            return sqlite_url(path)
        if may_be_new or path.suffix:
            raise UsageError(f"{called}: {text!r} is no SQLite database.")
        return None  # a program that has the name of its experiment
    if not may_be_new:
        return None
    if path.exists() or not path.name or not path.parent.is_dir():
        why = "is no file" if path.exists() else f"lies in {str(path.parent)!r}, which is no folder"
        raise UsageError(f"{called}: {text!r} {why}.", "Give a file, a URL, or @FILE with a URL.")
    return sqlite_url(path)


@contextlib.contextmanager
def named(label: str) -> Iterator[None]:
    """Name the database in an error."""
    try:
        yield
    except DatabaseError as error:
        raise type(error)(f"{label}: {error.message}", error.hint) from error


@contextlib.contextmanager
def told(label: str) -> Iterator[None]:
    """Name the database in an error of opening it, and give that the exit code of its kind.

    A file that is damaged so much that it cannot be opened is not the user's mistake.
    """
    try:
        with named(label):
            yield
    except DatabaseInUse as error:
        raise HeadAliveError(error.message, error.hint) from None
    except _BAD_INPUT as error:
        raise UsageError(error.message, error.hint) from None


def check_one(text: str, db_url: str | None, *, called: str) -> None:
    """Make sure that a database is not named twice.

    Raises:
        UsageError: It is, by a word and by `--db_url`.
    """
    if db_url:
        shown = called if "://" in text else repr(text)
        raise UsageError(f"--db_url: {shown} is a database already; leave one of them out.")


def _may_be_sqlite(path: Path) -> bool:
    """Whether a file begins as SQLite's do, or is empty, or cannot be read: then SQLite says why.

    The first bytes are documented at sqlite.org/fileformat.html.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(len(_MAGIC))
    except OSError:
        return True
    return begin in {_MAGIC, b""}


def label_of(url: str) -> str:
    """Return a database as people call it, without a password: a file by its path."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return parsed.database
    return mask(url)
