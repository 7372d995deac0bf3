"""The captures that the documents show: whole frames, the same on the page as in their files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.main_job.runs import ROOT
from tests.terminal.captures import filled

PAGE = ROOT / "docs" / "live.md"
CAPTURES = sorted((PAGE.parent / "captures").glob("*.txt"))


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_capture_is_a_whole_frame_of_its_size(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    size = re.search(r"([0-9]+)x([0-9]+)", path.stem)
    width, height = map(int, size.groups()) if size else (80, 24)
    assert len(lines) == height if size else len(lines) <= height
    assert all(len(line) <= width for line in lines)
    assert "ascii" not in path.stem or "\n".join(lines).isascii()


def test_the_page_shows_the_captures_as_they_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert CAPTURES
    assert filled(text, PAGE.parent / "captures") == text
