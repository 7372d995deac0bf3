"""The trials that ended last are followed, not searched for."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from db.sql import tables
from db.sql.reading.reader import open_reader
from db.states import TrialStatus
from orchestrator.reports.endings import Endings
from tests.reports.searches import BEGIN, Search


def complete(search: Search, index: int, *, minute: int) -> None:
    """Let an open trial end."""
    table = tables.table_of(tables.Trial)
    values = {"status": TrialStatus.FAILED, "completed_at": BEGIN + timedelta(minutes=minute)}
    search.execute(sa.update(table).where(table.c.index == index).values(**values))


def test_trials_that_were_open_and_trials_that_are_new_are_noticed(search: Search) -> None:
    endings = Endings(search.id, keep=3)
    search.trial(0, TrialStatus.COMPLETED, 1.0)
    search.trial(1, TrialStatus.RUNNING)
    search.trial(2, TrialStatus.CANDIDATE)
    seen = []
    with open_reader(search.url) as reader:

        def look() -> None:
            with reader.read() as connection:
                endings.follow(connection)
            seen.append([ending.trial_index for ending in endings.newest])

        look()
        look()
        complete(search, 1, minute=50)
        search.trial(3, TrialStatus.COMPLETED, 2.0)  # proposed and ended between two looks
        look()
        complete(search, 2, minute=40)
        look()
    assert seen == [[0], [0], [1, 3, 0], [1, 2, 3]]
