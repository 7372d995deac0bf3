"""Rows that have a name in every database: new ones are added, others brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from db.errors import DatabaseError
from db.sql.copying.plain import NAMES, PAGE, TABLES, Row, keys_of, named
from db.sql.copying.sides import Copying, Side, diverged

Where = Callable[[Side], sa.ColumnElement[bool]]


@dataclass(frozen=True, kw_only=True)
class Keyed:
    """A table whose rows have a name.

    Attributes:
        table: Its name.
        key: What names a row within its experiment.
        fixed: What never changes; if it differs, the rows are not the same.
    """

    table: str
    key: tuple[str, ...]
    fixed: tuple[str, ...] = ()


SMALL = (
    Keyed(table="parameter", key=("name",)),
    Keyed(table="parameter_constraint", key=("position",)),
    Keyed(table="objective", key=("name",)),
    Keyed(table="generation_node", key=("position",)),
    Keyed(table="spec_version", key=("version",)),
)
_GENERATION = Keyed(table="generation", key=("number",), fixed=("generator", "seed"))
_TRIAL = Keyed(table="trial", key=("index",), fixed=("parameter_hash",))
_SUBMISSION = Keyed(table="submission", key=("token",))
_ATTEMPT = Keyed(table="attempt", key=("trial_id", "number"), fixed=("token", "submission_id"))
_REPORT = Keyed(table="report", key=("attempt_id", "kind", "sequence"))


def copy_named_rows(copying: Copying) -> None:
    """Copy everything that has a name, what is referred to first."""
    for small in SMALL:
        column = TABLES[small.table].c.experiment_id
        _sync(copying, small, lambda side, column=column: column == side.experiment_id)  # type: ignore[misc]
    generation = TABLES["generation"]
    for low in range(0, _size(copying.source, "generation", "number"), PAGE):

        def is_here(side: Side, low: int = low) -> sa.ColumnElement[bool]:
            mine = generation.c.experiment_id == side.experiment_id
            return mine & generation.c.number.between(low, low + PAGE - 1)

        _sync(copying, _GENERATION, is_here)
    for low in range(0, _size(copying.source, "trial", "index"), PAGE):
        _copy_trials(copying, low)


def _size(side: Side, table: str, column: str) -> int:
    source = TABLES[table]
    query = sa.select(sa.func.max(source.c[column])).where(
        source.c.experiment_id == side.experiment_id
    )
    highest = side.connection.execute(query).scalar()
    return 0 if highest is None else int(highest) + 1


def _in_trials(column: sa.ColumnElement[Any], low: int) -> Where:
    return lambda side: column.in_(side.trials(low, low + PAGE))


def _copy_trials(copying: Copying, low: int) -> None:
    """Copy one page of trials, with all that was tried for them."""
    trial, attempt = TABLES["trial"], TABLES["attempt"]
    submission, report = TABLES["submission"], TABLES["report"]
    _sync(copying, _TRIAL, _in_trials(trial.c.id, low))
    carried = sa.select(attempt.c.submission_id).where(
        attempt.c.trial_id.in_(copying.source.trials(low, low + PAGE))
    )
    _sync_submissions(copying, submission.c.id.in_(carried))
    _sync(copying, _ATTEMPT, _in_trials(attempt.c.trial_id, low))

    def is_reported(side: Side) -> sa.ColumnElement[bool]:
        attempts = sa.select(attempt.c.id).where(
            attempt.c.trial_id.in_(side.trials(low, low + PAGE))
        )
        return report.c.attempt_id.in_(attempts)

    _sync(copying, _REPORT, is_reported)


def _sync_submissions(copying: Copying, where: sa.ColumnElement[bool]) -> None:
    """Copy submissions; an array may carry trials of several pages."""
    query = named(TABLES["submission"]).order_by(TABLES["submission"].c.id)
    rows = copying.read(query.where(where))
    known = TABLES["submission"].c.token.in_([row["token"] for row in rows])
    mine = TABLES["submission"].c.experiment_id == copying.target.experiment_id
    _merge(copying, _SUBMISSION, rows, copying.target.rows(query.where(known, mine)))


def _sync(copying: Copying, what: Keyed, where: Where) -> None:
    table = TABLES[what.table]
    query = named(table).order_by(table.c.id)
    rows = copying.read(query.where(where(copying.source)))
    known = [] if copying.is_new else copying.target.rows(query.where(where(copying.target)))
    _merge(copying, what, rows, known)


def _merge(copying: Copying, what: Keyed, rows: Sequence[Row], known: Sequence[Row]) -> None:
    """Add the rows that are not known, and bring the others up to date."""
    by_key = {_key(what, row): row for row in known}
    new: list[Row] = []
    changed: list[Row] = []
    for row in rows:
        if "experiment_id" in row:
            row["experiment_id"] = copying.target.experiment_id
        old = by_key.pop(_key(what, row), None)
        if old is None:
            new.append(row)
            continue
        row["id"] = old["id"]
        if row != old:
            if any(row[column] != old[column] for column in what.fixed):
                raise diverged(f"{what.table} {_spoken(what, row)}")
            changed.append(row)
    if by_key:
        raise diverged(f"{what.table} {_spoken(what, next(iter(by_key.values())))}")
    refer(copying, [*new, *changed])
    copying.insert(what.table, new)
    copying.update(what.table, changed)


def _key(what: Keyed, row: Row) -> tuple[Any, ...]:
    return tuple(row[column] for column in what.key)


def _spoken(what: Keyed, row: Row) -> str:
    return ", ".join(f"{column.removesuffix('_id')} {row[column]}" for column in what.key)


def refer(copying: Copying, rows: Sequence[Row]) -> None:
    """Put the target's keys in place of names.

    Raises:
        DatabaseError: A row names what is not there.
    """
    target = copying.target
    for column in [name for name in NAMES if rows and name in rows[0]]:
        keys = keys_of(
            target.connection, column, [row[column] for row in rows], target.experiment_id
        )
        for row in rows:
            name = row[column]
            if name is not None:
                if name not in keys:
                    raise DatabaseError(
                        f"a row names {column.removesuffix('_id')} {name}, which does not exist.",
                        "Nothing was copied; `headway db check` tells more.",
                    )
                row[column] = keys[name]
