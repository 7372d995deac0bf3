"""Hosts that new jobs avoid, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.sql import hosts
from db.sql.hosts import CLUSTER
from db.sql.reading.reader import open_reader
from db.states import ExclusionSource, HostState
from orchestrator.reports.outs import Out, Standing, read_outs, spoken
from tests.reports.searches import Search

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def an_out(**columns: Any) -> Out:
    usual: dict[str, Any] = {
        "host": "node3",
        "standing": Standing.EXCLUDED,
        "since": NOON,
        "until": None,
        "by": "Headway",
        "reason": "it loses trials",
        "evidence": None,
    }
    return Out(**usual | columns)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "kept out until somebody includes it: it loses trials"),
        ({"by": "me@login1"}, "kept out by me@login1 until somebody includes it: it loses trials"),
        ({"standing": Standing.SUSPECT}, "suspect: avoided until another host has told: it loses"),
        ({"standing": Standing.PAROLE}, "on parole: one trial tries it: it loses trials"),
        ({"standing": Standing.PAROLE, "reason": ""}, "on parole: one trial tries it"),
        ({"reason": "\x1b[2J"}, "kept out until somebody includes it:  [2J"),
    ],
)
def test_what_becomes_of_a_host_is_one_line(columns: dict[str, Any], said: str) -> None:
    assert spoken(an_out(**columns)).startswith(said)


def test_the_day_is_only_named_if_it_is_another_one() -> None:
    soon, later = datetime.now(UTC), NOON + timedelta(days=1)
    assert f"until {soon.astimezone():%H:%M}:" in spoken(an_out(until=soon))
    assert f"until {later.astimezone():%m-%d %H:%M}:" in spoken(an_out(until=later))


def test_an_exclusion_says_more_than_a_suspicion_and_one_that_is_over_is_parole(
    search: Search,
) -> None:
    by_us = {"source": ExclusionSource.HEADWAY, "reason": "it loses trials"}
    with search.engine.begin() as connection:
        hosts.note_state(connection, CLUSTER, "node1", HostState.SUSPECT, reason="one failed")
        hosts.note_state(connection, CLUSTER, "node2", HostState.SUSPECT, reason="one failed")
        hosts.note_state(connection, CLUSTER, "node5", HostState.GOOD, reason="it passed")
        hosts.exclude(connection, CLUSTER, "node2", seconds=3600, **by_us)  # type: ignore[arg-type]
        hosts.exclude(connection, CLUSTER, "node3", seconds=1e-6, **by_us)  # type: ignore[arg-type]
        hosts.exclude(
            connection,
            CLUSTER,
            "node4",
            source=ExclusionSource.USER,
            reason="repair",
            decided_by="me@login1",
        )
    with open_reader(search.url) as reader, reader.read() as connection:
        found = read_outs(connection)
    assert [(out.host, out.standing.value, out.by) for out in found] == [
        ("node1", "SUSPECT", "Headway"),
        ("node2", "EXCLUDED", "Headway"),
        ("node3", "PAROLE", "Headway"),
        ("node4", "EXCLUDED", "me@login1"),
    ]
