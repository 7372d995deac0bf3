"""`headway why` without a trial: why the search stands as it does."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import head_lock, hosts, tables
from db.sql.head_lock import Held
from db.sql.hosts import CLUSTER
from db.sql.reading.reader import open_reader
from db.states import AttemptState, ExclusionSource, ExperimentStatus, TrialStatus
from orchestrator.cli import looking
from orchestrator.errors import HeadAliveError
from orchestrator.lease import this_process
from orchestrator.reports import live_file
from orchestrator.reports.snapshot import SnapshotReader
from orchestrator.reports.vitals import GeneratorVitals, Vitals, Waiting, as_json
from tests.reports.searches import Search

LONG = Waiting(
    reason="PartitionTimeLimit",
    count=1,
    job="12",
    says="it asks for more time than its partition ever gives",
    remedy="Ask for less time (--worker_timeout), or take another --partition.",
    fate="NEVER",
)
MANY = Waiting(
    reason="Priority", count=7, job="9_3", says="other jobs come before it", fate="WAITS"
)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert looking.run("why", list(words)) == 0
    return capsys.readouterr().out


def data(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(told(capsys, *words, "--json"))


def tell(search: Search, **vitals: Any) -> None:
    """Let the living head tell of itself."""
    lease = tables.table_of(tables.HeadLease)
    values = as_json(Vitals(told_at=datetime.now(UTC), **vitals))
    search.execute(sa.update(lease).values(vitals=values))


def test_a_search_without_trouble_says_so_and_what_failed(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys).splitlines() == [
        "demo/1: it goes on; 5 of 10 trials have ended, 2 run, 0 wait in the queue",
        "  failures  2 attempts failed with PROGRAM: exit code 1",
        "  failures  trial 4 is the one that failed last",
        "",
        "What you can do:",
        "  Look at the log; the command of the trial can be run by hand.",
        "  Look closer: headway why demo/1 4",
    ]
    search.execute(sa.delete(tables.table_of(tables.Outcome)))
    attempt = tables.table_of(tables.Attempt)
    search.execute(sa.update(attempt).values(failure_class=None))
    assert told(capsys, "demo").splitlines()[1:] == ["  Nothing keeps it from going on."]


def test_what_keeps_jobs_waiting_is_told_what_never_starts_first(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(search, waiting=(MANY, LONG))
    lines = told(capsys).splitlines()
    assert lines[1:3] == [
        (
            "  queue     1 job waits (PartitionTimeLimit, 12): it asks for more time than its partition "
            "ever gives"
        ),
        "  queue     7 jobs wait (Priority, such as 9_3): other jobs come before it",
    ]
    assert data(capsys)["advice"][0] == LONG.remedy


def test_a_head_that_cannot_do_what_it_wants_says_what_keeps_it(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(
        search,
        slots=2,
        stopping="no new trials: more than 3 failed",
        calls={"squeue": 100},
        calls_left=2.0,
        database_ms=800.0,
        refused="sbatch: error: QOSMaxSubmitJobPerUserLimit",
        refused_for_seconds=72.0,
        disk_full=True,
        generator=GeneratorVitals(name="TPE", stock=0, problem="it died"),
    )
    answer = data(capsys)
    assert answer["says"].startswith(
        "it comes to its end (no new trials: more than 3 failed); 5 of"
    )
    says = {each["about"]: each["says"] for each in answer["findings"]}
    assert list(says) == [
        *("disk", "submission", "generator", "failures", "slots", "calls", "database")
    ]
    assert says["submission"] == (
        "Slurm has taken no jobs for 0:01:12 (sbatch: error: QOSMaxSubmitJobPerUserLimit): as many "
        "jobs are queued as may be"
    )
    assert says["generator"] == "TPE gives no points: it died"
    assert says["slots"] == "all 2 slots are taken; 3 trials come after them"
    assert says["database"].startswith("a write takes 0.80 s")


def test_hosts_that_are_out_are_named_and_many_are_counted(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    with search.engine.begin() as connection:
        for number in range(10, 20):
            by_us = ExclusionSource.HEADWAY
            name = f"node{number}"
            hosts.exclude(connection, CLUSTER, name, source=by_us, reason="it loses trials")
    lines = [line for line in told(capsys).splitlines() if line.startswith("  hosts")]
    assert lines[0].startswith(
        "  hosts     node10 is kept out until somebody includes it: it loses"
    )
    assert lines[-1] == "  hosts     5 more are out: `headway hosts`"
    assert len(data(capsys)["hosts"]) == 10


def test_a_dead_head_comes_first_with_the_command_to_resume(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    search.lease(-60)
    tell(search, waiting=(LONG,))
    answer = data(capsys)
    assert answer["says"].startswith("its head is gone, so that nothing new begins; 5 of 10")
    assert answer["findings"][0]["says"].startswith(
        "it was on login1; its last sign of life came 0:"
    )
    assert answer["advice"][0] == "Go on with: headway resume demo/1"
    assert answer["waiting"] == [], "what a dead head said of the queue is old"


def test_a_search_that_has_ended_says_why_and_what_is_left(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    search.end(ExperimentStatus.FAILED, "no trial can start: it asks for more time")
    answer = data(capsys)
    assert answer["says"] == (
        "it is FAILED: no trial can start: it asks for more time; 5 of 10 trials have ended"
    )
    assert answer["findings"][0]["says"] == "5 trials are left for a resume"
    search.end(ExperimentStatus.FINISHED)
    assert data(capsys)["says"] == "it has finished: 5 of 10 trials have ended"


def test_where_no_head_lives_slurm_is_asked_once_for_all_jobs(
    search: Search,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search.lease(-60)
    for index in (8, 9):
        key = search.trial(index, TrialStatus.CANDIDATE)
        columns = {"host": None, "slurm_job_id": f"77_{index}", "started_at": None}
        search.attempt(key, 1, AttemptState.SUBMITTED, **columns)  # type: ignore[arg-type]
    lines = "".join(
        f"77_{index}|PENDING||Resources|1772366400|me|normal|alpha|hw-demo-abc\\n"
        for index in (8, 9)
    )
    for name, text in {"sbatch": "", "squeue": f"echo >> {here}/asked; printf '{lines}'"}.items():
        (here / name).write_text(f"#!/bin/sh\n{text}\n")
        (here / name).chmod(0o755)
    (here / "slurm.conf").touch()
    with monkeypatch.context() as without_slurm:
        without_slurm.setenv("PATH", "/nonexistent")
        assert data(capsys)["waiting"] is None
        assert "nobody can be asked here why jobs wait" in told(capsys)
    monkeypatch.setenv("PATH", str(here), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_CONF", str(here / "slurm.conf"))
    (waiting,) = data(capsys)["waiting"]
    assert (waiting["reason"], waiting["count"], waiting["fate"]) == ("Resources", 2, "WAITS")
    assert len((here / "asked").read_text().splitlines()) == 1


def test_where_another_host_has_the_database_its_head_s_file_is_read(
    search: Search, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(search, waiting=(LONG,))
    with open_reader(search.url) as reader:
        live_file.write(search.run_dir, SnapshotReader(reader, search.id).read())
    holder = replace(this_process(), host="login2")
    lock = Held(holder=holder, epoch=1, since="", expire_seconds=30, nonce="n")
    assert head_lock.create(search.run_dir, lock)
    monkeypatch.setattr(head_lock, "is_network", lambda path: True)
    answer = data(capsys)
    assert answer["waiting"][0]["reason"] == "PartitionTimeLimit"
    assert (answer["failures"], answer["head"]) == (None, "ALIVE")
    assert "about       demo/1" in told(capsys, "--ticket")
    with pytest.raises(HeadAliveError, match="login2"):
        told(capsys, "4")
