"""What status, show and best print, and how commands find an experiment and a trial."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from db.sql.reading import activity, code, detail, experiments, outcomes
from db.sql.reading.detail import TrialDetail
from db.sql.reading.experiments import ExperimentRow
from db.sql.reading.reader import Transaction
from orchestrator.cli.outputs import answer
from orchestrator.cli.places import Place, find, open_place
from orchestrator.errors import HeadwayError, UsageError
from orchestrator.reports import live_file, rows
from orchestrator.reports.head_rows import vitals_lines, waiting_lines
from orchestrator.reports.history import History
from orchestrator.reports.rows import Headings
from orchestrator.reports.snapshot import HeadHealth, Snapshot, SnapshotReader
from orchestrator.reports.tables import print_record, print_rows

Row = dict[str, Any]

# More hosts than these are counted; `headway hosts` has all.
_MOST_NAMES = 10


def place_given(given: argparse.Namespace) -> Place:
    """Return the place of the experiment that the words of a command mean.

    Raises:
        UsageError: There is none, or its database cannot be read.
    """
    return find(given.experiment, run_root=given.run_dir, db_url=given.db_url)


def find_row(connection: Transaction, place: Place) -> ExperimentRow:
    """Return the experiment of a place.

    Raises:
        UsageError: Its database does not hold it.
    """
    experiment = experiments.find(connection, place.experiment_id)
    if experiment is None:
        raise UsageError(f"{place.label}: its database does not hold it (any more).")
    return experiment


def status(given: argparse.Namespace) -> int:
    """How one experiment stands."""
    snapshot, record, named = _standing(place_given(given))

    def say() -> None:
        told = vitals_lines(snapshot.vitals)
        waiting = () if snapshot.vitals is None else snapshot.vitals.waiting
        if snapshot.health is not HeadHealth.ALIVE:
            # What a head did in its last moments says nothing about now.
            told |= {"generator_state": None, "head_state": None}
            waiting = ()
        shown = {**record, **told, "code": rows.code_line(named), "hosts_out": _names(snapshot)}
        print_record(shown, stream=sys.stdout)
        for line in (*waiting_lines(waiting), *_advice(snapshot)):
            print(line)

    answer(given, record, say=say)
    return 0


def _standing(place: Place) -> tuple[Snapshot, Row, list[Row]]:
    """Return how an experiment stands, also as a record, and the files that its program names.

    Where only the head's host may open the database, from what the head keeps for others; failures
    and files are not known then.
    """
    if place.other_host is not None:
        snapshot = live_file.read(place.run_dir)
        return snapshot, {**rows.status_row(snapshot, None), "code": None}, []
    with open_place(place) as reader:
        snapshot = SnapshotReader(reader, place.experiment_id).read()
        with reader.read() as connection:
            failures = activity.failures(connection, place.experiment_id)
            named = rows.code_rows(code.files(connection, place.experiment_id))
    return snapshot, {**rows.status_row(snapshot, failures), "code": named}, named


def _names(snapshot: Snapshot) -> list[str]:
    """Return the hosts that new jobs avoid, each with what it is; many are counted."""
    outs = snapshot.outs
    left = len(outs) - _MOST_NAMES
    named = [f"{out.host} ({out.standing.value.lower()})" for out in outs[:_MOST_NAMES]]
    return [*named, f"and {left} more"] if left > 0 else named


def _advice(snapshot: Snapshot) -> list[str]:
    from orchestrator.reports.closing import spoken_name
    from orchestrator.reports.head_record import coming

    name = spoken_name(snapshot.experiment)
    if (said := coming(snapshot)) is not None:
        return [f"No head is alive; {said}"]
    if snapshot.head_is_missing:
        return [f"No head is alive. Go on with: headway resume {name}"]
    return []


def best(given: argparse.Namespace) -> int:
    """The best trial, or all that no other one beats."""
    place = place_given(given)
    with open_place(place) as reader, reader.read() as connection:
        experiment = find_row(connection, place)
        found, front = _best_rows(connection, experiment)
    if not found:
        hint = f"`headway trials {place.label}` shows what became of them."
        raise HeadwayError(f"no trial of {place.label} has given a result yet.", hint)
    told = front if given.pareto else found
    headings = Headings.choose(
        fixed=("trial",),
        parameters=list(told[0]["parameters"]),
        results=[objective.name for objective in experiment.objectives],
    )
    flat = [headings.flatten({**row, "infos": {}}) for row in told]
    columns = ["trial", *headings.results.values(), *headings.parameters.values()]

    def say() -> None:
        if given.pareto:
            print_rows(flat, columns, stream=sys.stdout, verbatim=headings.titles())
            return
        print_record(found[0], stream=sys.stdout)
        if len(front) > 1:
            print(f"It is one of {len(front)} trials that no other one beats; see --pareto.")

    value = front if given.pareto else found[0]
    answer(given, value, say=say, table=flat, columns=columns)
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


def show(given: argparse.Namespace) -> int:
    """One trial with everything that is known of it."""
    place = place_given(given)
    with open_place(place) as reader, reader.read() as connection:
        found = find_trial(connection, place, given.trial)
    record = rows.detail_row(found)
    answer(given, record, say=lambda: _print_trial(record, found, place))
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
