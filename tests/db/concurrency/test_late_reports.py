"""A report is found whenever its transaction commits, whatever its key is."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db import direct
from db.connections import open_database
from db.light_json import dumps
from db.records import Assignment, ReportMessage
from db.sql.tables import Attempt, Report
from tests.crowd import together
from tests.db.concurrency.planned import Planned, end_of, plan

if TYPE_CHECKING:
    from db.connections import Execute

INSERT = f"INSERT {direct._REPORT} ON CONFLICT DO NOTHING"
WRITERS, REPORTS = 16, 25


def _assignments(planned: Planned) -> list[Assignment]:
    rows = planned.rows(Attempt)
    return [{"attempt_id": row["id"], "attempt_token": row["token"]} for row in rows]  # type: ignore[typeddict-item]


def _values(message: ReportMessage) -> dict[str, object]:
    return {**message, "payload": dumps(message["payload"])}


@pytest.mark.postgres
def test_a_report_that_commits_after_a_later_one_is_taken_in(
    postgres_url: str, tmp_path: Path
) -> None:
    planned = plan(tmp_path, database=postgres_url, count=2)
    first, second = _assignments(planned)
    taken = []

    def stay_open(execute: Execute) -> None:
        execute(INSERT, _values(end_of(first)))
        planned.worker().send(end_of(second))
        taken.append(planned.take_in())

    open_database(postgres_url).transact(stay_open)
    taken += [planned.take_in(), planned.take_in()]
    a, b = (
        next(row["id"] for row in planned.rows(Report) if row["attempt_id"] == key["attempt_id"])
        for key in (first, second)
    )
    assert a < b
    assert taken == [[b], [a], []]


def test_in_sqlite_no_report_gets_its_key_before_the_one_before_is_committed(
    tmp_path: Path,
) -> None:
    planned = plan(tmp_path, database=None, count=2)
    first, second = _assignments(planned)
    database = open_database(planned.run.db_url)
    path = planned.run.run_dir / "database.db"

    def stay_open(execute: Execute) -> None:
        execute(INSERT, _values(end_of(first)))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite3.connect(path, timeout=0.1).execute("BEGIN IMMEDIATE")

    database.transact(stay_open)
    planned.worker().send(end_of(second))
    keys = [row["id"] for row in planned.rows(Report)]
    assert planned.take_in() == keys == sorted(keys)
    assert len(keys) == 2


def test_a_head_takes_every_report_in_once_while_many_workers_write(
    database: str | None, tmp_path: Path
) -> None:
    planned = plan(tmp_path, database=database, count=WRITERS)
    assignments = _assignments(planned)

    def member(number: int, wait: Callable[[], object]) -> list[int]:
        if number == WRITERS:
            wait()
            return _take_in_all(planned)
        store = planned.worker(hold=True)
        wait()
        for sequence in range(REPORTS):
            store.send(end_of(assignments[number], sequence))
        return []

    *_, taken = together(WRITERS + 1, member)
    assert sorted(taken) == [row["id"] for row in planned.rows(Report)]
    assert len(taken) == WRITERS * REPORTS


def _take_in_all(planned: Planned) -> list[int]:
    """Take reports in until there are as many as there should be."""
    taken: list[int] = []
    deadline = time.monotonic() + 60
    while len(taken) < WRITERS * REPORTS and time.monotonic() < deadline:
        taken += planned.take_in()
    return taken
