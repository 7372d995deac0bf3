"""Workers of jobs that Slurm has requeued and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from db.spool import assignments, layout
from tests.worker.runs import ENTRY, TOKEN, Run, wait_until

# Keeps its state from attempt to attempt, and would never end before the third.
PROGRAM = (
    'echo "$HEADWAY_ATTEMPT" >> "$HEADWAY_CHECKPOINT_DIR/seen"; '
    'if [ $(wc -l < "$HEADWAY_CHECKPOINT_DIR/seen") -ge 3 ]; then echo "RESULT: 1"; exit; fi; '
    "exec sleep 100"
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run folder with one attempt of that program."""
    run = Run(tmp_path, program=PROGRAM)
    run.assign()
    return run


def start(run: Run, restart: int) -> subprocess.Popen[bytes]:
    """Start the worker of a Slurm job, for the first time (0) or again."""
    job = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": f"node{restart}"}
    if restart:
        job["SLURM_RESTART_COUNT"] = str(restart)
    with (run.folder / "0.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", ENTRY, str(run.folder), TOKEN],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **job},
            start_new_session=True,
        )


def seen(run: Run) -> list[str]:
    path = run.folder / "checkpoints" / "0" / "seen"
    return path.read_text().split() if path.exists() else []


def kill(worker: subprocess.Popen[bytes]) -> None:
    """Let its node die: nobody hears of it again."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    for pid in (worker.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)
    worker.wait(timeout=30)


def test_each_run_of_a_requeued_job_is_an_attempt_with_the_same_checkpoint(run: Run) -> None:
    killed = start(run, 0)
    wait_until(lambda: len(seen(run)) == 1)
    kill(killed)
    told = start(run, 1)
    wait_until(lambda: len(seen(run)) == 2)
    told.send_signal(signal.SIGTERM)
    assert told.wait(timeout=30) == 0
    assert start(run, 2).wait(timeout=30) == 0
    assert seen(run) == ["1", "2", "3"]
    tokens = {m["attempt_token"]: m["payload"].get("restart") for m in run.messages("START")}
    assert tokens == {"a0": None, "a0.1": 1, "a0.2": 2}
    ends = {m["attempt_token"]: m["payload"]["cause"] for m in run.messages("END")}
    assert ends == {"a0.1": "TERMINATED", "a0.2": "EXIT"}
    (left,) = (run.folder / "checkpoints" / "0").iterdir()
    assert left.name == "seen", "no file of parameters"
    assert b"restart 2" in run.log()


def test_a_run_finds_nothing_to_do_when_the_one_before_it_had_ended(run: Run) -> None:
    run.change(program="echo RESULT: 1; echo ran >> ran")
    assert start(run, 0).wait(timeout=30) == 0
    assert start(run, 1).wait(timeout=30) == 0
    assert (run.folder / "ran").read_text() == "ran\n"
    assert len(run.messages("END")) == 1
    assert b"nothing to do" in run.log()


def test_a_run_finds_nothing_to_do_when_the_head_gave_its_attempt_up(run: Run) -> None:
    killed = start(run, 0)
    wait_until(lambda: len(seen(run)) == 1)
    kill(killed)
    (held,) = Path(layout.part(run.spool, layout.ASSIGNMENTS)).iterdir()
    assignments.discard(run.spool, TOKEN, 0, held.name.rpartition("claimed-")[2])
    assert start(run, 1).wait(timeout=30) == 0
    assert seen(run) == ["1"]


def test_a_job_that_was_requeued_before_it_began_starts_as_the_first_attempt(run: Run) -> None:
    run.change(program="echo RESULT: 1")
    assert start(run, 4).wait(timeout=30) == 0
    (end,) = run.messages("END")
    assert end["attempt_token"] == "a0"
