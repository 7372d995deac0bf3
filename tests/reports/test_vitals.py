"""What a head tells of itself, as others read it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import tables
from db.sql.reading.reader import open_reader
from orchestrator.reports.snapshot import Snapshot, SnapshotReader
from orchestrator.reports.vitals import (
    GeneratorVitals,
    Vitals,
    Waiting,
    as_json,
    read_vitals,
)
from tests.reports.searches import Search

TOLD = datetime(2026, 3, 1, 12, 0, 5, 250000, tzinfo=UTC)
WHOLE = Vitals(
    told_at=TOLD,
    started_at=TOLD.replace(hour=11),
    slots=8,
    max_eval=100,
    stopping="the time for the search is over",
    calls={"squeue": 7, "sbatch": 2},
    calls_last_hour=9,
    calls_left=31.5,
    poll_seconds=4.0,
    scheduler_seconds=0.02,
    database_ms=1.5,
    waiting=(
        Waiting(reason="Priority", count=3, job="12_4", says="others", remedy="wait", fate="WAITS"),
        Waiting(reason="JobHeldUser", count=1, job="13", says="held", remedy="", fate="HELD"),
    ),
    refused="QOSMaxSubmitJobPerUserLimit",
    refused_for_seconds=12.0,
    generator=GeneratorVitals(
        name="TPE", is_busy=True, busy_seconds=0.5, stock=2, problem="it died"
    ),
    disk_full=True,
    cpu_percent=0.25,
    memory_mb=120.5,
    threads=7,
)


def snapshot_of(search: Search) -> Snapshot:
    with open_reader(search.url) as reader:
        return SnapshotReader(reader, search.id).read()


def tell(search: Search, told: Any) -> None:
    """Let the head of a search have told this."""
    lease = tables.table_of(tables.HeadLease)
    search.execute(sa.update(lease).values(vitals=told))


def test_what_a_head_tells_comes_through_the_database_as_it_is(search: Search) -> None:
    search.lease(25)
    assert snapshot_of(search).vitals is None
    tell(search, as_json(WHOLE))
    assert snapshot_of(search).vitals == WHOLE


def test_every_field_is_stored_and_read() -> None:
    stored = json.loads(json.dumps(as_json(WHOLE)))
    for each in fields(Vitals):
        assert getattr(WHOLE, each.name), f"{each.name} is not put to the test"
    assert read_vitals(stored) == WHOLE


def test_what_another_version_does_not_say_is_not_known() -> None:
    assert read_vitals({"told_at": TOLD.isoformat(), "mood": "sunny"}) == Vitals(told_at=TOLD)
    nothing_known = read_vitals({"told_at": TOLD.isoformat()})
    assert nothing_known is not None
    assert (nothing_known.calls_last_hour, nothing_known.generator) == (None, None)


@pytest.mark.parametrize("odd", [None, "?", -1, [], {}, [3], {"a": "b"}, True, 10**400])
def test_a_value_that_makes_no_sense_spoils_no_other(odd: Any) -> None:
    for name in (each.name for each in fields(Vitals) if each.name != "told_at"):
        found = read_vitals(as_json(WHOLE) | {name: odd})
        assert found is not None
        assert replace(found, **{name: getattr(WHOLE, name)}) == WHOLE


@pytest.mark.parametrize("told", [None, "null", [], 3, {}, {"told_at": "yesterday"}])
def test_a_head_that_did_not_even_say_when_has_told_nothing(told: Any) -> None:
    assert read_vitals(told) is None


def test_vitals_that_make_no_sense_do_not_keep_anybody_from_looking(search: Search) -> None:
    search.lease(25)
    tell(search, {"told_at": 17, "calls": "many"})
    assert snapshot_of(search).vitals is None
    assert snapshot_of(search).lease is not None
