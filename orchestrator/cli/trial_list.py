"""What `headway trials` prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from db.sql.reading import experiments
from db.sql.reading import trials as queries
from db.sql.reading.experiments import ExperimentRow, ObjectiveRow, ParameterRow
from db.sql.reading.reader import Reader
from db.sql.reading.trials import Choice, Order
from db.states import FailureClass, TrialStatus
from orchestrator.cli.answers import find_row, place_given
from orchestrator.cli.filters import check_column, choose_words, sort_rows, split_words
from orchestrator.cli.outputs import answer
from orchestrator.cli.places import open_place
from orchestrator.errors import UsageError
from orchestrator.reports import rows
from orchestrator.reports.rows import Headings
from orchestrator.reports.tables import print_rows
from orchestrator.spec.hostlists import expand_hosts

Row = dict[str, Any]

_PAGE = 1000
# A table for people ends here unless they ask for more.
_MOST_LINES = 200
# Columns that the database sorts by, so that a short answer is a quick one.
_SORTS = {
    "trial": "index",
    "status": "status",
    "created_at": "created_at",
    "started_at": "started_at",
    "ended_at": "completed_at",
}
# Those of the attempt that says most about a trial; all trials are read first.
_TELLING = ("run_seconds", "host", "attempts", "exit_code", "failure", "generator")
_GROUPS = {"WAITING": (TrialStatus.CANDIDATE, TrialStatus.STAGED)}
_BEFORE = ("trial", "status", "generator", "host", "attempts", "run_seconds")


@dataclass(frozen=True)
class _Table:
    """One experiment, and what its trials may be sorted by."""

    experiment: ExperimentRow
    parameters: tuple[ParameterRow, ...]

    def named(self) -> dict[str, ParameterRow | ObjectiveRow]:
        """Return what users have named, by name; an objective wins."""
        found: dict[str, ParameterRow | ObjectiveRow] = {row.name: row for row in self.parameters}
        return found | {row.name: row for row in self.experiment.objectives}

    def order(self, column: str, *, is_reversed: bool) -> Order:
        """Return the order of the database for a column; for others, that of the trials.

        Raises:
            UsageError: There is no such column.
        """
        named = self.named()
        if column in named:
            return Order(by=named[column], is_reversed=is_reversed)
        if column in _SORTS:
            return Order(by=_SORTS[column], is_reversed=is_reversed)
        check_column(column, [*_SORTS, *_TELLING, *named])
        return Order()

    def is_telling(self, column: str) -> bool:
        """Whether a column is sorted by here, after all trials have been read."""
        return column in _TELLING and column not in self.named()


def trials(given: argparse.Namespace) -> int:
    """The trials of one experiment."""
    place = place_given(given)
    choice = _choice(given)
    with open_place(place) as reader:
        with reader.read() as connection:
            experiment = find_row(connection, place)
            parameters = experiments.parameters(connection, experiment.id)
        table = _Table(experiment, parameters)
        is_for_people = not given.json and not given.csv
        limit = given.limit or (_MOST_LINES if is_for_people else None)
        found = _find(reader, table, given, choice=choice, limit=limit)
    headings = _headings(found, table)
    flat = [] if given.json else [headings.flatten(row) for row in found]

    def say() -> None:
        _print(flat, headings, experiment)
        if not given.limit and len(found) == _MOST_LINES:
            total = sum(experiment.trials.values())
            of = f"of {total} trials" if choice == Choice() else "that fit"
            print(f"These are the first {len(found)} {of}; --limit N shows more.")

    first = [*_BEFORE, *headings.titles()]
    answer(given, found, say=say, table=flat, columns=first)
    return 0


def _find(
    reader: Reader,
    table: _Table,
    given: argparse.Namespace,
    *,
    choice: Choice,
    limit: int | None,
) -> list[Row]:
    order = table.order(given.sort, is_reversed=given.reverse)
    if not table.is_telling(given.sort):
        return list(_rows(reader, table.experiment, choice=choice, order=order, limit=limit))
    found = _rows(reader, table.experiment, choice=choice, order=order, limit=None)
    return sort_rows(found, given.sort, known=_TELLING, is_reversed=given.reverse)[:limit]


def _rows(
    reader: Reader,
    experiment: ExperimentRow,
    *,
    choice: Choice,
    order: Order,
    limit: int | None,
) -> Iterator[Row]:
    with reader.read() as connection:
        keys = queries.keys(connection, experiment.id, choice=choice, order=order, limit=limit)
    for start in range(0, len(keys), _PAGE):
        with reader.read() as connection:
            page = queries.rows(connection, keys[start : start + _PAGE])
        yield from (rows.trial_row(trial) for trial in page)


def _choice(given: argparse.Namespace) -> Choice:
    known = {status.name for status in TrialStatus} | set(_GROUPS)
    statuses = choose_words("--status", given.status, known, what="status")
    classes = choose_words("--failure", given.failure, set(FailureClass), what="class of failures")
    return Choice(
        statuses=[one for name in statuses for one in _GROUPS.get(name) or (TrialStatus[name],)],
        hosts=_hosts(given.host),
        failures=[FailureClass(name) for name in classes],
        generators=[name.upper() for name in split_words(given.generator)],
    )


def _hosts(text: str | None) -> tuple[str, ...]:
    try:
        return expand_hosts([text]) if text is not None else ()
    except ValueError as error:
        raise UsageError(f"--host: {error}.") from None


def _headings(found: list[Row], table: _Table) -> Headings:
    return Headings.choose(
        fixed=(*found[0], "run") if found else _BEFORE,
        parameters=[parameter.name for parameter in table.parameters],
        results=[objective.name for objective in table.experiment.objectives],
        infos=list(dict.fromkeys(name for row in found for name in row["infos"])),
    )


def _print(flat: list[Row], headings: Headings, experiment: ExperimentRow) -> None:
    if not flat:
        print("There is no such trial." if experiment.trials else "There is no trial yet.")
        return
    after = ["reason"] if any(row["reason"] for row in flat) else []
    titles = headings.titles()
    print_rows(flat, [*_BEFORE, *titles, *after], stream=sys.stdout, verbatim=titles)
