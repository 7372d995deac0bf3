"""What programs leave behind, and what a worker leaves behind that is killed itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.worker.runs import ROOT, Run, wait_until
from tests.worker.test_stopping import is_alive, is_ready
from worker import offspring

# A daemon as the book has it: two forks, a session of its own, deaf to TERM.
DAEMON = "(setsid bash -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 0.05; done' {} &)"
CLOSED = "</dev/null >/dev/null 2>&1"


def pid_in(run: Run, name: str) -> int:
    path = run.folder / name
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def test_a_daemon_ends_with_its_trial(run: Run) -> None:
    daemon = DAEMON.format(CLOSED)
    ending = run.try_program(
        f"{daemon}; while [ ! -s daemon ]; do sleep 0.05; done; echo RESULT: 1"
    )
    assert (ending["cause"], ending["results"]) == ("EXIT", {"RESULT": 1.0})
    assert not is_alive(pid_in(run, "daemon"))


def test_a_stubborn_program_with_a_daemon_gets_one_grace_and_not_two(run: Run) -> None:
    program = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    run.change(program=f"{DAEMON.format('')}; {program}", grace_seconds=6)
    run.assign()
    worker = run.start()
    daemon = pid_in(run, "daemon")
    wait_until(lambda: is_ready(run))
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert time.monotonic() - started < 11, "twice the grace is more than Slurm's KillWait"
    assert (run.ending()["cause"], run.ending()["signal"]) == ("TERMINATED", signal.SIGKILL)
    assert not is_alive(daemon)


def test_orphans_that_end_are_not_kept_as_zombies(run: Run) -> None:
    script = "for i in {1..50}; do (setsid true &); done; sleep 0.5; echo ready; sleep 60 & wait"
    run.change(program=script)
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children")
    wait_until(lambda: len(children.read_text().split()) <= 2)  # the program and its guard
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0


def test_a_program_does_not_outlive_its_worker(run: Run) -> None:
    run.change(program="echo $$ > pid; sleep 60 & echo $! > child; echo ready; wait")
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    worker.kill()
    worker.wait()
    wait_until(lambda: not is_alive(pid_in(run, "pid")) and not is_alive(pid_in(run, "child")))


def test_nothing_of_a_worker_is_left_when_it_has_ended(run: Run) -> None:
    run.change(program="sleep 0.1 & echo RESULT: 1")
    run.assign()
    worker = run.start()
    assert worker.wait(60) == 0
    command = ["ps", "-o", "args=", "-s", str(worker.pid)]
    assert subprocess.run(command, capture_output=True, text=True).stdout == ""


def test_a_worker_that_fails_itself_still_reports_and_leaves_nothing(run: Run) -> None:
    run.change(grace_seconds="soon", worker_timeout_seconds=0.2)
    ending = run.try_program("echo $$ > pid; sleep 60")
    assert (ending["cause"], ending["signal"]) == ("EXIT", signal.SIGKILL)
    assert ending["problems"][0].startswith("the worker failed: TypeError")
    wait_until(lambda: not is_alive(pid_in(run, "pid")))


def test_without_proc_no_orphans_are_known_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offspring, "_TASKS", str(tmp_path / "proc"))
    assert offspring.strays() == []


UNKILLABLE = """
import os, sys
sys.path.append(sys.argv[1])
from worker.output import Output
from worker.program import Program, Watch
from worker.protocol import Protocol
from worker.stopping import Stopping, signal

class Hanging(Program):
    def send(self, number):
        return number == signal.SIGKILL or super().send(number)

class Quiet:
    def due_at(self): return float("inf")
    def tick(self, now): pass

program = Hanging("trap '' TERM; sleep 60 & wait; sleep 60", dict(os.environ), os.open("/dev/null", 2))
watch = Watch(program, output=Output(Protocol([])), stopping=Stopping(), heartbeat=Quiet())
ending = watch.until_end(limit_seconds=0.1, grace_seconds=0.1)
print(ending.cause, ending.signal, ending.problems)
os.killpg(program.pid, signal.SIGKILL)
"""


def test_a_program_that_hangs_in_the_kernel_does_not_hang_the_worker() -> None:
    # Such a process cannot be made to order: here it is SIGKILL that does not arrive.
    command = [sys.executable, "-I", "-c", UNKILLABLE, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert done.stdout.startswith("TIMEOUT 9 ['the program could not even be killed"), done.stderr
