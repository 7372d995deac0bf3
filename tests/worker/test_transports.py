"""Workers that talk to a database themselves, and what they do when it is gone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from db.states import AttemptState, ReportKind
from tests.db.attempts import TOKEN, Store
from tests.worker.runs import ENTRY, Run, wait_until

GONE = "postgresql://me:s3cret@127.0.0.1:1/db"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "postgres":
        store = Store(request.getfixturevalue("postgres_url"))
    else:
        store = Store(f"sqlite:///{tmp_path}/database.db")
    store.fill()
    return store


@pytest.fixture
def direct(run: Run, store: Store) -> Run:
    run.change(transport="direct", db_url=store.url, program="echo RESULT: %(x)")
    return run


def payloads(store: Store, kind: ReportKind) -> list[dict[str, Any]]:
    return [report.payload for report in store.reports() if report.kind is kind]


def test_a_worker_reports_to_the_database(direct: Run, store: Store) -> None:
    assert direct.work() == 0, direct.log()
    (end,) = payloads(store, ReportKind.END)
    assert (end["results"], end["exit_code"]) == ({"RESULT": 0.1}, 0)
    assert store.attempt().state is AttemptState.STARTED  # the head decides what became of it
    assert direct.messages("END") == []
    assert direct.log() == b"RESULT: 0.1\n"


def test_of_many_direct_workers_exactly_one_runs_the_program(direct: Run, store: Store) -> None:
    direct.change(program="echo ran >> ran")
    workers = [direct.start() for _ in range(16)]
    assert [worker.wait(60) for worker in workers] == [0] * 16
    assert (direct.folder / "ran").read_text() == "ran\n"
    assert direct.log().count(b"nothing to do") == 15
    assert len(payloads(store, ReportKind.END)) == 1


def test_metrics_and_heartbeats_reach_the_database(direct: Run, store: Store) -> None:
    direct.change(heartbeat_seconds=0.1)
    direct.change(program="for i in 1 2 3; do echo METRIC: a=$i step=$i; sleep 0.3; done")
    assert direct.work() == 0
    batches = payloads(store, ReportKind.METRIC)
    assert [metric["value"] for batch in batches for metric in batch["metrics"]] == [1, 2, 3]
    attempt = store.attempt()
    assert attempt.heartbeat_at is not None
    assert attempt.started_at is not None
    assert attempt.heartbeat_at > attempt.started_at


def test_a_worker_told_to_stop_leaves_its_report_in_both_places(direct: Run, store: Store) -> None:
    direct.change(program="trap 'echo RESULT: 5; exit 0' TERM; echo ready; sleep 60 & wait")
    worker = direct.start()
    wait_until(lambda: b"ready" in direct.log())
    worker.terminate()
    assert worker.wait(30) == 0
    (end,) = payloads(store, ReportKind.END)
    assert end["results"] == direct.ending()["results"] == {"RESULT": 5.0}


def test_a_superseded_attempt_says_so_and_still_reports(direct: Run, store: Store) -> None:
    direct.change(heartbeat_seconds=0.1, program="echo ready; sleep 1; echo RESULT: 4")
    worker = direct.start()
    wait_until(lambda: b"ready" in direct.log())
    store.change(state=AttemptState.SUPERSEDED)
    assert worker.wait(30) == 0
    assert direct.log().count(b"superseded") == 1
    assert payloads(store, ReportKind.END)[0]["results"] == {"RESULT": 4.0}


def test_without_a_database_the_spool_hears_of_it(run: Run) -> None:
    run.change(transport="direct", db_url=GONE, program="touch ran")
    assert run.work() == 0
    (message,) = run.messages("END")
    assert message["attempt_id"] == 0
    assert message["payload"]["submission_token"] == TOKEN
    assert message["payload"]["array_index"] == 0
    assert message["payload"]["cause"] == "NOT_STARTED"
    assert not (run.folder / "ran").exists()
    assert b"s3cret" not in run.log()
    assert "s3cret" not in str(message)


@pytest.mark.parametrize("url", ["nonsense://me:s3cret@h/d", "sqlite:////nowhere/at/all.db"])
def test_a_database_that_cannot_be_opened_is_reported(run: Run, url: str) -> None:
    run.change(transport="direct", db_url=url)
    assert run.work() == 0
    assert run.ending()["cause"] == "NOT_STARTED"
    assert b"s3cret" not in run.log()


def test_a_database_that_is_gone_at_the_end_leaves_the_report_to_the_spool(
    run: Run, tmp_path: Path
) -> None:
    store = Store(f"sqlite:///{tmp_path}/database.db")
    store.fill()
    run.change(transport="direct", db_url=store.url)
    run.change(program="mv database.db away; echo RESULT: 1; echo METRIC: a=1")
    assert run.work() == 0
    assert run.ending()["results"] == {"RESULT": 1.0}
    assert [r["payload"]["metrics"][0]["name"] for r in run.lines()] == ["a"]


def test_a_database_that_comes_back_gets_the_report(run: Run, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/database.db")
    store.fill()
    run.change(transport="direct", db_url=store.url, report_patience_seconds=60)
    run.change(program="mv database.db away; echo RESULT: 1")
    worker = run.start()
    wait_until(lambda: b"trying again" in run.log())
    (tmp_path / "away").rename(tmp_path / "database.db")
    assert worker.wait(60) == 0
    assert payloads(store, ReportKind.END)[0]["results"] == {"RESULT": 1.0}
    assert run.messages("END") == []


def test_a_locked_database_is_waited_for(run: Run, tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/database.db")
    store.fill()
    run.change(transport="direct", db_url=store.url)
    other = sqlite3.connect(tmp_path / "database.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        worker = run.start()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(1)
        other.execute("COMMIT")
        assert worker.wait(30) == 0
    finally:
        other.close()
    assert len(payloads(store, ReportKind.END)) == 1


HEAVY = {"re", "enum", "json", "typing", "dataclasses", "subprocess", "threading", "logging"}
HEAVY |= {"argparse", "pathlib", "datetime", "sqlite3", "tenacity", "sqlalchemy", "psycopg2"}


def imported_by_a_worker(run: Run) -> set[str]:
    arguments = ["-X", "importtime", "-I", "-S", str(ENTRY), str(run.folder), TOKEN, "0"]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, env={**os.environ})
    assert done.returncode == 0
    rows = [line for line in done.stderr.decode().splitlines() if line.startswith("import time:")]
    return {row.rpartition("|")[2].strip() for row in rows}


def test_a_spool_worker_imports_nothing_heavy(run: Run) -> None:
    run.change(program="echo RESULT: 1")
    run.assign()
    assert imported_by_a_worker(run) & HEAVY == set()


def test_a_direct_worker_never_needs_sqlalchemy(direct: Run) -> None:
    assert imported_by_a_worker(direct) & {"sqlalchemy", "tenacity", "pydantic"} == set()
