"""What `headway list` prints: all searches here, or in a database."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from db.errors import DatabaseError, DatabaseInUse
from db.sql.reading import experiments, outcomes
from db.sql.reading.experiments import ExperimentRow
from db.sql.reading.reader import Transaction, open_reader
from db.states import ExperimentStatus
from orchestrator.cli.answers import find_row
from orchestrator.cli.fields import LIST
from orchestrator.cli.filters import choose_words, sort_rows
from orchestrator.cli.outputs import answer
from orchestrator.cli.places import Place, open_place, place_of, runs_here, runs_root
from orchestrator.cli.urls import read_db_url
from orchestrator.errors import HeadAliveError, UsageError, did_you_mean
from orchestrator.reports import live_file, rows
from orchestrator.reports.tables import print_rows

Row = dict[str, Any]

UNKNOWN = "UNKNOWN"
# Columns that are shown if they hold anything.
_IF_ANY = ("group", "problem")


def list_experiments(given: argparse.Namespace) -> int:
    """All experiments of a database, or all runs in the run folder."""
    url, _ = read_db_url(given.db_url, os.environ, Path.cwd())
    root = runs_root(given.run_dir)
    known = {status.value for status in ExperimentStatus} | {UNKNOWN}
    statuses = choose_words("--status", given.status, known, what="status")
    everything = _list_database(url) if url else list(_list_runs(root))
    where = "this database" if url else str(root)
    listed = everything
    if given.group is not None:
        listed = _of_group(listed, given.group, where)
    listed = [row for row in listed if not statuses or row["status"] in statuses]
    if given.names:
        listed = _named(listed, given.names)
    listed = sort_rows(listed, given.sort, known=rows.LIST_SORTS, is_reversed=given.reverse)
    listed = listed[: given.limit]

    def say() -> None:
        if listed:
            more = [column for column in _IF_ANY if any(row[column] for row in listed)]
            print_rows(listed, [*rows.LIST_COLUMNS, *more], stream=sys.stdout)
        elif everything:
            print(f"There is no such experiment among the {len(everything)} in {where}.")
        else:
            print(f"There is no experiment in {where}.")

    answer(given, listed, say=say, columns=list(LIST))
    return 0


def _of_group(listed: list[Row], group: str, where: str) -> list[Row]:
    chosen = [row for row in listed if row["group"] == group]
    if not chosen:
        known = list(dict.fromkeys(row["group"] for row in listed if row["group"]))
        hint = did_you_mean(group, known) or f"Groups there: {', '.join(known) or 'none'}."
        raise UsageError(f"--group: no experiment in {where} belongs to {group!r}.", hint)
    return chosen


def _named(listed: list[Row], names: Sequence[str]) -> list[Row]:
    return [row for row in listed if any(fnmatch.fnmatchcase(row["name"], name) for name in names)]


def _list_database(url: str) -> list[Row]:
    try:
        with open_reader(url) as reader, reader.read() as connection:
            found = experiments.find_all(connection)
            return [_experiment_row(connection, experiment) for experiment in found]
    except DatabaseInUse as error:
        raise HeadAliveError(f"--db_url: {error.message}", error.hint) from None
    except DatabaseError as error:
        raise UsageError(f"--db_url: {error}") from None


def _list_runs(root: Path) -> Iterator[Row]:
    for folder, card in runs_here(root):
        try:
            place = place_of(folder, card)
            yield _elsewhere(place) if place.other_host else _opened(place)
        except (HeadAliveError, UsageError, DatabaseError) as error:
            yield rows.unreadable_row(card, str(folder), str(error))


def _opened(place: Place) -> Row:
    with open_place(place) as reader, reader.read() as connection:
        return _experiment_row(connection, find_row(connection, place))


def _elsewhere(place: Place) -> Row:
    """Return the row of a run whose database only its head's host may open: from `live.json`."""
    try:
        snapshot = live_file.read(place.run_dir)
    except DatabaseError:
        open_place(place).close()  # says why not
        raise
    return rows.experiment_row(snapshot.experiment, None) | rows.best_of(snapshot)


def _experiment_row(connection: Transaction, experiment: ExperimentRow) -> Row:
    best = outcomes.best(connection, experiment.objectives)
    return rows.experiment_row(experiment, next(iter(best), None))
