"""What nobody foresaw is one line too; the traceback goes to a file."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

import pytest

from orchestrator import cli


def broken(words: list[str]) -> int:
    raise RuntimeError(f"{words} at a name \udcff that is no text")


def said(capfd: pytest.CaptureFixture[str], *, folder: Path) -> str:
    """What is said if details go to a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orchestrator.cli.commands.dispatch", broken)
        patch.setattr(tempfile, "tempdir", str(folder))
        assert cli.main(["list"]) == 1
    text = capfd.readouterr().err
    assert text.startswith("headway: this should not happen: RuntimeError: ['list'] at")
    assert text.count("\n") == 1
    return text


def test_the_details_are_in_a_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = re.search(r"details are in (\S+)", said(capfd, folder=tmp_path))
    assert found is not None
    assert "in broken" in Path(found[1]).read_text()


def test_a_disk_that_takes_no_details_is_told_too(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = said(capfd, folder=tmp_path / "gone")
    assert "details could not be written: No such file" in text


def test_an_encoding_without_a_character_gets_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", stream)
    assert cli.main(["--help"]) == 0
    assert rb"usage: headway COMMAND \u2026" in stream.buffer.getvalue()
