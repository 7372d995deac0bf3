"""The user's own look at a node: `--preflight CMD`."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.worker.runs import Run, wait_until
from tests.worker.test_stopping import is_alive


def pid_in(path: Path) -> int:
    wait_until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def test_its_last_line_says_what_is_wrong(run: Run) -> None:
    run.look_for(command="echo looking; echo 'the clock of GPU 0 is throttled' >&2; echo; exit 3")
    ending = run.find_defect()
    assert ending["problems"] == [
        "--preflight failed (exit code 3): the clock of GPU 0 is throttled"
    ]
    checks = ending["checks"]
    assert (checks["failed"], checks["preflight_exit_code"]) == ("--preflight", 3)
    assert checks["preflight_said"] == "the clock of GPU 0 is throttled"
    assert run.log().startswith(b"looking\n")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("exit 1", "(exit code 1): it printed nothing"),
        ("kill -9 $$", "(signal 9): it printed nothing"),
        ("no-such-command-here", "(exit code 127): "),
        ("if", "syntax error"),
    ],
)
def test_a_failure_without_words_is_told_all_the_same(run: Run, command: str, text: str) -> None:
    run.look_for(command=command)
    assert text in run.find_defect()["problems"][0]


def test_a_node_that_passes_runs_the_program_and_keeps_what_was_said(run: Run) -> None:
    run.look_for(command="echo all is well")
    run.find_nothing()
    assert run.log() == b"all is well\nRESULT: 1\n"


def test_a_local_worker_looks_too(run: Run) -> None:
    run.look_for(command="echo broken; false")
    ending = run.try_program("echo RESULT: 1")
    assert ending["problems"] == ["--preflight failed (exit code 1): broken"]
    assert ending["results"] == {}


def test_it_finds_what_the_user_would(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    run.change(working_folder=str(folder))
    run.look_for(
        command='echo "$PWD|$PYTHONPATH|${HEADWAY_TRIAL-none}|$SLURMD_NODENAME"; cat; exit 1'
    )
    ending = run.find_defect(PYTHONPATH="/mine", HEADWAY_TRIAL="7", SLURMD_NODENAME="node7")
    assert ending["checks"]["preflight_said"] == f"{folder}|/mine|none|node7"
    assert ending["host"] == "node7"


def test_it_has_a_time_limit_and_leaves_nobody_behind(run: Run) -> None:
    run.look_for(command="trap '' TERM; sleep 1000 & echo $! > child; echo slow; wait", seconds=1)
    ending = run.find_defect()
    assert ending["problems"] == ["--preflight failed (no answer in 1 s): slow"]
    assert ending["checks"]["preflight_exit_code"] is None
    wait_until(lambda: not is_alive(pid_in(run.folder / "child")))


def test_one_that_never_stops_printing_is_ended_too(run: Run) -> None:
    run.look_for(command="yes | tr -d '\\n'", seconds=1)
    assert "(no answer in 1 s): yyyy" in run.find_defect()["problems"][0]


def test_what_it_leaves_running_does_not_hold_up_the_program(run: Run) -> None:
    run.look_for(command="sleep 1000 & echo $! > child")
    run.find_nothing()
    wait_until(lambda: not is_alive(pid_in(run.folder / "child")))


def test_one_that_closes_its_output_is_waited_for(run: Run) -> None:
    run.look_for(command="exec >&- 2>&-; sleep 0.3; exit 4")
    assert "(exit code 4)" in run.find_defect()["problems"][0]


@pytest.mark.parametrize("command", ["sleep 1000", "trap 'exit 1' TERM; sleep 1000 & wait"])
def test_a_worker_told_to_stop_says_nothing_against_its_node(run: Run, command: str) -> None:
    run.look_for(command=f"echo $$ > look; {command}")
    run.assign()
    worker = run.start(is_slurm_task=True)
    look = pid_in(run.folder / "look")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 1
    assert run.messages("END") == run.messages("START") == []
    assert b"told to stop before the attempt was claimed" in run.log()
    wait_until(lambda: not is_alive(look))


def test_colours_and_bells_stay_in_the_log(run: Run) -> None:
    run.look_for(command=r"printf '\033[31mno disk\033[0m\a\r\n'; exit 1")
    said = run.find_defect()["checks"]["preflight_said"]
    assert said == "[31mno disk [0m"
    assert run.log().startswith(b"\x1b[31mno disk\x1b[0m\a\r\n")
