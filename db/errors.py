"""What can go wrong between Headway and its database, in our words.

    DatabaseError             the database answered, and the answer was no: trying again is no use
    ├── DatabaseUnavailable   no answer, or not now: the same call may work in a moment
    │   └── DatabaseFull      the disk of an SQLite file is full: when there is room again
    ├── BadDatabaseUrl        the URL cannot be used at all
    ├── SchemaMismatch        the tables belong to a newer Headway, or to something else
    │   └── OlderSchema       they belong to an older one: `headway db upgrade` helps
    ├── DatabaseInUse         a living head works with the tables that should change
    └── LeaseLost             another head has taken the experiment over

No text of these errors ever holds a password.
"""

from __future__ import annotations


class DatabaseError(Exception):
    """The root; its text is one line without a password.

    Attributes:
        message: What is wrong.
        hint: What the user can do about it, or empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class DatabaseUnavailable(DatabaseError):  # noqa: N818 - a state that passes, not a fault
    """No connection, a lost one, a lock, a full disk: worth trying again."""


class DatabaseFull(DatabaseUnavailable):
    """An SQLite file cannot grow; it can still be read."""


class BadDatabaseUrl(DatabaseError):  # noqa: N818 - says what it is
    """The URL is not one, names an unknown system, or its driver is not installed."""


class SchemaMismatch(DatabaseError):  # noqa: N818 - says what it is
    """The tables are those of another version of Headway, or not Headway's at all."""


class OlderSchema(SchemaMismatch):
    """The tables are those of an older Headway, and can be brought up to date."""


class DatabaseInUse(DatabaseError):  # noqa: N818 - says what it is
    """A head is alive on an experiment of the database; nothing was changed."""


class LeaseLost(DatabaseError):  # noqa: N818 - says what it is
    """Another head owns the experiment now; this one must not write any more."""
