"""Whether the database itself is whole: its foreign keys, and an SQLite file's own structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from db.sql.checks.base import MOST, Finding, more
from db.sql.tables import Attempt, Base, Trial, table_of

_trial = table_of(Trial)
_attempt = table_of(Attempt)


def find_damage(connection: sa.Connection) -> Iterator[Finding]:
    """Ask SQLite about its file: pages, indexes, NOT NULL and CHECK."""
    if connection.dialect.name != "sqlite":
        return
    for (line,) in connection.exec_driver_sql(f"PRAGMA integrity_check({MOST})"):
        if line != "ok":
            yield _finding("file", f"PRAGMA integrity_check says: {line}")


def find_orphans(
    connection: sa.Connection, experiment_id: int | None, names: Mapping[int, str]
) -> Iterator[Finding]:
    """Look for rows that name a row which does not exist."""
    for table in Base.metadata.sorted_tables:
        for column in table.c:
            for key in column.foreign_keys:
                yield from _orphans(connection, table, key, experiment_id, names)


def _orphans(
    connection: sa.Connection,
    table: sa.Table,
    key: sa.ForeignKey,
    experiment_id: int | None,
    names: Mapping[int, str],
) -> Iterator[Finding]:
    column = key.parent
    parent = key.column.table.alias("parent")
    (own_key,) = table.primary_key
    has_owner = "experiment_id" in table.c
    owner = table.c.experiment_id if has_owner else sa.null()
    query = (
        sa.select(own_key, column, owner)
        .outerjoin_from(table, parent, parent.c[key.column.name] == column)
        .where(column.is_not(None), parent.c[key.column.name].is_(None))
        .limit(MOST + 1)
    )
    if experiment_id is not None:
        query = query.where(_belongs(table, experiment_id))
    rows = sorted(connection.execute(query), key=lambda row: row[0])
    for row_key, value, owned_by in rows[:MOST]:
        target = key.column.table.name
        message = (
            f"row {row_key} of {table.name} names {target} {value} as its {column.name}, "
            f"and there is no such {target}"
        )
        yield _finding("foreign-key", message, names.get(owned_by))
    if len(rows) > MOST:
        yield more("foreign-key")


def _belongs(table: sa.Table, experiment_id: int) -> sa.ColumnElement[bool]:
    """Whether a row belongs to an experiment; what is shared by all belongs to none."""
    if "experiment_id" in table.c:
        return table.c.experiment_id == experiment_id
    trials = sa.select(_trial.c.id).where(_trial.c.experiment_id == experiment_id)
    if "trial_id" in table.c:
        return table.c.trial_id.in_(trials)
    if "attempt_id" in table.c:
        attempts = sa.select(_attempt.c.id).where(_attempt.c.trial_id.in_(trials))
        return table.c.attempt_id.in_(attempts)
    return sa.false()


def _finding(check: str, message: str, experiment: str | None = None) -> Finding:
    return Finding(check=check, experiment=experiment, trial=None, attempt=None, message=message)
