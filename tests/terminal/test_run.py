"""`headway run` in a real terminal: the view can be closed, and the head goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.main_job.runs import Place, wait_until
from tests.terminal.test_keys import is_as_before
from tests.terminal.tmux import Terminal

SEARCH = (
    *("run", "--experiment_name", "seen", "--force_local_execution", "--seed", "1"),
    *("--parameter", "x", "range", "0", "1", "--model", "SOBOL", "--max_eval", "4"),
    *("--num_parallel_jobs", "2"),
    *("--run_program", "while [ ! -e go-%(x) -a ! -e go ]; do sleep 0.1; done; echo RESULT: 1"),
)


def test_q_closes_the_view_and_the_head_goes_on_with_plain_lines(
    tmp_path: Path, terminal: Terminal
) -> None:
    with Place(tmp_path):  # what a failed test leaves running ends with it
        terminal.headway(*SEARCH)
        terminal.wait_for("seen/1  RUNNING", "running 2", "q quit")
        terminal.press("?")
        terminal.wait_for("the search goes on, with plain lines", "twice: end at once")
        terminal.press("q")
        terminal.wait_for("0/4 done, 2 running")
        terminal.wait_until(lambda _: terminal.flag("alternate_on") == "0")
        (tmp_path / "go").touch()
        shown = terminal.wait_for("seen/1 FINISHED", "Best:", "ready>")
        assert "4/4 done" in shown
        is_as_before(terminal)


def test_a_head_that_is_told_to_leave_gives_the_terminal_back(
    tmp_path: Path, terminal: Terminal
) -> None:
    with Place(tmp_path) as place:
        terminal.headway(*SEARCH)
        terminal.wait_for("seen/1  RUNNING", "running 2", "q quit")
        os.kill(place.json("status", "seen")["head_pid"], signal.SIGTERM)
        terminal.wait_for("headway resume seen/1", "ready>")
        is_as_before(terminal)


def test_control_c_twice_ends_the_search_and_restores_the_terminal(
    tmp_path: Path, terminal: Terminal
) -> None:
    with Place(tmp_path):
        terminal.headway(*SEARCH)
        terminal.wait_for("seen/1  RUNNING", "running 2", "q quit")
        terminal.press("C-c")
        terminal.wait_for("seen/1  STOPPING")
        terminal.press("C-c")
        # Nobody counts how often: what comes too late must not keep the view from closing.
        while terminal.flag("alternate_on") == "1":
            terminal.press("C-c")
        terminal.wait_for("ready>")
        assert terminal.answer("echo $?") == "130"
        is_as_before(terminal)


def test_a_lost_connection_ends_the_view_and_not_the_head(
    tmp_path: Path, terminal: Terminal
) -> None:
    with Place(tmp_path) as place:
        terminal.headway(*SEARCH)
        terminal.wait_for("seen/1  RUNNING", "running 2", "q quit")
        terminal.hang_up()
        (tmp_path / "go").touch()
        wait_until(lambda: place.json("status", "seen")["status"] == "FINISHED")
        assert place.json("status", "seen")["completed"] == 4
