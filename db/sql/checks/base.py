"""What a check is: one query that finds what contradicts an invariant, and how to say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import sqlalchemy as sa

from db.sql.leases import database_time
from db.sql.tables import Experiment, Report, table_of
from db.states import TrialStatus

# Of one kind, so many are told one by one; a broken loader must not fill a terminal for hours.
MOST = 1000
# Doubles end here; what is not between these is an infinity or NaN, on every database.
LARGEST = 1.7976931348623157e308
# A head takes reports within a second or two; after this nobody is about to.
WAIT = timedelta(minutes=1)

_report = table_of(Report)
# For queries about time, which is the database's own.
NOW = sa.bindparam("database_now", type_=_report.c.created_at.type)
A_WHILE_AGO = sa.bindparam("a_while_ago", type_=_report.c.created_at.type)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One invariant.

    Attributes:
        name: What users and tests call it.
        says: What is wrong and how it should be; `{column}` stands for a column of the query.
        query: Selects the rows that contradict it. Its columns `trial` (an index) and `attempt` (a
            number), if it has them, tell where.
        experiment: The column with the key of the experiment that a row belongs to.
        is_warning: Whether it may be so without anything being broken.
    """

    name: str
    says: str
    query: sa.Select[*tuple[Any, ...]]
    experiment: sa.ColumnElement[int]
    is_warning: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One contradiction.

    Attributes:
        check: Name of the check.
        experiment: NAME/N; None if it is not known, or is about the whole database.
        trial: Index of the trial, if it is about one.
        attempt: Number of the attempt, if it is about one.
        message: What is wrong and how it should be.
        is_warning: Whether it may be so without anything being broken.
    """

    check: str
    experiment: str | None
    trial: int | None
    attempt: int | None
    message: str
    is_warning: bool = False


def labels(connection: sa.Connection) -> dict[int, str]:
    """Return how users call each experiment, by key."""
    table = table_of(Experiment)
    query = sa.select(table.c.id, table.c.name, table.c.run_number)
    return {int(key): f"{name}/{run}" for key, name, run in connection.execute(query)}


def find(
    connection: sa.Connection,
    check: Check,
    *,
    experiment_id: int | None,
    names: Mapping[int, str],
    times: Mapping[str, datetime],
) -> Iterator[Finding]:
    """Run one check.

    Args:
        connection: A reading transaction.
        check: The check.
        experiment_id: Only this experiment; None: all.
        names: How users call each experiment.
        times: What `clock` says, the same for all checks.
    """
    query = check.query.add_columns(check.experiment.label("experiment_id"))
    if experiment_id is not None:
        query = query.where(check.experiment == experiment_id)
    rows = [dict(row) for row in connection.execute(query.limit(MOST + 1), times).mappings()]
    rows.sort(key=_place)
    for row in rows[:MOST]:
        yield Finding(
            check=check.name,
            experiment=names.get(row["experiment_id"]),
            trial=row.get("trial"),
            attempt=row.get("attempt"),
            message=check.says.format_map({name: _word(name, row[name]) for name in row}),
            is_warning=check.is_warning,
        )
    if len(rows) > MOST:
        yield more(check.name, is_warning=check.is_warning)


def clock(connection: sa.Connection) -> dict[str, datetime]:
    """Return the times that queries ask for, by the clock of the database."""
    moment = database_time(connection)
    return {"database_now": moment, "a_while_ago": moment - WAIT}


def more(check: str, *, is_warning: bool = False) -> Finding:
    """Say that not all breaches of a kind were told."""
    return Finding(
        check=check,
        experiment=None,
        trial=None,
        attempt=None,
        message=f"there are more of this kind than these {MOST}",
        is_warning=is_warning,
    )


def _place(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return row["experiment_id"] or 0, row.get("trial") or 0, row.get("attempt") or 0


def _word(name: str, value: object) -> str:
    """Return a value as a message shows it; a number that is no status stays a number."""
    if name == "status" and isinstance(value, int) and value in set(TrialStatus):
        return TrialStatus(value).name
    return value.name if isinstance(value, Enum) else str(value)


def status_of(trial: sa.Table) -> sa.Label[int]:
    """Select a trial's status as the number that is there, whether it means something or not."""
    return sa.type_coerce(trial.c.status, sa.Integer).label("status")


def is_not_finite(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    """Whether a number is NaN or infinite; NULL is neither."""
    return column.is_not(None) & sa.not_(column.between(-LARGEST, LARGEST))
