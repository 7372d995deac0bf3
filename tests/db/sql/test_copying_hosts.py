"""An experiment that is copied brings its exclusions along, among those of the target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import checks, copying, hosts
from db.sql.engine import connect
from db.sql.reading.hosts import HostRow, rows
from db.sql.reading.reader import Reader
from db.states import ExclusionSource, HostState
from tests.db.sql.samples import Sample, fill

HEADWAY, USER = ExclusionSource.HEADWAY, ExclusionSource.USER


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Sample]:
    """An experiment in an SQLite file that keeps a host out."""
    engine = connect(f"sqlite:///{tmp_path}/source.db")
    sample = fill(engine, "source")
    exclude(engine, HEADWAY, experiment_id=sample.store.experiment_id)
    yield sample
    engine.dispose()


def exclude(engine: sa.Engine, source: ExclusionSource, **more: Any) -> None:
    with engine.begin() as connection:
        hosts.exclude(connection, "", "n1", source=source, reason=f"by {source}", **more)


def include(engine: sa.Engine, state: HostState = HostState.PAROLE) -> None:
    with engine.begin() as connection:
        hosts.include(connection, "", "n1", reason="repaired", state=state)


def copy(source: Sample, target: sa.Engine) -> copying.Copied:
    with Reader(source.engine).read() as reading, target.begin() as connection:
        return copying.copy_experiment(reading, connection, source.store.experiment_id)


def host(engine: sa.Engine) -> HostRow:
    """The host, in a database that nothing is wrong with."""
    with Reader(engine).read() as connection:
        about_hosts = [f for f in checks.find_all(connection, None) if "host" in f.message]
        assert about_hosts == []
        (row,) = rows(connection)
    return row


def test_an_exclusion_holds_in_the_target_until_it_ends_in_the_source(
    source: Sample, engine: sa.Engine
) -> None:
    copy(source, engine)
    assert (host(engine).standing, host(engine).history[0].experiment) == ("EXCLUDED", "source/1")
    include(source.engine)
    copy(source, engine)
    assert (host(engine).standing, host(engine).exclusion) == ("PAROLE", None)


def test_a_host_that_was_let_in_in_the_target_stays_in_there(
    source: Sample, engine: sa.Engine
) -> None:
    copy(source, engine)
    include(engine, HostState.GOOD)
    again = copy(source, engine)
    assert (host(engine).standing, host(engine).history[0].end_reason) == ("GOOD", "repaired")
    assert (again.added, again.changed) == ({}, {})


def test_a_host_that_is_out_already_stays_out_by_that_alone(
    source: Sample, engine: sa.Engine
) -> None:
    exclude(engine, USER)
    copy(source, engine)
    assert [each.reason for each in host(engine).history] == ["by HEADWAY", "by USER"]
    copied = host(engine).history[0]
    assert copied.end_reason == "in this database another exclusion kept it out already"
    again = copy(source, engine)
    assert (again.added, again.changed) == ({}, {})


def test_a_host_that_a_copied_exclusion_keeps_out_is_not_on_parole(
    source: Sample, engine: sa.Engine
) -> None:
    exclude(engine, HEADWAY)
    include(engine)
    assert host(engine).standing == "PAROLE"
    copy(source, engine)
    assert (host(engine).standing, host(engine).state) == ("EXCLUDED", HostState.SUSPECT)
