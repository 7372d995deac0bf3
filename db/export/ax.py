"""An experiment as Ax stores one: an SQLite file that `load_experiment` opens without Headway.

It is what the views of `db.views.ax` show, written down as plain tables of Ax's own form, so that
Ax can also add to it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from db import views
from db.errors import DatabaseError
from db.export.ax_tables import DDL
from db.sql.reading.fields import PAGE, Session


def _ids(view: str, where: sa.ColumnElement[bool]) -> sa.Select[int]:
    return sa.select(sa.column("id", sa.Integer)).select_from(sa.table(view)).where(where)


_KEY: sa.BindParameter[int] = sa.bindparam("key")
_OWN = sa.column("experiment_id") == _KEY
_TRIALS = sa.column("trial_id").in_(_ids("trial_v2", _OWN))
_RUNS = sa.column("generator_run_id").in_(_ids("generator_run_v2", _TRIALS))
_WHOLES = sa.column("scalarized_objective_id").in_(_ids("metric_v2", _OWN))
# Which rows of each table belong to an experiment. Parts of a multi-objective only name the whole.
_PARTS = {
    "experiment_v2": sa.column("id") == _KEY,
    "generation_strategy": _OWN,
    "trial_v2": _OWN,
    "generator_run_v2": _TRIALS,
    "arm_v2": _RUNS,
    "abandoned_arm_v2": _TRIALS,
    "data_v2": _OWN,
    "parameter_v2": _OWN,
    "parameter_constraint_v2": _OWN,
    "metric_v2": _OWN | _WHOLES,
    "runner": _OWN,
    "analysis_card_v2": _OWN,
    "auxiliary_experiments": sa.column("source_experiment_id") == _KEY,
}


def write_ax(experiment_id: int, session: Session, path: Path) -> None:
    """Write the file.

    Args:
        experiment_id: The experiment.
        session: Where to read.
        path: The file; it must be empty or not exist.

    Raises:
        OSError: The file could not be written.
        DatabaseError: The database has no views for Ax, shows something there that Ax has no room
            for, or gave no more.
    """
    target = sqlite3.connect(path)
    try:
        # Nobody sees the file before it is whole.
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")
        target.executescript(DDL)
        with session() as connection:
            _check(connection)
            for table, where in _PARTS.items():
                _fill(target, connection, table, where=where, key=experiment_id)
        target.commit()
    except sqlite3.IntegrityError as error:
        raise DatabaseError(f"the experiment does not fit into Ax's tables: {error}") from error
    except sqlite3.Error as error:
        raise OSError(None, str(error), str(path)) from error
    finally:
        target.close()


def _check(connection: sa.Connection) -> None:
    if connection.dialect.name not in views.DIALECTS:
        raise DatabaseError(
            f"a database of {connection.dialect.name} has no views for Ax.",
            "Copy the experiment to an SQLite file first: headway db copy",
        )


def _fill(
    target: sqlite3.Connection,
    connection: sa.Connection,
    table: str,
    *,
    where: sa.ColumnElement[bool],
    key: int,
) -> None:
    known = [row[1] for row in target.execute(f"PRAGMA table_info({table})")]
    there = {column["name"] for column in sa.inspect(connection).get_columns(table)}
    names = [name for name in known if name in there]
    chosen: list[sa.ColumnElement[Any]] = [sa.column(name) for name in names]
    query = sa.select(*chosen).select_from(sa.table(table)).where(where)
    rows = connection.execute(query, {"key": key}, execution_options={"yield_per": PAGE})
    columns = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join("?" * len(names))
    statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - our own names
    for page in rows.partitions():
        target.executemany(statement, map(tuple, page))
