"""How single values read."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.states import TrialStatus
from orchestrator.reports.texts import duration, printable, size, sparkline, text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.00 s"),
        (0.314, "0.31 s"),
        (12.34, "12.3 s"),
        (751, "0:12:31"),
        (3 * 86400 + 3661, "3d 01:01:01"),
    ],
)
def test_a_duration_is_short(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (True, "yes"),
        (7, "7"),
        (1 / 3, "0.333333"),
        (TrialStatus.COMPLETED, "COMPLETED"),
        ({"a": 1.5, "b": "x"}, "a=1.5 b=x"),
        ({}, "-"),
        ([1, 2], "1, 2"),
        ("\x1b[31mred\nline", " [31mred line"),
    ],
)
def test_any_value_reads_as_one_line(value: object, expected: str) -> None:
    assert text(value) == expected


def test_a_time_is_shown_in_the_zone_of_the_person_who_looks() -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert text(moment) == moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@given(st.text())
def test_nothing_printable_moves_the_cursor(word: str) -> None:
    shown = printable(word)
    assert len(shown) == len(word)
    assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)


def test_sizes_have_units() -> None:
    assert [size(5), size(2048), size(3 * 1024**4)] == ["5 B", "2 KiB", "3 TiB"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_a_sparkline_has_one_mark_a_value(values: list[float]) -> None:
    line = sparkline(values)
    assert len(line) == len(values)
    if values and math.isfinite(max(values) - min(values)) and max(values) > min(values):
        assert "▁" in line
        assert "█" in line


def test_a_sparkline_can_do_without_unicode() -> None:
    assert sparkline([1, 2, 3], ascii_only=True).isascii()
