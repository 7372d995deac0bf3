"""The data of experiments as pandas frames: `from db import frames`.

    frames.experiments("sqlite:////data/all.db")
    frames.trials("postgresql://me@host/name", "first/2")

A database is a URL, or the path of an SQLite file. An experiment is NAME (its latest run), NAME/N
or its uuid. Nothing is ever written.

Columns are those of `headway export` with the same table, and every frame has all its columns also
without a row. Their types: `Int64`, `float64`, `string` and `boolean`, where `<NA>` or `NaN` is what
is not known; `datetime64[us, UTC]`; and `object` with Python's own dict and list for JSON.
"""

from __future__ import annotations

import difflib
import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import DatabaseError
from db.export.about import summary
from db.sql.engine import sqlite_url
from db.sql.reading import catalogue
from db.sql.reading import experiments as queries
from db.sql.reading.fields import Column, Kind, Row
from db.sql.reading.reader import Transaction, open_reader

if TYPE_CHECKING:
    import pandas as pd

_NAME = re.compile(r"(.+?)(?:/([0-9]{1,9}))?")
EXPERIMENTS = (
    Column("name", Kind.TEXT, "name given by the user"),
    Column("run", Kind.INT, "1 for the first run of the name, then 2, …"),
    Column("uuid", Kind.TEXT, "the same in every database"),
    Column("status", Kind.TEXT, "RUNNING, STOPPING, FINISHED, STOPPED, FAILED or INTERRUPTED"),
    Column("stop_reason", Kind.TEXT, "why it ended, in a sentence"),
    Column("group", Kind.TEXT, "experiments that belong together"),
    Column("description", Kind.TEXT, "free text of the user"),
    Column("participant", Kind.TEXT, "whom or what was studied"),
    Column("metadata", Kind.JSON, "the user's own keys and values"),
    Column("owner", Kind.TEXT, "user@host that started it"),
    Column("run_dir", Kind.TEXT, "the run folder, absolute"),
    Column("created_at", Kind.TIME, "when it was set up"),
    Column("ended_at", Kind.TIME, "when its last head ended"),
    Column("objectives", Kind.JSON, "list of {name, goal}; goal is min or max"),
    Column("trials", Kind.JSON, "number of trials by status"),
)
_TYPES = {
    Kind.INT: "Int64",
    Kind.FLOAT: "float64",
    Kind.TEXT: "string",
    Kind.BOOL: "boolean",
    Kind.TIME: "datetime64[us, UTC]",
    Kind.JSON: "object",
}


def experiments(url: str | Path) -> pd.DataFrame:
    """Return all experiments of a database, the newest last: one row each.

    Columns: name, run, uuid, status, stop_reason, group, description, participant, metadata, owner,
    run_dir, created_at, ended_at, objectives (list of name and goal), trials (count by status).

    Args:
        url: The database.

    Raises:
        DatabaseError: It cannot be opened, or holds no experiment of Headway.
    """
    with open_reader(_url(url)) as reader, reader.read() as connection:
        found = [summary(row) for row in queries.find_all(connection)]
    rows: list[Row] = [[row[column.name] for column in EXPERIMENTS] for row in found]
    return _frame(EXPERIMENTS, rows)


def trials(url: str | Path, experiment: str) -> pd.DataFrame:
    """Return the trials: one row each.

    Columns: trial, status, generator; one a parameter, typed as the parameter; one a result; NAME_sem
    a result; host, job, attempts, wait_seconds, run_seconds, exit_code, signal, failure, reason;
    created_at, staged_at, started_at, ended_at; one for each OO-Info name, as text. A name that
    another column has already gets a prefix: parameter_, result_, sem_ or info_.

    Args:
        url: The database.
        experiment: NAME, NAME/N or uuid.

    Raises:
        DatabaseError: The database cannot be read, or holds no such experiment.
    """
    return _table(url, experiment, "trials")


