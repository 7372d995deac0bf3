"""What the loop of a head does between two ticks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from db.errors import DatabaseUnavailable
from orchestrator.loop import Loop, Parts


def test_the_next_tick_comes_at_once_while_more_reports_wait_than_one_deals_with() -> None:
    # Nothing else is there: whoever waited for anything would fail.
    parts = cast("Parts", SimpleNamespace(settler=SimpleNamespace(has_more=True)))
    assert Loop(parts, deadline=None)._wait()


def test_a_head_whose_database_is_away_keeps_its_lock() -> None:
    kept: list[bool] = []

    def fail() -> None:
        raise DatabaseUnavailable("no room")

    renewal = SimpleNamespace(keep_lock=lambda: kept.append(True), check_file=fail)
    parts = SimpleNamespace(renewal=renewal, space=SimpleNamespace(is_full=False))
    with pytest.raises(DatabaseUnavailable):
        Loop(cast("Parts", parts), deadline=None)._load_anew()
    assert kept == [True]
