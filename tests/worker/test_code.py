"""Files that the program names are looked at when a worker starts."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from db.records import SeenFile
from tests.worker.runs import Run
from worker.code import LARGEST_BYTES, changed_files, look_at


def seen(*paths: Path) -> dict[str, SeenFile]:
    """What the head saw of files."""
    found = {str(path): look_at(str(path)) for path in paths}
    return {path: file for path, file in found.items() if file is not None}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text("one")
    return path


def test_a_file_that_nobody_touched_is_not_even_read(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen(script)

    def read(*_: object) -> bytes:
        pytest.fail("it was read")

    monkeypatch.setattr(os, "read", read)
    assert changed_files(before) == {}


def test_a_file_that_was_written_anew_with_the_same_content_has_not_changed(script: Path) -> None:
    before = seen(script)
    os.utime(script, ns=(1, 1))
    assert changed_files(before) == {}


def test_a_change_that_keeps_the_size_is_seen(script: Path) -> None:
    before = seen(script)
    script.write_text("two")
    os.utime(script, ns=(1, 1))
    digest = sha256(b"two").hexdigest()
    assert changed_files(before) == {str(script): {"sha256": digest, "bytes": 3}}


def test_a_file_that_is_gone_or_a_file_no_more_has_no_content(script: Path, tmp_path: Path) -> None:
    gone, pipe, folder = script, tmp_path / "pipe", tmp_path / "folder"
    for path in (pipe, folder):
        path.write_text("one")
    before = seen(gone, pipe, folder)
    for path in (gone, pipe, folder):
        path.unlink()
    os.mkfifo(pipe)  # opening it to read must not wait for a writer
    folder.mkdir()
    nothing = {"sha256": "", "bytes": 0}
    assert changed_files(before) == {str(path): nothing for path in (gone, pipe, folder)}


def test_what_became_too_large_is_neither_changed_nor_the_same(script: Path) -> None:
    before = seen(script)
    os.truncate(script, LARGEST_BYTES + 1)
    assert look_at(str(script)) is None
    assert changed_files(before) == {}


def test_a_worker_says_what_has_changed_before_it_runs_the_program(tmp_path: Path) -> None:
    script = tmp_path / "it's train.py"
    script.write_text("one")
    run = Run(tmp_path, code=seen(script), program="echo RESULT: 1")
    run.assign(0)
    run.assign(1)
    assert run.work(0) == 0
    script.write_text("second")
    assert run.work(1) == 0
    said: list[Any] = [message["payload"].get("code") for message in run.messages("START")]
    version = {"sha256": sha256(b"second").hexdigest(), "bytes": 6}
    assert [each for each in said if each] == [{str(script): version}]
    assert b"changed since the head looked" not in run.log(0)
    assert f"changed since the head looked: {script}".encode() in run.log(1)


def test_the_program_is_told_where_the_copies_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_SNAPSHOT", "/of/an/outer/trial")
    program = 'echo "OO-Info: at: $HEADWAY_SNAPSHOT"; echo RESULT: 1'
    (tmp_path / "without").mkdir()
    assert Run(tmp_path / "without").try_program(program)["infos"] == {"at": ""}
    (tmp_path / "with").mkdir()
    ended = Run(tmp_path / "with", snapshot="/runs/e/1/snapshot").try_program(program)
    assert ended["infos"] == {"at": "/runs/e/1/snapshot"}
