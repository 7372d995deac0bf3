"""The live view on terminals that can do less, or are wanted to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cluster.fixtures import require_programs
from tests.reports.searches import Search
from tests.terminal.tmux import PROGRAMS, Terminal

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}], ids=["colours", "no colours"])
def test_colours_can_be_switched_off(
    search: Search, tmp_path: Path, variables: dict[str, str]
) -> None:
    require_programs("tmux", PROGRAMS)
    with Terminal(tmp_path, environment=variables) as terminal:
        terminal.headway("follow")
        terminal.wait_for("demo/1  RUNNING", "COMPLETED", "q quit")
        assert bool(COLOUR.search(terminal.styled())) is not bool(variables)


def test_a_narrow_terminal_without_unicode_shows_the_search(search: Search, tmp_path: Path) -> None:
    require_programs("tmux", PROGRAMS)
    with Terminal(tmp_path, width=40, height=16, environment={"LANG": "C"}) as terminal:
        terminal.headway("follow")
        shown = terminal.wait_for("demo/1  RUNNING", "best LOSS=1.5", "-- running 2 ", "q quit")
        assert shown.isascii()
        assert all(len(line) <= 40 for line in terminal.lines())


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(search: Search, tmp_path: Path) -> None:
    require_programs("tmux", PROGRAMS)
    with Terminal(tmp_path, environment={"TERM": "dumb"}) as terminal:
        terminal.type("export TERM=dumb")  # tmux has set its own
        terminal.headway("follow")
        terminal.wait_for("5/10 done, 2 running, 1 failed")
        assert terminal.flag("alternate_on") == "0"
