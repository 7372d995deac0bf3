"""`headway db copy`: brings experiments into another database."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from db.errors import DatabaseError, DatabaseInUse
from db.sql import copying
from db.sql.copying import Copied
from db.sql.engine import connect, translated
from db.sql.reading import experiments
from db.sql.reading.reader import Reader, Transaction, open_reader
from db.sql.store import Engine
from orchestrator.cli.outputs import answer
from orchestrator.cli.places import runs_root
from orchestrator.cli.stores import Database, find_database, is_url, read_url
from orchestrator.cli.urls import user_path
from orchestrator.errors import HeadAliveError, HeadwayError, UsageError, did_you_mean
from orchestrator.reports.tables import print_rows

_COLUMNS = ("experiment", "copied_as", "was", "trials", "attempts", "rows_added", "rows_changed")


def copy(given: argparse.Namespace) -> int:
    """Copy one experiment or all of a database into another one."""
    source = find_database(given.source, called="SRC", run_root=given.run_dir)
    url = _read_target(given)
    if given.experiment and source.experiment_id is not None:
        raise UsageError(
            f"--experiment: SRC {given.source!r} is one experiment already.",
            "Leave the option out, or give SRC as a file or a URL.",
        )
    copied: list[Copied] = []
    with _open_source(source) as reader, reader.read() as connection:
        keys = _chosen(connection, source, given.experiment)
        with _open_target(url) as engine:
            _check_different(connection, engine, given.target)
            for key, label in keys:
                copied.append(_copy_one(connection, engine, key, label))
    rows = [_row(one) for one in copied]

    def say() -> None:
        if rows:
            print_rows(rows, _COLUMNS, stream=sys.stdout)
        else:
            print(f"There is no experiment in {source.label}.")

    answer(given, rows, say=say, columns=_COLUMNS)
    for one in copied:
        if one.is_new and one.label != one.target_label:
            print(f"{one.label} is {one.target_label} there: its number was taken", file=sys.stderr)
    return 0


def _read_target(given: argparse.Namespace) -> str:
    if not is_url(given.target) and _is_run_here(given.target, given.run_dir):
        # A file of this name would be taken for the experiment from then on.
        raise UsageError(
            f"DST: {given.target!r} is an experiment here, no database.",
            "Give a file, a URL, or @FILE with a URL.",
        )
    url = read_url(given.target, called="DST", may_be_new=True)
    assert url is not None
    return url


def _is_run_here(target: str, run_dir: str | None) -> bool:
    path = user_path(target, "DST")
    return not path.exists() and user_path(str(runs_root(run_dir) / path), "--run_dir").is_dir()


def _open_source(source: Database) -> Reader:
    try:
        return open_reader(source.url)
    except DatabaseInUse as error:
        raise HeadAliveError(f"SRC: {error.message}", error.hint) from None
    except DatabaseError as error:
        raise UsageError(f"SRC: {error.message}", error.hint) from None


@contextlib.contextmanager
def _open_target(url: str) -> Iterator[Engine]:
    """Open the target, which gets its tables if it is empty."""
    try:
        engine = connect(url)
    except DatabaseInUse as error:
        raise HeadAliveError(f"DST: {error.message}", error.hint) from None
    except DatabaseError as error:
        raise UsageError(f"DST: {error.message}", error.hint) from None
    try:
        yield engine
    finally:
        engine.dispose()


def _chosen(connection: Transaction, source: Database, text: str | None) -> list[tuple[int, str]]:
    """Return key and NAME/N of the experiments to copy, oldest first."""
    rows = [(row.id, row.name, row.run_number) for row in experiments.find_all(connection)]
    labels = {key: f"{name}/{run}" for key, name, run in rows}
    if source.experiment_id is not None:
        return [(source.experiment_id, labels[source.experiment_id])]
    if text is None:
        return list(labels.items())
    runs = [row for row in rows if text in {row[1], labels[row[0]]}]
    if not runs:
        known = [*labels.values(), *(name for _, name, _ in rows)]
        hint = did_you_mean(text, known) or f"It holds {', '.join(sorted(labels.values()))}."
        raise UsageError(f"--experiment: SRC holds no experiment {text!r}.", hint)
    key = max(runs, key=lambda row: row[2])[0]
    return [(key, labels[key])]


def _check_different(connection: Transaction, engine: Engine, word: str) -> None:
    with translated(), engine.connect().execution_options(reading=True) as other:
        if copying.identity(connection) == copying.identity(other):
            raise UsageError(f"DST: {word.rpartition('@')[2]!r} is the same database as SRC.")


def _copy_one(connection: Transaction, engine: Engine, key: int, label: str) -> Copied:
    """Copy one experiment in one transaction.

    Raises:
        HeadwayError: It was not copied; those before it were.
    """
    try:
        with translated(), engine.begin() as target:
            return copying.copy_experiment(connection, target, key)
    except DatabaseError as error:
        raise HeadwayError(f"{label}: {error.message}", error.hint) from None


def _row(copied: Copied) -> dict[str, Any]:
    """Return what `headway db copy` says of one experiment."""
    is_changed = copied.added or copied.changed
    was = "new" if copied.is_new else "brought up to date" if is_changed else "the same already"
    return {
        "experiment": copied.label,
        "copied_as": copied.target_label,
        "uuid": copied.uuid,
        "was": was,
        "trials": copied.added.get("trial", 0),
        "attempts": copied.added.get("attempt", 0),
        "rows_added": sum(copied.added.values()),
        "rows_changed": sum(copied.changed.values()),
        "added": copied.added,
        "changed": copied.changed,
    }
