"""The ends of logs are read, whatever lies there, and whether it answers or not."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from orchestrator.steps import log_ends
from orchestrator.steps.log_ends import END_BYTES, LogEnds


def test_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert LogEnds().read(path) == ""
    assert LogEnds().read(None) == ""
    path.write_bytes(b"x" * END_BYTES + b"the \xff\0 end")
    found = LogEnds().read(path)
    assert found is not None
    assert found.endswith("the \ufffd\ufffd end"), "no database takes a NUL"
    assert len(found) == END_BYTES


@pytest.mark.parametrize("kind", ["pipe", "folder", "secret"])
def test_what_is_no_log_says_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    assert LogEnds().read(path) == ""


def test_without_a_thread_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert LogEnds().read(tmp_path / "log") is None


def test_a_file_system_that_hangs_is_left_alone_until_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = threading.Event(), []

    def hang(path: Path) -> str:
        asked.append(path)
        answer.wait()
        return "text"

    monkeypatch.setattr(log_ends, "_end_of", hang)
    monkeypatch.setattr(log_ends, "LIMIT_SECONDS", 0.05)
    logs = LogEnds()
    assert [logs.read(tmp_path) for _ in range(3)] == [None] * 3
    assert len(asked) == 1
    answer.set()
    monkeypatch.setattr(log_ends, "LIMIT_SECONDS", 60.0)
    assert logs._hung is not None
    logs._hung.join()
    assert logs.read(tmp_path) == "text"
