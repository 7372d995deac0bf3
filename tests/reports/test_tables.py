"""One renderer for all tables."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from db.states import AttemptState, TrialStatus
from orchestrator.reports.rows import Headings
from orchestrator.reports.tables import print_json, print_record, print_rows

ROWS = [
    {"trial": 1, "status": "COMPLETED", "run_seconds": 1.25, "x": 0.5, "reason": None},
    {"trial": 12, "status": "FAILED", "run_seconds": None, "x": 10.25, "reason": "exit [1]\n"},
]
COLUMNS = ("trial", "status", "run_seconds", "x", "reason")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_text_is_aligned_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    print_rows(ROWS, COLUMNS, stream=stream)
    assert stream.getvalue().splitlines() == [
        "trial  status       run      x  reason",
        "    1  COMPLETED  1.2 s    0.5  -",
        "   12  FAILED         -  10.25  exit [1]",
    ]


def test_what_users_have_named_is_shown_as_it_is() -> None:
    stream = io.StringIO()
    row = {"wait_seconds": 90, "batch_size": 3, "bytes": 2048, "run_seconds": 90}
    print_rows([row], list(row), stream=stream, verbatim=["wait_seconds", "batch_size", "bytes"])
    assert stream.getvalue().splitlines() == [
        "wait_seconds  batch_size  bytes      run",
        "          90           3   2048  0:01:30",
    ]


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    print_rows(ROWS, COLUMNS, stream=stream)
    assert "\x1b[32mCOMPLETED" in stream.getvalue()
    assert "exit [1]" in stream.getvalue()


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    print_rows(ROWS, COLUMNS, stream=stream)
    assert "COMPLETED" in stream.getvalue()
    assert "\x1b[3" not in stream.getvalue()


def test_words_are_not_cut_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    print_rows(ROWS, COLUMNS, stream=stream)
    assert "COMPLETED" in stream.getvalue()


def test_json_has_utc_times_words_of_enums_and_no_nan() -> None:
    stream = io.StringIO()
    berlin = timezone(timedelta(hours=1))
    row = {
        "at": datetime(2026, 3, 1, 13, tzinfo=berlin),
        "status": TrialStatus.EARLY_STOPPED,
        "state": AttemptState.LOST,
        "value": float("nan"),
        "nested": [{"at": datetime(2026, 3, 1, tzinfo=UTC)}],
    }
    print_json([row], stream=stream)
    assert json.loads(stream.getvalue()) == [
        {
            "at": "2026-03-01T12:00:00.000000+00:00",
            "status": "EARLY_STOPPED",
            "state": "LOST",
            "value": "nan",
            "nested": [{"at": "2026-03-01T00:00:00.000000+00:00"}],
        }
    ]


def test_a_record_leaves_out_what_has_no_value() -> None:
    stream = io.StringIO()
    print_record({"trial": 3, "host": None, "infos": {}, "results": {"A": 1.0}}, stream=stream)
    assert stream.getvalue().splitlines() == ["trial    3", "results  A=1"]


def test_no_two_columns_have_one_title() -> None:
    headings = Headings.choose(
        fixed=("status", "host"),
        parameters=["host", "x"],
        results=["RESULT", "status"],
        infos=["x", "colour", "host"],
    )
    assert headings.titles() == [
        "parameter_host",
        "x",
        "RESULT",
        "result_status",
        "info_x",
        "colour",
        "info_host",
    ]
