"""The live view in a real terminal: its keys, and the terminal as it was before."""

from __future__ import annotations

import os
import signal
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from db.states import ExperimentStatus, TrialStatus
from tests.reports.searches import Search
from tests.terminal.tmux import Terminal

MODES = "stty -a | tr ';' '\\n' | grep -oE -- '-?(icanon|echo|isig)\\b|susp = .*' | tr '\\n' ' '"
USUAL = "susp = ^Z isig icanon echo"


def follow(terminal: Terminal) -> None:
    terminal.headway("follow")
    terminal.wait_for("demo/1  RUNNING", "q quit")


def is_as_before(terminal: Terminal) -> None:
    """The shell has its terminal again: modes, cursor, first screen, and what one types is seen."""
    terminal.wait_until(lambda _: terminal.flag("alternate_on") == "0")
    assert terminal.flag("cursor_flag") == "1"
    assert terminal.answer(MODES) == USUAL


def test_q_leaves_the_terminal_as_it_was(search: Search, terminal: Terminal) -> None:
    terminal.type("echo typed before")
    follow(terminal)
    assert (terminal.flag("alternate_on"), terminal.flag("cursor_flag")) == ("1", "0")
    terminal.press("q")
    shown = terminal.wait_for("Look again: headway follow demo/1")
    assert "typed before" in shown
    assert "5/10 done, 2 running, 1 failed" in shown
    is_as_before(terminal)


def test_p_freezes_the_view_and_lets_it_go_on(search: Search, terminal: Terminal) -> None:
    follow(terminal)
    terminal.press("p")
    terminal.wait_for("FROZEN at ", "p goes on")
    search.trial(8, TrialStatus.COMPLETED, 0.25, 1.0)
    terminal.resize(100, 30)  # drawn anew, and still the same moment
    terminal.wait_until(lambda _: len(terminal.lines()[0].rstrip()) == 100)
    assert " 5/10 " in terminal.text()
    terminal.press("p")
    terminal.wait_for(" 6/10 ", "best LOSS=0.25 (trial 8)")


def test_f_shows_only_what_failed(search: Search, terminal: Terminal) -> None:
    follow(terminal)
    assert "COMPLETED" in terminal.text()
    terminal.press("f")
    shown = terminal.wait_for("failed for good", "all again")
    assert "PROGRAM: exit code 1" in shown
    assert "COMPLETED" not in shown
    assert "running 2 ─" not in shown
    terminal.press("f")
    terminal.wait_for("COMPLETED", "running 2 ─")


def test_a_question_mark_shows_the_keys_and_any_key_leaves_them(
    search: Search, terminal: Terminal
) -> None:
    follow(terminal)
    terminal.press("?")
    terminal.wait_for("keys of the live view", "headway logs demo/1 TRIAL -f")
    terminal.press("x")
    shown = terminal.wait_for("demo/1  RUNNING")
    assert "keys of the live view" not in shown
    terminal.press("Up")  # means nothing
    terminal.press("q")
    is_as_before(terminal)


def test_a_new_size_is_drawn_at_once(search: Search, terminal: Terminal) -> None:
    follow(terminal)
    for width, height in ((160, 50), (40, 12), (80, 24)):
        terminal.resize(width, height)
        terminal.wait_until(partial(fills, width, height))


def fills(width: int, height: int, shown: str) -> bool:
    """Whether a frame takes the whole window, from its title to its keys."""
    lines = shown.split("\n")
    is_whole = len(lines) == height and "q quit" in lines[-1]
    return is_whole and lines[0].startswith("demo/1  RUNNING") and len(lines[0]) == width


def test_control_z_gives_the_terminal_back_and_fg_takes_it_again(
    search: Search, terminal: Terminal
) -> None:
    follow(terminal)
    terminal.press("C-z")
    terminal.wait_for("Stopped")
    is_as_before(terminal)
    terminal.type("fg")
    terminal.wait_for("demo/1  RUNNING", "q quit")
    terminal.press("?")
    terminal.wait_for("keys of the live view")
    terminal.press("q")
    terminal.wait_for("Look again")
    is_as_before(terminal)


def test_in_the_background_the_view_touches_nothing(search: Search, terminal: Terminal) -> None:
    follow(terminal)
    terminal.press("C-z")
    terminal.wait_for("Stopped")
    terminal.type("bg")
    search.trial(8, TrialStatus.COMPLETED, 0.25, 1.0)
    is_as_before(terminal)
    assert terminal.answer("jobs -r | wc -l") == "1"
    terminal.type("fg")
    terminal.wait_for("best LOSS=0.25 (trial 8)", "q quit")
    search.end(ExperimentStatus.FINISHED)
    terminal.wait_for("ended at", "ready>")
    is_as_before(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_restores_the_terminal(
    search: Search, terminal: Terminal, number: signal.Signals
) -> None:
    shell = terminal.answer("echo $$")
    follow(terminal)
    (viewer,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    os.kill(int(viewer), number)
    terminal.wait_for("ready>")
    assert terminal.answer("echo $?") == str(128 + number)
    is_as_before(terminal)


def test_an_experiment_that_vanishes_leaves_the_terminal_usable(
    search: Search, terminal: Terminal
) -> None:
    follow(terminal)
    with sqlite3.connect(search.run_dir / "database.db") as connection:
        connection.execute("DELETE FROM experiment")
    connection.close()
    terminal.wait_for("is not in this database any more", "ready>")
    is_as_before(terminal)
