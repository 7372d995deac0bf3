"""What a database is and how much it holds; works on the tables of every version."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from db.filesystems import filesystem_type
from db.sql import mysql
from db.sql.engine import VERSION_TABLE, mask, open_any, parse_url, translated

_EXPERIMENT = sa.table("experiment", sa.column("name"), sa.column("run_number"))
_SIZES = {
    "postgresql": "SELECT pg_database_size(current_database())",
    **dict.fromkeys(
        mysql.DIALECTS,
        "SELECT SUM(data_length + index_length) FROM information_schema.tables "
        "WHERE table_schema = DATABASE()",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A database.

    Attributes:
        system: sqlite, postgresql, mariadb or mysql.
        system_version: Its version.
        url: Its URL, without a password.
        schema: Version of the tables.
        journal: SQLite: how it keeps transactions whole, wal or delete.
        filesystem: SQLite: type of the file system that it lies on, or unknown.
        bytes: Its size, with everything that belongs to it; None if that is not told.
        experiments: NAME/N of each experiment.
        rows: Number of rows, by table.
    """

    system: str
    system_version: str
    url: str
    schema: str
    journal: str | None
    filesystem: str | None
    bytes: int | None
    experiments: list[str]
    rows: dict[str, int]


def collect(text: str) -> Facts:
    """Look at a database of Headway, whatever the version of its tables.

    Raises:
        DatabaseError: It cannot be opened, does not answer, or is not Headway's.
    """
    with _opened(text) as (connection, schema):
        is_sqlite = connection.dialect.name == "sqlite"
        path = Path(parse_url(text).database or "")
        return Facts(
            system=_system(connection.dialect),
            system_version=".".join(map(str, connection.dialect.server_version_info or ())),
            url=mask(text),
            schema=schema,
            journal=_pragma(connection, "journal_mode") if is_sqlite else None,
            filesystem=filesystem_type(path) if is_sqlite else None,
            bytes=_file_bytes(path) if is_sqlite else _server_bytes(connection),
            experiments=_experiments(connection),
            rows=_rows(connection),
        )


def holds(text: str, name: str, run_number: int | None) -> bool:
    """Whether a database has an experiment of this name, whatever the version of its tables.

    Raises:
        DatabaseError: As for `collect`.
    """
    query = sa.select(_EXPERIMENT.c.run_number).where(_EXPERIMENT.c.name == name)
    if run_number is not None:
        query = query.where(_EXPERIMENT.c.run_number == run_number)
    with _opened(text) as (connection, _):
        return connection.execute(query.limit(1)).scalar() is not None


@contextlib.contextmanager
def _opened(text: str) -> Iterator[tuple[sa.Connection, str]]:
    """Give a reading connection, and the version of the tables."""
    engine, schema = open_any(text)
    try:
        with translated(), engine.connect().execution_options(reading=True) as connection:
            yield connection, schema
    finally:
        engine.dispose()


def _system(dialect: sa.Dialect) -> str:
    return "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name


def _pragma(connection: sa.Connection, name: str) -> str:
    return str(connection.exec_driver_sql(f"PRAGMA {name}").scalar())


def _file_bytes(path: Path) -> int:
    files = [path, *(path.with_name(path.name + ending) for ending in ("-wal", "-journal"))]
    total = 0
    for file in files:
        # A journal comes and goes with every commit.
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _server_bytes(connection: sa.Connection) -> int | None:
    statement = _SIZES.get(connection.dialect.name)
    size = None if statement is None else connection.exec_driver_sql(statement).scalar()
    return None if size is None else int(size)


def _experiments(connection: sa.Connection) -> list[str]:
    query = sa.select(_EXPERIMENT).order_by(_EXPERIMENT.c.name, _EXPERIMENT.c.run_number)
    return [f"{row.name}/{row.run_number}" for row in connection.execute(query)]


def _rows(connection: sa.Connection) -> dict[str, int]:
    names = set(sa.inspect(connection).get_table_names()) - {VERSION_TABLE}
    count = sa.select(sa.func.count())
    return {
        name: int(connection.execute(count.select_from(sa.table(name))).scalar_one())
        for name in sorted(names)
    }