def outcomes(url: str | Path, experiment: str) -> pd.DataFrame:
    """Return the accepted values: one row a trial and objective.

    Columns: trial, objective, mean, sem, source, attempt, reused_trial.

    Args:
        url: The database.
        experiment: NAME, NAME/N or uuid.

    Raises:
        DatabaseError: The database cannot be read, or holds no such experiment.
    """
    return _table(url, experiment, "outcomes")


def metrics(url: str | Path, experiment: str) -> pd.DataFrame:
    """Return the measurements along the way: one row each.

    Columns: trial, attempt, name, value, split, level, step, created_at.

    Args:
        url: The database.
        experiment: NAME, NAME/N or uuid.

    Raises:
        DatabaseError: The database cannot be read, or holds no such experiment.
    """
    return _table(url, experiment, "metrics")


def attempts(url: str | Path, experiment: str) -> pd.DataFrame:
    """Return the attempts: one row each.

    Columns: trial, attempt, state, host, job; what was requested: cpus, gpus, nodes, memory_mb; what
    was measured: wall_seconds, user_seconds, system_seconds, peak_memory_bytes, gpu_memory_bytes,
    gpu_utilization_percent; exit_code, signal, slurm_state, failure, failure_name, message, action,
    evidence, log_path; created_at, submitted_at, started_at, ended_at.

    Args:
        url: The database.
        experiment: NAME, NAME/N or uuid.

    Raises:
        DatabaseError: The database cannot be read, or holds no such experiment.
    """
    return _table(url, experiment, "attempts")


def generations(url: str | Path, experiment: str) -> pd.DataFrame:
    """Return the calls of generators: one row each.

    Columns: generation, node, generator, requested, produced, fit_seconds, gen_seconds, seed,
    fallback_reason, predictions, created_at.

    Args:
        url: The database.
        experiment: NAME, NAME/N or uuid.

    Raises:
        DatabaseError: The database cannot be read, or holds no such experiment.
    """
    return _table(url, experiment, "generations")


def events(url: str | Path, experiment: str) -> pd.DataFrame:
    """Return everything that happened or was decided, in order: one row each.

    Columns: event, kind, trial, payload, created_at.

    Args:
        url: The database.
        experiment: NAME, NAME/N or uuid.

    Raises:
        DatabaseError: The database cannot be read, or holds no such experiment.
    """
    return _table(url, experiment, "events")


def _table(url: str | Path, experiment: str, name: str) -> pd.DataFrame:
    """Read one table in one transaction."""
    with open_reader(_url(url)) as reader, reader.read() as connection:
        table = catalogue.table(connection, _key(connection, experiment), name)
        rows = [row for page in table.pages(lambda: nullcontext(connection)) for row in page]
    return _frame(table.columns, rows)


def _url(url: str | Path) -> str:
    return sqlite_url(url) if isinstance(url, Path) else url


def _key(connection: Transaction, experiment: str) -> int:
    key = queries.find_key_by_uuid(connection, experiment)
    if key is None and (match := _NAME.fullmatch(experiment)):
        run = None if match[2] is None else int(match[2])
        key = queries.find_key(connection, match[1], run)
    if key is None:
        raise DatabaseError(
            f"there is no experiment {experiment!r} in this database.",
            _hint(experiment, [f"{name}/{run}" for name, run in queries.runs(connection)]),
        )
    return key


def _hint(given: str, known: list[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.4)
    if close:
        return f"Did you mean {close[0]}?"
    return "frames.experiments(url) lists what it holds."


def _frame(columns: tuple[Column, ...], rows: list[Row]) -> pd.DataFrame:
    import pandas as pd

    values: list[Any] = list(zip(*rows, strict=True)) or [()] * len(columns)
    series = {
        column.name: pd.Series(list(entries), dtype=_TYPES[column.kind])
        for column, entries in zip(columns, values, strict=True)
    }
    return pd.DataFrame(series)
