"""What is asked all the time is found by an index, however many trials there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.load import load, set_up_search
from db import direct
from db.connections import open_database
from db.sql import attempts, events, hosts, incoming, leases, trials
from db.sql.attempts import NewAttempt
from db.sql.leases import Holder
from db.sql.reading import activity, detail, experiments, outcomes
from db.sql.reading import trials as rows
from db.states import CLAIMABLE_ATTEMPTS, OPEN_ATTEMPTS, AttemptState, EventKind, TrialStatus
from orchestrator.app.runs import Run

COUNT, OPEN = 20_000, 20
# Partial indexes: they hold only what is open, or what failed.
SMALL = "ix_(report_unconsumed|attempt_open|attempt_failed|attempt_ended_at)"
# Of these each trial has at least one row.
TABLES = "(trial|attempt|report|outcome|event)"
WHOLE_TABLE = {
    "sqlite": re.compile(rf"SCAN {TABLES}(_\d+)?\b(?! USING (COVERING )?INDEX {SMALL})"),
    "postgresql": re.compile(rf"Seq Scan on {TABLES}\b"),
}
CLAIM = {"claim": "n", "host": "h", "slurm_job_id": None, "token": "open", "array_index": 1}
KEY = {"attempt_id": 1, "attempt_token": "a1"}
END = {"kind": "END", "sequence": 0, "payload": "{}"}

Query = Callable[[sa.Connection, int], object]
OBJECTIVES = [
    experiments.ObjectiveRow(id=key, name=name, minimize=True)
    for key, name in ((1, "LOSS"), (2, "COST"))
]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOLDER = Holder(host="here", boot_id="b", pid=1, process_started=2)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    """Many finished trials, and a few that wait for a worker."""
    server = None if request.param == "sqlite" else request.getfixturevalue("postgres_server")
    database = None if server is None else server.clone()
    run = set_up_search(tmp_path_factory.mktemp("large"), database=database, objectives=2)
    load(run, COUNT)
    with run.engine.begin() as connection:
        leases.take(connection, run.stored.id, holder=HOLDER, old=None, seconds=1000)
        _plan(connection, run.stored.id)
    yield run
    run.engine.dispose()
    if server is not None:
        server.drop(database)


def _plan(connection: sa.Connection, experiment: int) -> None:
    points = [{"x": 0.5}] * OPEN
    keys = trials.insert(connection, experiment, first_index=COUNT, points=points, generation_id=1)
    new = [
        NewAttempt(trial_id=key, array_index=place, number=1, token=f"open{place}", log_path="log")
        for place, key in enumerate(keys)
    ]
    attempts.plan(connection, experiment, token="open", resources={}, attempts=new)


QUERIES: dict[str, Query] = {
    "unconsumed reports": incoming.waiting,
    "open attempts": attempts.open_attempts,
    "open trials": trials.open_trials,
    "next index": trials.next_index,
    "lease": lambda connection, key: leases.check(connection, key, 1),
    "outcome of a trial": lambda connection, _: trials.has_outcome(connection, 7),
    "end of an attempt": lambda connection, _: attempts.end(
        connection, 7, attempts.End(state=AttemptState.LOST), expected=OPEN_ATTEMPTS
    ),
    "end of a trial": lambda connection, _: trials.move(
        connection, [7], TrialStatus.FAILED, expected=[TrialStatus.RUNNING], at=NOW
    ),
    "consumed reports": lambda connection, _: incoming.consume(connection, [7, 8]),
    "tokens of the spool": lambda connection, key: incoming.find_tokens(
        connection, key, {"open0", "open1"}
    ),
    "logs of attempts without a report": lambda connection, _: incoming.logs_of_unreported(
        connection, [7, 8]
    ),
    "heartbeats of the spool": lambda connection, _: attempts.beat(connection, [7]),
    "attempts without a heartbeat": lambda connection, key: attempts.quiet(
        connection, key, seconds=60
    ),
    "other attempts of a trial": lambda connection, _: attempts.others(connection, 7, but=7),
    "newest event about an attempt": lambda connection, _: events.find_payload(
        connection, EventKind.SILENT, trial_id=7, attempt_id=7
    ),
    "tries of trials": lambda connection, _: attempts.last_numbers(connection, [7, 8]),
    "failures of trials": lambda connection, _: attempts.failures(connection, [7, 8]),
    "hosts that are out": lambda connection, _: hosts.current(connection, ""),
    "endings of the last hours": lambda connection, _: hosts.endings(
        connection, seconds=6 * 3600, cluster=""
    ),
    "newest of very many endings": lambda connection, _: hosts.endings(
        connection, seconds=1e9, cluster="", most=100
    ),
    "live attempts": activity.live_attempts,
    "running attempts": lambda connection, key: activity.running(connection, key, limit=50),
    "trials that ended last": lambda connection, key: activity.endings(connection, key, limit=50),
    "keys of open trials": activity.open_trials,
    "calls of generators": lambda connection, key: activity.generations(connection, key, limit=5),
    "events": lambda connection, key: activity.events(connection, key, limit=20),
    "best trial": lambda connection, _: outcomes.best(connection, OBJECTIVES[:1]),
    "best trial of two objectives": lambda connection, _: outcomes.best(connection, OBJECTIVES),
    "newest outcomes": lambda connection, _: outcomes.since(
        connection, OBJECTIVES, 2 * COUNT - 1000
    ),
    "first page of trials": lambda connection, key: rows.keys(connection, key, limit=200),
    "rows of trials": lambda connection, _: rows.rows(connection, [7, 8]),
    "one trial": lambda connection, key: detail.find(connection, key, 7),
}
WORKER: dict[str, tuple[str, dict[str, Any]]] = {
    "claim": (direct._CLAIM, CLAIM),
    "assignment": (direct._ASSIGNMENT, CLAIM),
    "heartbeat": (direct._HEARTBEAT, KEY),
    "report": (f"INSERT {direct._REPORT} ON CONFLICT DO NOTHING", KEY | END),
    "is it reported": (direct._IS_REPORTED, KEY | END),
}


@pytest.mark.parametrize("name", QUERIES)
def test_what_the_head_and_viewers_ask_reads_no_whole_table(large: Run, name: str) -> None:
    lines = list(plan_of(large, QUERIES[name]))
    assert lines
    assert [line for line in lines if WHOLE_TABLE[large.engine.dialect.name].search(line)] == []


@pytest.mark.parametrize("name", WORKER)
def test_what_a_worker_asks_reads_no_whole_table(large: Run, name: str) -> None:
    database = open_database(large.db_url)
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    sql, values = WORKER[name]
    _, lines = database.transact(lambda execute: execute(f"{explain} {sql}", values))
    assert lines
    pattern = WHOLE_TABLE[large.engine.dialect.name]
    assert [line for line in lines if pattern.search(str(line[-1]))] == []


@pytest.mark.parametrize("large", ["sqlite"], indirect=True, scope="module")
@pytest.mark.parametrize("name", sorted(set(QUERIES) - {"newest outcomes"}))
def test_sqlite_takes_few_steps_for_what_is_asked_all_the_time(large: Run, name: str) -> None:
    # An index may be used and still lead to every trial of the experiment.
    assert steps_of(large, QUERIES[name]) < COUNT / 2


def test_counting_trials_reads_the_index_alone(large: Run) -> None:
    lines = list(plan_of(large, trials.counts))
    assert any(re.search("COVERING INDEX|Index Only Scan", line) for line in lines)


def test_failures_are_counted_without_a_look_at_what_succeeded(large: Run) -> None:
    assert any("ix_attempt_failed" in line for line in plan_of(large, activity.failures))


def test_the_index_of_open_attempts_holds_those_that_are_open(large: Run) -> None:
    with large.engine.connect() as connection:
        found = attempts.open_attempts(connection, large.stored.id)
    assert [row.array_index for row in found] == list(range(OPEN))
    assert {row.state for row in found} <= CLAIMABLE_ATTEMPTS < OPEN_ATTEMPTS
    index = next(i for i in attempts._attempt.indexes if i.name == "ix_attempt_open")
    words = re.findall("[A-Z]{3,}", str(index.dialect_options["sqlite"]["where"]))
    assert sorted(words) == sorted(OPEN_ATTEMPTS)
    assert set(attempts._OPEN.value or ()) == OPEN_ATTEMPTS


def plan_of(run: Run, query: Query) -> Iterator[str]:
    """Ask, undo it, and yield the lines of the plans of all statements."""
    with run.engine.connect() as connection:
        asked = _asked(connection, run.stored.id, query)
        explain = "EXPLAIN QUERY PLAN" if run.engine.dialect.name == "sqlite" else "EXPLAIN"
        for sql, values in asked:
            for row in connection.exec_driver_sql(f"{explain} {sql}", values):
                yield str(row[-1])


def _asked(connection: sa.Connection, key: int, query: Query) -> list[tuple[str, Any]]:
    asked: list[tuple[str, Any]] = []

    def note(*given: Any) -> None:
        _, _, sql, values, _, is_many = given
        asked.append((sql, values[0] if is_many else values))

    sa.event.listen(connection, "before_cursor_execute", note)
    query(connection, key)
    sa.event.remove(connection, "before_cursor_execute", note)
    connection.rollback()
    return asked


def steps_of(run: Run, query: Query) -> int:
    """Return how many hundred steps SQLite's machine took, times a hundred."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 100
        return 0

    with run.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(step, 100)
        query(connection, run.stored.id)
        driver.set_progress_handler(None, 0)
        connection.rollback()
    return count
