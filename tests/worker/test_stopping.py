"""Programs that are ended: by their time limit, by a signal, or together with their children."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.worker.runs import Run, wait_until

READY = "echo ready;"
STUBBORN = "trap '' TERM USR2 INT; echo RESULT: 1; while :; do sleep 0.05; done"


def is_ready(run: Run) -> bool:
    return b"ready" in run.log()


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def test_a_program_over_its_time_is_told_to_end(run: Run) -> None:
    run.change(worker_timeout_seconds=0.3, grace_seconds=10)
    ending = run.try_program("trap 'echo RESULT: 1; exit 5' TERM; sleep 60 & wait")
    assert (ending["cause"], ending["exit_code"]) == ("TIMEOUT", 5)
    assert ending["results"] == {"RESULT": 1.0}
    assert ending["measured"]["wall_seconds"] < 5


def test_a_program_that_ignores_its_time_is_killed(run: Run) -> None:
    run.change(worker_timeout_seconds=0.3, grace_seconds=0.3)
    ending = run.try_program(STUBBORN)
    assert (ending["cause"], ending["signal"]) == ("TIMEOUT", signal.SIGKILL)
    assert 0.6 <= ending["measured"]["wall_seconds"] < 5


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU]
)
def test_a_signal_to_the_worker_reaches_the_program(run: Run, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    run.change(program=f"trap 'echo RESULT: 2; exit 0' {name}; {READY} sleep 60 & wait")
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    worker.send_signal(number)
    assert worker.wait(20) == 0
    ending = run.ending()
    assert (ending["cause"], ending["exit_code"]) == ("TERMINATED", 0)
    assert ending["results"] == {"RESULT": 2.0}
    assert ending["told_by"] == number


def test_a_worker_told_to_stop_before_its_program_starts_it_no_more(run: Run) -> None:
    run.change(program="touch ran; sleep 60")
    assignment = run.assign()
    folder = Path(assignment["checkpoint_dir"])
    folder.mkdir(parents=True)
    slow = folder / ".parameters-1.json"
    os.mkfifo(slow)  # a file system that takes its time
    worker = run.start()
    wait_until(lambda: len(run.messages("START")) == 1)
    time.sleep(0.5)
    worker.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    answer = os.open(slow, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert worker.wait(30) == 0
    finally:
        os.close(answer)
        worker.kill()
    assert (run.ending()["cause"], run.ending()["told_by"]) == ("TERMINATED", signal.SIGTERM)
    assert not (run.folder / "ran").exists()


def test_a_signal_that_is_only_for_the_program_does_not_end_it(run: Run) -> None:
    program = (
        "trap 'echo OO-Info: usr1: came' USR1; echo ready; while [ ! -e go ]; do sleep 0.05; done"
    )
    run.change(program=f"{program}; echo RESULT: 1")
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    worker.send_signal(signal.SIGUSR1)
    wait_until(lambda: b"usr1" in run.log())
    (run.folder / "go").touch()
    assert worker.wait(20) == 0
    ending = run.ending()
    assert (ending["cause"], ending["infos"]) == ("EXIT", {"usr1": "came"})
    assert "told_by" not in ending


def test_a_program_that_ignores_the_signal_is_killed_and_reported(run: Run) -> None:
    run.change(program=READY + STUBBORN, grace_seconds=0.3)
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    ending = run.ending()
    assert (ending["cause"], ending["signal"]) == ("TERMINATED", signal.SIGKILL)


def test_children_get_the_grace_too_when_their_shell_has_died(run: Run) -> None:
    child = (
        "trap 'sleep 0.3; echo saved > child; exit' TERM; echo ready; while :; do sleep 0.05; done"
    )
    run.change(program=f'bash -c "{child}"; true', grace_seconds=10)
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert (run.folder / "child").read_text() == "saved\n"


def test_a_program_killed_with_its_worker_counts_as_told_to_stop(run: Run) -> None:
    run.change(program=f"echo $$ > pid; {READY} exec sleep 60")
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    os.kill(int((run.folder / "pid").read_text()), signal.SIGTERM)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert run.ending()["cause"] == "TERMINATED"


def test_a_program_that_ends_itself_when_told_with_its_worker_was_told_to_stop(run: Run) -> None:
    run.change(program=f"trap 'exit 143' TERM; echo $$ > pid; {READY} sleep 60 & wait")
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    os.kill(int((run.folder / "pid").read_text()), signal.SIGTERM)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    ending = run.ending()
    assert (ending["cause"], ending["exit_code"]) == ("TERMINATED", 143)


@pytest.mark.slow
def test_time_in_which_a_trial_was_frozen_is_not_its_own(run: Run) -> None:
    program = "echo $$ > pid; echo ready; for i in {1..20}; do sleep 0.1; done; echo RESULT: 1"
    run.change(program=program, worker_timeout_seconds=6)
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    group = int((run.folder / "pid").read_text())
    for number, seconds in ((signal.SIGSTOP, 8), (signal.SIGCONT, 0)):
        worker.send_signal(number)
        os.killpg(group, number)
        time.sleep(seconds)
    assert worker.wait(60) == 0
    assert (run.ending()["cause"], run.ending()["results"]) == ("EXIT", {"RESULT": 1.0})


def test_suspending_and_continuing_does_no_harm(run: Run) -> None:
    run.change(program=f"{READY} sleep 0.5; echo RESULT: 1")
    run.assign()
    worker = run.start()
    wait_until(lambda: is_ready(run))
    worker.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    worker.send_signal(signal.SIGCONT)
    assert worker.wait(20) == 0
    assert (run.ending()["cause"], run.ending()["results"]) == ("EXIT", {"RESULT": 1.0})


def test_a_child_that_keeps_the_output_open_does_not_hang_the_worker(run: Run) -> None:
    started = time.monotonic()
    ending = run.try_program("sleep 60 & echo $! > pid; echo RESULT: 1")
    assert time.monotonic() - started < 10
    assert (ending["cause"], ending["results"]) == ("EXIT", {"RESULT": 1.0})
    pid = int((run.folder / "pid").read_text())
    wait_until(lambda: not is_alive(pid))


def test_a_child_that_left_the_group_ends_with_its_trial(run: Run) -> None:
    ending = run.try_program("setsid sleep 60 & echo $! > pid; echo RESULT: 1; sleep 0.1")
    assert ending["results"] == {"RESULT": 1.0}
    assert not is_alive(int((run.folder / "pid").read_text()))


def test_a_child_that_ignores_everything_is_killed(run: Run) -> None:
    ending = run.try_program("(trap '' TERM; sleep 60) >/dev/null 2>&1 & echo $! > pid")
    assert ending["exit_code"] == 0
    pid = int((run.folder / "pid").read_text())
    wait_until(lambda: not is_alive(pid))


def test_late_output_of_a_quick_child_is_still_read(run: Run) -> None:
    ending = run.try_program("(sleep 0.3; echo RESULT: 7) & true")
    assert ending["results"] == {"RESULT": 7.0}


def test_a_worker_told_to_stop_gives_up_waiting_for_a_report(run: Run) -> None:
    run.change(program="rm -rf spool/reports; touch spool/reports; echo RESULT: 1; echo ready")
    run.change(report_patience_seconds=600)
    run.assign()
    worker = run.start()
    wait_until(lambda: b"trying again" in run.log())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 1
    assert b"HEADWAY-REPORT: " in run.log()
