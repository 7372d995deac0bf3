"""What `headway hosts` shows: how attempts ended on each host, and what keeps it out or did."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from db.sql import hosts
from db.sql.leases import database_time
from db.sql.reading.hosts import EXCLUDED, HostRow, LastFailure, rows
from db.sql.tables import Attempt, Exclusion, Host, table_of
from db.states import AttemptState, ExclusionSource, FailureClass, HostState
from tests.db.rich import Rich, make_rich
from tests.db.sql.samples import fill

PROGRAM, CANCELLED = FailureClass.PROGRAM, FailureClass.CANCELLED


@pytest.fixture
def rich(engine: sa.Engine) -> Rich:
    """Nine attempts on two hosts; of the second one an exclusion that has not begun yet."""
    return make_rich(engine)


def read(engine: sa.Engine, experiment_id: int | None = None) -> dict[str, HostRow]:
    with engine.connect() as connection:
        return {row.name: row for row in rows(connection, experiment_id)}


def forget_exclusions(engine: sa.Engine) -> None:
    """Leave only what attempts say."""
    with engine.begin() as connection:
        connection.execute(table_of(Exclusion).delete())
        connection.execute(table_of(Host).delete())


def test_attempts_are_counted_by_how_they_ended(rich: Rich) -> None:
    found = read(rich.engine)
    assert list(found) == ["node1", "node2"]
    node1, node2 = found.values()
    assert (node1.tried, node1.running, node1.succeeded) == (5, 0, 2)
    assert node1.failed == {PROGRAM: 2, CANCELLED: 1}
    assert list(node1.failed) == [PROGRAM, CANCELLED]
    assert (node2.tried, node2.running, node2.succeeded) == (4, 1, 2)
    assert node2.failed == {PROGRAM: 1}


def test_the_failure_that_came_last_is_told(rich: Rich) -> None:
    table = table_of(Attempt)
    with rich.engine.begin() as connection:
        # Planned first, and it failed after all others.
        first = table.c.id == rich.attempt_ids[2, 1]
        late = sa.select(sa.func.max(table.c.ended_at)).scalar_subquery()
        ended = connection.execute(sa.select(late)).scalar_one() + timedelta(hours=1)
        connection.execute(table.update().where(first).values(ended_at=ended))
    assert read(rich.engine)["node1"].last_failure == LastFailure(
        experiment="rich/1",
        trial=2,
        attempt=1,
        failure_class=PROGRAM,
        name="gpu_lost",
        message="exit code 1",
        ended_at=ended,
    )


def test_a_late_result_is_a_success_and_not_the_last_failure(rich: Rich) -> None:
    table = table_of(Attempt)
    with rich.engine.begin() as connection:
        where = table.c.failure_class.is_not(None)
        connection.execute(table.update().where(where).values(state=AttemptState.SUCCEEDED))
    for row in read(rich.engine).values():
        assert (row.failed, row.last_failure) == ({}, None)


def test_one_experiment_has_its_own_attempts_and_everybody_s_exclusions(rich: Rich) -> None:
    forget_exclusions(rich.engine)
    other = fill(rich.engine, "other").store.experiment_id
    assert read(rich.engine, other) == {}
    with rich.engine.begin() as connection:
        hosts.exclude(
            connection, "", "n9", source=ExclusionSource.USER, reason="loud", experiment_id=other
        )
        hosts.note_state(connection, "", "n8", HostState.SUSPECT, reason="trial 3 failed")
        hosts.note_state(connection, "", "n7", HostState.PAROLE)
        hosts.note_state(connection, "", "n7", HostState.GOOD)
    assert list(read(rich.engine, rich.experiment_id)) == ["n8", "n9", "node1", "node2"]
    assert list(read(rich.engine, other)) == ["n8", "n9"]
    assert list(read(rich.engine)) == ["n7", "n8", "n9", "node1", "node2"]
    assert read(rich.engine)["n8"].reason == "trial 3 failed"
    assert read(rich.engine, other)["n9"].history[0].experiment == "other/1"


def test_a_host_stands_as_its_exclusion_says(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        hosts.note_state(connection, "", "n1", HostState.PAROLE)
        hosts.exclude(connection, "", "n1", source=ExclusionSource.HEADWAY, reason="a", seconds=9)
    assert standing(engine) == EXCLUDED
    table = table_of(Exclusion)
    with engine.begin() as connection:
        ago = database_time(connection) - timedelta(hours=2)
        changed = table.update().values(created_at=ago, expires_at=ago + timedelta(hours=1))
        connection.execute(changed)
    assert standing(engine) == "PAROLE"
    with engine.begin() as connection:
        hosts.include(connection, "", "n1", reason="b", state=HostState.GOOD)
    assert standing(engine) == "GOOD"


def standing(engine: sa.Engine) -> str:
    return read(engine)["n1"].standing


def test_the_history_begins_with_the_oldest_and_ends_with_what_holds(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for number in range(3):
            hosts.exclude(
                connection, "", "n1", source=ExclusionSource.HEADWAY, reason=f"reason {number}"
            )
            if number < 2:
                hosts.include(connection, "", "n1", reason=f"end {number}")
    row = read(engine)["n1"]
    assert [each.reason for each in row.history] == ["reason 0", "reason 1", "reason 2"]
    assert [each.end_reason for each in row.history] == ["end 0", "end 1", None]
    assert [each.is_over for each in row.history] == [True, True, False]
    assert row.exclusion == row.history[-1]
