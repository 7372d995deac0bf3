"""`logs -f` and `follow`, run as a user runs them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
import time

import pytest

from db.states import AttemptState, ExperimentStatus, TrialStatus
from tests.cli.commands import headway
from tests.main_job.runs import HEADWAY
from tests.reports.searches import Search

pytestmark = pytest.mark.usefixtures("here")


def test_logs_are_passed_on_byte_by_byte(search: Search) -> None:
    log = search.run_dir / "logs" / "1-1.log"
    log.parent.mkdir()
    log.write_bytes(b"one\n\xff\x00two\n")
    result = subprocess.run([*HEADWAY, "logs", "0"], capture_output=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, log.read_bytes())
    missing = headway("logs", "demo", "1")
    assert missing.returncode == 1
    assert "left no log" in missing.stderr
    assert "has not been tried" in headway("logs", "7").stderr


def test_logs_follow_an_attempt_to_its_end(search: Search) -> None:
    log = search.run_dir / "logs" / "6-1.log"
    log.parent.mkdir()
    with subprocess.Popen([*HEADWAY, "logs", "5", "-f"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        time.sleep(0.7)
        log.write_bytes(b"first\n")
        assert process.stdout.readline() == b"first\n"
        with log.open("ab") as stream:
            stream.write(b"last\n")
        _end_attempts(search)
        assert process.stdout.read() == b"last\n"
        assert process.wait(timeout=30) == 0


def _end_attempts(search: Search) -> None:
    import sqlalchemy as sa

    from db.sql import tables

    table = tables.table_of(tables.Attempt)
    search.execute(sa.update(table).values(state=AttemptState.SUCCEEDED))


def test_follow_once_prints_one_frame_without_colours(search: Search) -> None:
    result = headway("follow", "--once", env={"COLUMNS": "80", "LINES": "24"})
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("demo/1  RUNNING")
    assert len(lines) <= 24
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in result.stdout


def test_follow_ends_by_itself_when_the_search_has_ended(search: Search) -> None:
    with subprocess.Popen([*HEADWAY, "follow"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("5/10 done, 2 running, 1 failed")
        search.trial(8, TrialStatus.COMPLETED, 0.5, 1.0)
        assert "best LOSS=0.5 (trial 8)" in process.stdout.readline()
        search.end(ExperimentStatus.FINISHED)
        assert "FINISHED" in process.stdout.readline()
        assert process.wait(timeout=30) == 0


def test_follow_on_a_terminal_leaves_the_last_frame_and_the_cursor(search: Search) -> None:
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*HEADWAY, "follow"], stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm"}
    )
    os.close(terminal)
    seen = b""
    while b"5/10" not in seen:
        seen += os.read(controller, 65536)
    search.end(ExperimentStatus.FINISHED)
    with contextlib.suppress(OSError):  # the terminal is gone when the process has ended
        while piece := os.read(controller, 65536):
            seen += piece
    os.close(controller)
    assert process.wait(timeout=30) == 0
    last = seen.decode().rpartition("demo/1")[2]
    assert "FINISHED" in last
    assert "\x1b[?25h" in last
    assert "\x1b[?1049h" not in seen.decode()


def test_follow_of_an_ended_search_shows_its_last_state(search: Search) -> None:
    search.end(ExperimentStatus.FINISHED)
    result = headway("follow")
    assert result.returncode == 0
    assert "FINISHED" in result.stdout
