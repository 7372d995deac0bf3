"""A database that does not answer must hold up neither a program nor its end."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.db.attempts import Store
from tests.worker.runs import ROOT, TOKEN, Run, wait_until
from tests.worker.test_stopping import is_ready

# SQLite waits for so long for a lock, as a connection to a frozen server does.
HANGS_SECONDS = 30
IN_GRACE_SECONDS = 20


@pytest.fixture
def direct(run: Run, tmp_path: Path) -> Run:
    store = Store(f"sqlite:///{tmp_path}/database.db")
    store.fill()
    run.change(transport="direct", db_url=store.url, report_patience_seconds=600)
    return run


@contextmanager
def silence(run: Run) -> Iterator[None]:
    """A database that answers nobody."""
    holder = sqlite3.connect(run.folder / "database.db", isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
    finally:
        holder.close()


def test_a_worker_told_to_stop_leaves_its_report_in_the_spool(direct: Run) -> None:
    direct.change(
        program="trap 'echo METRIC: a=1; echo RESULT: 3; exit 0' TERM; echo ready; sleep 60 & wait"
    )
    worker = direct.start()
    wait_until(lambda: is_ready(direct))
    with silence(direct):
        started = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        assert time.monotonic() - started < IN_GRACE_SECONDS
    assert direct.ending()["results"] == {"RESULT": 3.0}
    (metrics,) = [line for line in direct.lines() if line["kind"] == "METRIC"]
    assert metrics["payload"]["metrics"][0]["name"] == "a"


def test_a_worker_told_to_stop_while_it_reports_does_not_wait_for_the_database(
    direct: Run,
) -> None:
    direct.change(program="echo ready; while [ ! -e go ]; do sleep 0.05; done; echo RESULT: 4")
    worker = direct.start()
    wait_until(lambda: is_ready(direct))
    with silence(direct):
        (direct.folder / "go").touch()
        wait_until(lambda: b"RESULT: 4" in direct.log())
        time.sleep(2)  # it has begun to report by now
        started = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        assert time.monotonic() - started < IN_GRACE_SECONDS
    ending = direct.ending()
    assert (ending["cause"], ending["results"]) == ("EXIT", {"RESULT": 4.0})


HANGING_FILES = """
import os, sys, time
sys.path.append(sys.argv.pop(1))
from worker import attempt, entry
attempt.find_artifacts = lambda lines: time.sleep(600)
os._exit(entry.main(sys.argv))
"""


def test_a_file_server_that_is_gone_costs_the_artifacts_and_not_the_result(run: Run) -> None:
    # A `stat` that hangs cannot be made to order.
    run.change(program="echo ARTIFACT: /gone/a; echo RESULT: 1")
    run.assign()
    command = [sys.executable, "-I", "-c", HANGING_FILES, str(ROOT), str(run.folder), TOKEN, "0"]
    with (run.folder / "0.log").open("wb") as log:
        worker = subprocess.Popen(command, stdout=log, stderr=log)
    wait_until(lambda: b"RESULT: 1" in run.log())
    time.sleep(2)  # the program has ended by now
    worker.send_signal(signal.SIGTERM)
    try:
        assert worker.wait(IN_GRACE_SECONDS) == 0
    finally:
        worker.kill()
    ending = run.ending()
    assert (ending["cause"], ending["results"]) == ("EXIT", {"RESULT": 1.0})
    assert ending["artifacts"] == []
    assert ending["problems"][0].startswith("ARTIFACT: ")


def test_a_program_does_not_feel_that_its_heartbeats_hang(direct: Run) -> None:
    program = (
        "trap 'echo told; exit 0' TERM; echo ready; while :; do echo METRIC: a=1; sleep 0.1; done"
    )
    direct.change(program=program, heartbeat_seconds=0.2)
    worker = direct.start()
    wait_until(lambda: is_ready(direct))
    with silence(direct):
        time.sleep(1)  # a heartbeat hangs by now
        before = len(direct.log())
        wait_until(lambda: len(direct.log()) > before + 100, seconds=IN_GRACE_SECONDS)
        worker.send_signal(signal.SIGTERM)
        wait_until(lambda: b"told" in direct.log(), seconds=IN_GRACE_SECONDS)
        assert worker.wait(60) == 0
    assert direct.ending()["cause"] == "TERMINATED"


def test_a_worker_without_its_database_gives_signs_of_life_in_the_spool(direct: Run) -> None:
    direct.change(heartbeat_seconds=0.2, program="mv database.db away; echo ready; sleep 60")
    worker = direct.start()
    wait_until(lambda: is_ready(direct))
    metrics = Path(direct.spool) / "metrics" / "a0.jsonl"
    wait_until(metrics.exists)
    assert {line["kind"] for line in direct.lines()} == {"HEARTBEAT"}
    assert {line["attempt_token"] for line in direct.lines()} == {"a0"}
    (direct.folder / "away").rename(direct.folder / "database.db")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
