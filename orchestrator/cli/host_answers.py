"""What `headway hosts` prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from db.sql import hosts as host_queries
from db.sql.hosts import CLUSTER, HostEnding
from db.sql.reading import experiments, hosts
from db.sql.reading.experiments import ExperimentRow
from db.sql.reading.hosts import HostRow
from db.sql.reading.reader import open_reader
from db.states import ExperimentStatus, HostState
from orchestrator.cli.fields import HOSTS
from orchestrator.cli.filters import choose_words, sort_rows
from orchestrator.cli.outputs import answer
from orchestrator.cli.stores import find_database, told
from orchestrator.health.verdicts import Verdicts
from orchestrator.reports import rows
from orchestrator.reports.tables import print_rows
from orchestrator.reports.texts import clock, printable
from orchestrator.steps.history import HISTORY_SECONDS, replay

Row = dict[str, Any]

_STATES = ("EXCLUDED", *(state.value for state in HostState))
_SORTS = (
    "host",
    "state",
    "tried",
    "running",
    "succeeded",
    "failed",
    "probability",
    "since_at",
    "until_at",
)
_COLUMNS = ("host", "state", "tried", "running", "succeeded", "failed", "defective")
# Shown if one of the hosts has any: most often nothing is out, and a terminal is narrow.
_OF_OUTS = ("since_at", "until_at", "why")


def show(given: argparse.Namespace) -> int:
    """Print how trials ended on each host, and what is thought of it."""
    states = choose_words("--state", given.state, _STATES, what="state of a host")
    database = find_database(
        given.experiment, called="EXP", run_root=given.run_dir, db_url=given.db_url
    )
    with told(database.label), open_reader(database.url) as reader, reader.read() as connection:
        found = hosts.rows(connection, database.experiment_id)
        endings = host_queries.endings(connection, seconds=HISTORY_SECONDS, cluster=CLUSTER)
        key = database.experiment_id
        spec = {} if key is None else experiments.spec(connection, key)
        experiment = None if key is None else experiments.find(connection, key)
    # A machine alone is compared with nothing, and never kept out.
    is_local = spec.get("executor") == "local"
    likely = {} if is_local else probabilities(endings, experiment_id=key)
    everything = [rows.host_row(row, likely.get(row.name)) for row in sorted(found, key=_rank)]
    listed = [row for row in everything if not states or row["state"] in states]
    listed = sort_rows(listed, given.sort, known=_SORTS, is_reversed=given.reverse)[: given.limit]

    def say() -> None:
        _print(listed, has_others=bool(everything), label=database.label)
        for line in (*_asked(spec), *_ended(experiment)):
            print(line)

    answer(given, listed, say=say, columns=list(HOSTS))
    return 0


def _print(listed: Sequence[Row], *, has_others: bool, label: str) -> None:
    if listed:
        shown = [_shown(row) for row in listed]
        more = (column for column in _OF_OUTS if any(row[column] is not None for row in shown))
        print_rows(shown, (*_COLUMNS, *more), stream=sys.stdout)
    elif has_others:
        print(f"No host of {label} is in such a state.")
    else:
        print(f"No trial of {label} has run on any host yet.")


def _ended(experiment: ExperimentRow | None) -> list[str]:
    """Say what too many failures were: a host may be to blame that could not be kept out."""
    if experiment is None or experiment.status != ExperimentStatus.FAILED:
        return []
    return [printable(f"This search has stopped: {experiment.stop_reason or 'nobody said why'}")]


def _asked(spec: dict[str, Any]) -> list[str]:
    """Say what an experiment was asked that the table does not show."""
    if spec.get("executor") == "local":
        return ["The trials of this search run on one machine, which is never kept out."]
    by_hand = spec.get("resources", {}).get("exclude", ())
    lines = [f"This search avoids {', '.join(by_hand)} by --exclude."] if by_hand else []
    if not spec.get("auto_exclude", True):
        lines.append("Headway itself keeps no host out of this search (--no-auto-exclude).")
    return lines


def probabilities(endings: Sequence[HostEnding], *, experiment_id: int | None) -> dict[str, float]:
    """Return how likely each host is defective, as a head that starts now would judge it.

    Args:
        endings: How attempts ended on the hosts, in their order.
        experiment_id: The experiment of that head; None: of no one, for which failures that
            another host may still explain say nothing.
    """
    verdicts = Verdicts()
    replay(verdicts, endings, experiment_id=experiment_id or 0)
    names = sorted({ending.host for ending in endings})
    return {name: round(verdicts.verdict(name).probability, 4) for name in names}


def _rank(row: HostRow) -> tuple[bool, int, str]:
    """What is out comes first, then where most failed."""
    return (row.standing == HostState.GOOD, -sum(row.failed.values()), row.name)


def _shown(row: Row) -> Row:
    """Return a row as people read it."""
    failed = ", ".join(f"{kind} {count}" for kind, count in row["failed"].items())
    likely = row["probability"]
    return {
        **row,
        "failed": failed or 0,
        "defective": None if likely is None else f"{100 * likely:.3g} %",
        "since_at": row["since_at"] and clock(row["since_at"]),
        "until_at": row["until_at"] and clock(row["until_at"]),
        "why": row["reason"],
    }
