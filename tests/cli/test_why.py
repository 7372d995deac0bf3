"""`headway why`: why a trial waits, failed or was tried again, and what one can do."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import hosts, tables
from db.sql.hosts import CLUSTER
from db.states import (
    AttemptState,
    ExclusionSource,
    ExperimentStatus,
    FailureClass,
    HostState,
    TrialStatus,
)
from orchestrator.cli import looking
from orchestrator.cluster.parsing import SQUEUE_FORMAT
from tests.main_job.runs import ROOT
from tests.reports.searches import BEGIN, Search

FULL = "OSError: [Errno 28] No space left on device"
# What squeue prints of a job that waits, by the codes of its format.
WAITS = {
    "%i": "77",
    "%T": "PENDING",
    "%N": "",
    "%r": "PartitionTimeLimit",
    "%V": "2026-03-01T12:00:00",
    "%a": "me",
    "%q": "normal",
    "%P": "alpha",
    "%j": "hw-demo-abc",
}


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert looking.run("why", list(words)) == 0
    return capsys.readouterr().out


def data(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(told(capsys, *words, "--json"))


def fail(search: Search, trial: int, number: int, host: str, **columns: Any) -> int:
    """Let an attempt fail as the disk of its host was full."""
    usual = {
        "host": host,
        "failure_class": FailureClass.PROGRAM,
        "failure_name": "disk-full",
        "failure_action": "tried again on another host for the last time",
        "failure_evidence": {
            "blame": "PAIRED",
            "exit_code": 1,
            "line": FULL,
            "patterns": 1,
            "peak_memory_bytes": 3 * 2**29,
            "memory_asked_mb": 2048,
            "checks": {"tmp_free_bytes": 2**30},
        },
        "reason": "a file system was full, or a quota used up",
    }
    return search.attempt(trial, number, AttemptState.FAILED, **usual | columns)


@pytest.fixture
def failed(search: Search) -> int:
    """Trial 8 failed on two hosts, and its log is there."""
    key = search.trial(8, TrialStatus.CANDIDATE)
    fail(search, key, 1, "node3")
    again = fail(search, key, 2, "node5", failure_action="given up: the 1 tries are used up")
    path = search.run_dir / "logs" / f"{key}-2.log"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(f"line {number}" for number in range(5000)) + f"\n{FULL}\n")
    trial = tables.table_of(tables.Trial)
    over = {"status": TrialStatus.FAILED, "status_reason": "a file system was full"}
    search.execute(sa.update(trial).where(trial.c.id == key).values(over))
    return again


def test_a_failed_trial_is_explained_attempt_by_attempt(
    search: Search, failed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, "8").splitlines()
    assert lines[0] == "demo/1, trial 8: failed after 2 attempts: a file system was full"
    assert [line for line in lines if line.startswith("attempt")] == [
        "attempt 1 on node3, job 9_0: FAILED",
        "attempt 2 on node5, job 9_0: FAILED",
    ]
    whole = "\n".join(lines)
    assert "PROGRAM (disk-full): a file system was full, or a quota used up" in whole
    sizes = "peak memory 1.5 GiB; memory asked 2 GiB; tmp free 1 GiB"
    assert f"evidence  exit code 1; line {FULL}; {sizes}\n" in whole
    assert "done      tried again on another host for the last time" in whole
    assert "`df -h`" in whole
    assert lines[-1] == f"  {FULL}"
    assert lines[-2] == "  line 4999"
    assert whole.count("line ") < 30


def test_programs_get_the_same_as_json(
    search: Search, failed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with search.engine.begin() as connection:
        by_us = {"source": ExclusionSource.HEADWAY, "reason": "it loses trials"}
        hosts.exclude(connection, CLUSTER, "node3", **by_us)  # type: ignore[arg-type]
        hosts.exclude(connection, CLUSTER, "node9", **by_us)  # type: ignore[arg-type]
    answer = data(capsys, "demo", "8")
    assert (answer["trial"], answer["status"]) == (8, "FAILED")
    assert answer["attempts"][0]["failure_name"] == "disk-full"
    assert answer["attempts"][0]["blame"] == "PAIRED"
    assert [(out["host"], out["state"]) for out in answer["hosts"]] == [("node3", "EXCLUDED")]
    assert len(answer["advice"]) == 1
    assert answer["log_tail"][-1] == FULL
    page = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
    assert [key for key in answer if f"`{key}`" not in page] == []


@pytest.mark.parametrize(
    ("trial", "part"),
    [
        (3, "it has its result: LOSS=1.5 SPEED=1"),
        (5, "its program has run on node6, job 6_0 for"),
        (6, "; its last sign of life came"),
        (7, "it has not been submitted yet: 2 of 4 slots are taken"),
    ],
)
def test_a_trial_that_did_not_fail_is_explained_too(
    search: Search, capsys: pytest.CaptureFixture[str], trial: int, part: str
) -> None:
    attempt = tables.table_of(tables.Attempt)
    search.execute(sa.update(attempt).where(attempt.c.trial_id == 7).values(heartbeat_at=BEGIN))
    assert part in told(capsys, str(trial))


def test_a_trial_between_two_attempts_says_what_it_waits_for(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(search, search.trial(8, TrialStatus.CANDIDATE), 1, "node3")
    text = told(capsys, "8")
    assert "its last attempt gave no result, and it waits for its next one" in text
    assert "resume" not in text
    search.lease(-60)
    assert "Go on with: headway resume demo/1" in told(capsys, "8")
    search.end(ExperimentStatus.INTERRUPTED)
    assert "the search is INTERRUPTED, and this trial waits for its resume" in told(capsys, "8")


def test_what_stopped_the_search_comes_before_the_advice_to_go_on(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(search, search.trial(8, TrialStatus.CANDIDATE), 1, "node3")
    search.end(ExperimentStatus.FAILED)
    experiment = tables.table_of(tables.Experiment)
    search.execute(sa.update(experiment).values(stop_reason="too much failed"))
    assert "the search is FAILED (too much failed), and this trial" in told(capsys, "8")
    first, last = data(capsys, "8")["advice"]
    assert "`df -h`" in first
    assert last == "Go on with: headway resume demo/1"


def test_a_log_that_is_empty_is_told_from_one_that_is_not_here(
    search: Search, failed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(data(capsys, "8")["log"])
    path.write_text("")
    assert told(capsys, "8").endswith(f"\nNothing is in {path}.\n")
    path.unlink()
    assert told(capsys, "8").endswith(f"\nIts log cannot be read: {path}\n")
    os.mkfifo(path)  # nobody writes to it, and whoever opened it would wait for ever
    assert data(capsys, "8")["log_tail"] is None


def test_what_slurm_says_of_a_job_that_waits_is_explained(
    search: Search,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = search.trial(8, TrialStatus.CANDIDATE)
    search.attempt(key, 1, AttemptState.SUBMITTED, host=None, slurm_job_id="77", started_at=None)
    with monkeypatch.context() as without_slurm:
        without_slurm.setenv("PATH", "/nonexistent")
        assert data(capsys, "8")["slurm"]["state"] == "UNKNOWN"
    line = re.sub("%[A-Za-z]", lambda code: WAITS[code.group()], SQUEUE_FORMAT)
    for name, text in {"sbatch": "", "squeue": line}.items():
        (here / name).write_text(f"#!/bin/sh\necho '{text}'\n")
        (here / name).chmod(0o755)
    (here / "slurm.conf").touch()
    monkeypatch.setenv("PATH", str(here), prepend=os.pathsep)
    monkeypatch.setenv("SLURM_CONF", str(here / "slurm.conf"))
    text = told(capsys, "8")
    assert "Slurm says: PENDING (PartitionTimeLimit): it asks for more time than" in text
    assert "Ask for less time (--worker_timeout)" in text
    assert data(capsys, "8")["slurm"]["reason"] == "PartitionTimeLimit"


def test_show_and_status_tell_what_was_done_and_which_hosts_are_out(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(search, search.trial(8, TrialStatus.CANDIDATE), 1, "node3")
    with search.engine.begin() as connection:
        hosts.note_state(connection, CLUSTER, "node9", HostState.SUSPECT, reason="it failed")
    looking.run("show", ["8"])
    line = "PROGRAM (disk-full)  a file system was full, or a quota used up  tried again on another"
    assert line in capsys.readouterr().out
    looking.run("show", ["8", "--json"])
    (attempt,) = json.loads(capsys.readouterr().out)["all_attempts"]
    assert (attempt["failure_name"], attempt["failure_evidence"]["exit_code"]) == ("disk-full", 1)
    looking.run("status", [])
    assert re.search(r"hosts out +node9 \(suspect\)\n", capsys.readouterr().out)
    looking.run("status", ["--json"])
    (out,) = json.loads(capsys.readouterr().out)["hosts_out"]
    assert (out["host"], out["state"], out["reason"]) == ("node9", "SUSPECT", "it failed")


def test_of_many_hosts_status_names_a_few(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    with search.engine.begin() as connection:
        for number in range(9, 30):
            hosts.note_state(connection, CLUSTER, f"node{number:02}", HostState.SUSPECT)
    looking.run("status", [])
    assert "node18 (suspect), and 11 more\n" in capsys.readouterr().out


def test_text_of_a_program_cannot_move_the_cursor(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    key = search.trial(8, TrialStatus.FAILED, reason="\x1b[2Jgone")
    path = search.run_dir / "logs" / f"{key}-1.log"
    path.parent.mkdir()
    path.write_bytes(b"\x1b[2J\xff\n")
    assert "\x1b" not in told(capsys, "8")
