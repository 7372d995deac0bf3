"""A head reads what it shows of itself only as often as things change."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from db.errors import DatabaseUnavailable
from db.sql.reading.reader import open_reader
from db.states import TrialStatus
from orchestrator.reports.snapshot import Snapshot, SnapshotReader
from orchestrator.reports.sparing import SparingReader
from tests.reports.searches import Search, fill, local_search


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test puts on."""
    moment = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


@pytest.fixture
def search(tmp_path: Path) -> Search:
    made = local_search(tmp_path)
    fill(made)
    made.lease(25)
    return made


class Counting:
    """Reads snapshots and counts how often."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.count = 0

    def read(self) -> Snapshot:
        self.count += 1
        with open_reader(self.search.url) as reader:
            return SnapshotReader(reader, self.search.id).read()


def looks(counting: Counting, look: Callable[[], Snapshot], now: list[float], times: int) -> int:
    """How often the database was read while somebody looked once a second."""
    before = counting.count
    for _ in range(times):
        look()
        now[0] += 1.0
    return counting.count - before


def test_a_search_where_nothing_happens_is_read_ever_less(search: Search, now: list[float]) -> None:
    counting = Counting(search)
    reader = SparingReader(counting.read, is_ending=lambda: False)
    assert looks(counting, reader.read, now, 60) < 30
    assert looks(counting, reader.read, now, 60) == 12


def test_what_happens_is_seen_within_seconds_and_then_at_once(
    search: Search, now: list[float]
) -> None:
    counting = Counting(search)
    reader = SparingReader(counting.read, is_ending=lambda: False)
    looks(counting, reader.read, now, 100)
    search.trial(8, TrialStatus.COMPLETED, 0.5)
    now[0] += 5
    assert reader.read().done == 6
    search.trial(9, TrialStatus.COMPLETED, 0.25)
    now[0] += 1
    assert reader.read().done == 7


def test_between_two_readings_the_clock_goes_on(search: Search, now: list[float]) -> None:
    counting = Counting(search)
    reader = SparingReader(counting.read, is_ending=lambda: False)
    looks(counting, reader.read, now, 100)
    now[0] += 5
    first = reader.read()
    now[0] += 3
    second = reader.read()
    assert first.lease is not None
    assert second.lease is not None
    assert second.taken_at == first.taken_at + timedelta(seconds=3)
    assert second.lease.seconds_left == pytest.approx(first.lease.seconds_left - 3)


def test_at_the_end_every_look_is_a_new_one(search: Search, now: list[float]) -> None:
    counting, ended = Counting(search), [False]
    reader = SparingReader(counting.read, is_ending=lambda: ended[0])
    looks(counting, reader.read, now, 100)
    ended[0] = True
    assert looks(counting, reader.read, now, 3) == 3


def test_a_database_that_is_away_is_told_and_asked_again(search: Search, now: list[float]) -> None:
    counting, is_away = Counting(search), [True]

    def read() -> Snapshot:
        if is_away[0]:
            raise DatabaseUnavailable("it does not answer")
        return counting.read()

    reader = SparingReader(read, is_ending=lambda: False)
    with pytest.raises(DatabaseUnavailable):
        reader.read()
    is_away[0] = False
    assert reader.read().done == 5
    is_away[0] = True
    now[0] += 5
    with pytest.raises(DatabaseUnavailable):
        reader.read()
