"""What list, status, trials, show and best print."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from db.errors import DatabaseError, DatabaseInUse
from db.sql.reading import activity, code, detail, experiments, outcomes
from db.sql.reading import trials as trial_queries
from db.sql.reading.detail import TrialDetail
from db.sql.reading.experiments import ExperimentRow
from db.sql.reading.reader import Reader, Transaction, open_reader
from db.sql.reading.trials import Order
from db.states import TrialStatus
from orchestrator.cli.places import Place, find, open_place, place_of, runs_here, runs_root
from orchestrator.cli.urls import read_db_url
from orchestrator.errors import HeadAliveError, HeadwayError, UsageError, did_you_mean
from orchestrator.reports import rows
from orchestrator.reports.history import History
from orchestrator.reports.rows import Headings
from orchestrator.reports.snapshot import Snapshot, SnapshotReader
from orchestrator.reports.tables import print_json, print_record, print_rows

Row = dict[str, Any]

_PAGE = 1000
# A table for people ends here unless they ask for more.
_MOST_LINES = 200
# More hosts than these are counted; `headway hosts` has all.
_MOST_NAMES = 10
_SORTS = {
    "trial": "index",
    "status": "status",
    "created_at": "created_at",
    "started_at": "started_at",
    "ended_at": "completed_at",
}
_GROUPS = {"WAITING": (TrialStatus.CANDIDATE, TrialStatus.STAGED)}
# Columns of `list` that are shown if they hold anything.
_IF_ANY = ("group", "problem")
_BEFORE = ("trial", "status", "generator", "host", "attempts", "run_seconds")


def list_experiments(given: argparse.Namespace) -> int:
    """All experiments of a database, or all runs in the run folder."""
    url, _ = read_db_url(given.db_url, os.environ, Path.cwd())
    root = runs_root(given.run_dir)
    listed = _list_database(url) if url else list(_list_runs(root))
    where = "this database" if url else str(root)
    if given.group is not None:
        listed = _of_group(listed, given.group, where)
    if given.json:
        print_json(listed, stream=sys.stdout)
    elif listed:
        more = [column for column in _IF_ANY if any(row[column] for row in listed)]
        print_rows(listed, [*rows.LIST_COLUMNS, *more], stream=sys.stdout)
    else:
        print(f"There is no experiment in {where}.")
    return 0


def _of_group(listed: list[Row], group: str, where: str) -> list[Row]:
    chosen = [row for row in listed if row["group"] == group]
    if not chosen:
        known = list(dict.fromkeys(row["group"] for row in listed if row["group"]))
        hint = did_you_mean(group, known) or f"Groups there: {', '.join(known) or 'none'}."
        raise UsageError(f"--group: no experiment in {where} belongs to {group!r}.", hint)
    return chosen


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
            with open_place(place) as reader, reader.read() as connection:
                yield _experiment_row(connection, _get(connection, place))
        except (HeadAliveError, UsageError, DatabaseError) as error:
            yield rows.unreadable_row(card, str(folder), str(error))


def _experiment_row(connection: Transaction, experiment: ExperimentRow) -> Row:
    best = outcomes.best(connection, experiment.objectives)
    return rows.experiment_row(experiment, next(iter(best), None))


def status(given: argparse.Namespace) -> int:
    """How one experiment stands."""
    place = _find(given)
    with open_place(place) as reader:
        snapshot = SnapshotReader(reader, place.experiment_id).read()
        with reader.read() as connection:
            failures = activity.failures(connection, place.experiment_id)
            named = rows.code_rows(code.files(connection, place.experiment_id))
    record = rows.status_row(snapshot, failures)
    if given.json:
        print_json({**record, "code": named}, stream=sys.stdout)
        return 0
    shown = {**record, "code": rows.code_line(named), "hosts_out": _names(snapshot)}
    print_record(shown, stream=sys.stdout)
    for line in _advice(snapshot):
        print(line)
    return 0


def _names(snapshot: Snapshot) -> list[str]:
    """Return the hosts that new jobs avoid, each with what it is; many are counted."""
    outs = snapshot.outs
    left = len(outs) - _MOST_NAMES
    named = [f"{out.host} ({out.standing.value.lower()})" for out in outs[:_MOST_NAMES]]
    return [*named, f"and {left} more"] if left > 0 else named


def _advice(snapshot: Snapshot) -> list[str]:
    from orchestrator.reports.closing import spoken_name

    name = spoken_name(snapshot.experiment)
    if snapshot.head_is_missing:
        return [f"No head is alive. Go on with: headway resume {name}"]
    return []


def trials(given: argparse.Namespace) -> int:
    """The trials of one experiment."""
    place = _find(given)
    with open_place(place) as reader:
        with reader.read() as connection:
            experiment = _get(connection, place)
            parameters = experiments.parameters(connection, experiment.id)
        limit = given.limit or (None if given.json else _MOST_LINES)
        order = Order(by=_sort_by(given.sort, experiment, parameters), is_reversed=given.reverse)
        statuses = _statuses(given.status)
        found = list(_rows(reader, experiment, statuses=statuses, order=order, limit=limit))
    if given.json:
        print_json(found, stream=sys.stdout)
        return 0
    names = [parameter.name for parameter in parameters]
    _print_trials(found, names, experiment)
    if not given.limit and len(found) == _MOST_LINES:
        total = sum(experiment.trials.values())
        print(f"These are the first {len(found)} of {total} trials; --limit N shows more.")
    return 0


def _rows(
    reader: Reader,
    experiment: ExperimentRow,
    *,
    statuses: tuple[TrialStatus, ...],
    order: Order,
    limit: int | None,
) -> Iterator[Row]:
    with reader.read() as connection:
        keys = trial_queries.keys(
            connection, experiment.id, statuses=statuses, order=order, limit=limit
        )
    for start in range(0, len(keys), _PAGE):
        with reader.read() as connection:
            page = trial_queries.rows(connection, keys[start : start + _PAGE])
        yield from (rows.trial_row(trial) for trial in page)


def _print_trials(found: list[Row], parameters: list[str], experiment: ExperimentRow) -> None:
    after = ["reason"] if any(row["reason"] for row in found) else []
    headings = Headings.choose(
        fixed=(*found[0], "run") if found else _BEFORE,
        parameters=parameters,
        results=[objective.name for objective in experiment.objectives],
        infos=list(dict.fromkeys(name for row in found for name in row["infos"])),
    )
    flat = [headings.flatten(row) for row in found]
    if flat:
        titles = headings.titles()
        print_rows(flat, [*_BEFORE, *titles, *after], stream=sys.stdout, verbatim=titles)
    else:
        print("There is no such trial." if experiment.trials else "There is no trial yet.")


def _sort_by(
    column: str, experiment: ExperimentRow, parameters: tuple[experiments.ParameterRow, ...]
) -> str | experiments.ObjectiveRow | experiments.ParameterRow:
    for objective in experiment.objectives:
        if objective.name == column:
            return objective
    for parameter in parameters:
        if parameter.name == column:
            return parameter
    if column in _SORTS:
        return _SORTS[column]
    known = [*_SORTS, *(p.name for p in parameters), *(o.name for o in experiment.objectives)]
    hint = did_you_mean(column, known)
    raise UsageError(f"--sort: {column!r} is no column to sort by: {', '.join(known)}.", hint)


def _statuses(text: str | None) -> tuple[TrialStatus, ...]:
    known = _GROUPS | {status.name: (status,) for status in TrialStatus}
    chosen: list[TrialStatus] = []
    for word in text.split(",") if text is not None else []:
        name = word.strip().upper().replace("-", "_")
        if name not in known:
            allowed = ", ".join(sorted(known)).lower()
            hint = did_you_mean(name.lower(), [entry.lower() for entry in known])
            raise UsageError(f"--status: {word!r} is no status: {allowed}.", hint)
        chosen += known[name]
    return tuple(chosen)


def best(given: argparse.Namespace) -> int:
    """The best trial, or all that no other one beats."""
    place = _find(given)
    with open_place(place) as reader, reader.read() as connection:
        experiment = _get(connection, place)
        found, front = _best_rows(connection, experiment)
    if not found:
        hint = f"`headway trials {place.label}` shows what became of them."
        raise HeadwayError(f"no trial of {place.label} has given a result yet.", hint)
    if given.json:
        print_json(front if given.pareto else found[0], stream=sys.stdout)
    elif given.pareto:
        _print_front(front, experiment)
    else:
        print_record(found[0], stream=sys.stdout)
        if len(front) > 1:
            print(f"It is one of {len(front)} trials that no other one beats; see --pareto.")
    return 0


def _best_rows(connection: Transaction, experiment: ExperimentRow) -> tuple[list[Row], list[Row]]:
    """Return the best trial by the first objective, and the Pareto front, the best first."""
    first = [rows.best_row(scored) for scored in outcomes.best(connection, experiment.objectives)]
    if len(experiment.objectives) == 1:
        return first, first
    history = History(experiment.objectives)
    history.add(outcomes.since(connection, experiment.objectives, 0))
    points = outcomes.points(connection, experiment.id, list(history.front))
    front = [
        {"trial": index, "results": means, "parameters": points[index]}
        for index, means in history.front_means()
    ]
    return first, front


def _print_front(front: list[Row], experiment: ExperimentRow) -> None:
    headings = Headings.choose(
        fixed=("trial",),
        parameters=list(front[0]["parameters"]),
        results=[objective.name for objective in experiment.objectives],
    )
    flat = [headings.flatten({**row, "infos": {}}) for row in front]
    columns = ["trial", *headings.results.values(), *headings.parameters.values()]
    print_rows(flat, columns, stream=sys.stdout, verbatim=headings.titles())


def show(given: argparse.Namespace) -> int:
    """One trial with everything that is known of it."""
    place = _find(given)
    with open_place(place) as reader, reader.read() as connection:
        found = find_trial(connection, place, given.trial)
    record = rows.detail_row(found)
    if given.json:
        print_json(record, stream=sys.stdout)
    else:
        _print_trial(record, found, place)
    return 0


def find_trial(connection: Transaction, place: Place, index: int) -> TrialDetail:
    """Return one trial.

    Raises:
        UsageError: There is none with this number.
    """
    found = detail.find(connection, place.experiment_id, index)
    if found is None:
        last = detail.last_index(connection, place.experiment_id)
        allowed = "it has none yet" if last is None else f"it has 0 to {last}"
        raise UsageError(f"{place.label} has no trial {index}; {allowed}.")
    return found


def _print_trial(record: Row, found: TrialDetail, place: Place) -> None:
    tables = ("all_attempts", "outcomes", "metrics", "artifacts", "code")
    print_record(
        {name: value for name, value in record.items() if name not in tables}, stream=sys.stdout
    )
    columns = {
        "all_attempts": (
            "number",
            "state",
            "host",
            "slurm_job_id",
            "exit_code",
            "failure",
            "why",
            "action",
        ),
        "metrics": ("attempt", "name", "split", "count", "value", "step"),
        "artifacts": ("attempt", "name", "bytes", "url"),
        "code": ("attempt", "path", "sha256", "bytes"),
    }
    record = {**record, "all_attempts": [_attempt_line(row) for row in record["all_attempts"]]}
    titles = {"all_attempts": "attempts", "code": "changed since the head looked"}
    for table, chosen in columns.items():
        if record[table]:
            print(f"\n{titles.get(table, table)}:")
            print_rows(record[table], chosen, stream=sys.stdout)
    if found.attempts and found.attempts[-1].log_path:
        print(f"\nlog: {place.run_dir / found.attempts[-1].log_path}")


def _attempt_line(attempt: Row) -> Row:
    """Add to an attempt what a person reads: its failure in words, and what was done about it."""
    kind = attempt["failure_class"]
    return {
        **attempt,
        "failure": kind and rows.failure_word(kind, attempt["failure_name"]),
        "why": attempt["failure_message"],
        "action": attempt["failure_action"],
    }


def _find(given: argparse.Namespace) -> Place:
    return find(given.experiment, run_root=given.run_dir, db_url=given.db_url)


def _get(connection: Transaction, place: Place) -> ExperimentRow:
    experiment = experiments.find(connection, place.experiment_id)
    if experiment is None:
        raise UsageError(f"{place.label}: its database does not hold it (any more).")
    return experiment
