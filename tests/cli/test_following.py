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
from pathlib import Path

import pytest
import sqlalchemy as sa

from db.sql import head_lock, tables
from db.sql.head_lock import Held, new_nonce
from db.sql.leases import Holder
from db.sql.reading.reader import open_reader
from db.states import AttemptState, ExperimentStatus, TrialStatus
from orchestrator.cli import looking
from orchestrator.errors import HeadwayError
from orchestrator.reports import live_file
from orchestrator.reports.snapshot import SnapshotReader
from tests.cli.commands import headway
from tests.main_job.runs import HEADWAY, Place
from tests.reports.searches import Search
from tests.scenarios.heads import strange

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


@pytest.mark.parametrize("option", [[], ["-f"]], ids=["once", "follow"])
def test_a_log_that_cannot_be_read_is_told_in_one_line(search: Search, option: list[str]) -> None:
    search.execute(sa.update(tables.Attempt).values(log_path="x" * 300))
    with pytest.raises(HeadwayError, match=r"x cannot be read: File name too long\.$"):
        looking.run("logs", ["0", *option])


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
    during, _, after = seen.decode().rpartition("\x1b[?1049l")
    assert "\x1b[?1049h" in during
    assert "\x1b[?25h" in during.rpartition("\x1b[?25l")[2]
    assert "demo/1" in after
    assert "FINISHED" in after
    assert "\x1b[?" not in after


def test_follow_of_an_ended_search_shows_its_last_state(search: Search) -> None:
    search.end(ExperimentStatus.FINISHED)
    result = headway("follow")
    assert result.returncode == 0
    assert "FINISHED" in result.stdout


def test_a_search_of_another_host_is_followed_through_what_its_head_writes(
    search: Search, here: Path
) -> None:
    with open_reader(search.url) as reader:
        live_file.write(search.run_dir, SnapshotReader(reader, search.id).read())
    holder = Holder(host="login9", boot_id="b", pid=42, process_started=1)
    lock = Held(holder=holder, epoch=1, since="", expire_seconds=600, nonce=new_nonce())
    assert head_lock.create(search.run_dir, lock)
    search.engine.dispose()
    (search.run_dir / "database.db").write_bytes(b"not to be opened from here")
    with Place(here) as place:
        code, output = strange(place, "network", here, "follow", "--once").wait()
    assert code == 0, output
    assert output.startswith("demo/1  RUNNING")
    assert "head alive on login1" in output
