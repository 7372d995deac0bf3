"""Experiments are copied from every database system to every other one, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.errors import DatabaseError
from db.sql import checks, copying
from db.sql.copying import Copied
from db.sql.engine import connect
from db.sql.reading.reader import Reader
from db.sql.tables import (
    Attempt,
    Base,
    Card,
    Event,
    Exclusion,
    Experiment,
    Generation,
    HeadLease,
    Host,
    Metric,
    Outcome,
    Report,
    Submission,
    Trial,
)
from db.sql.trials import parameter_hash
from db.states import AttemptState, ExperimentStatus, HostState, TrialStatus
from tests.db.records import START
from tests.db.rich import Rich, make_rich, points

ROOT = Path(__file__).parents[3]
# What rows of one database call rows of another table, by what is the same everywhere.
NAMES = {
    "experiment": ("uuid",),
    "objective": ("experiment_id", "name"),
    "generation": ("experiment_id", "number"),
    "trial": ("experiment_id", "index"),
    "submission": ("token",),
    "attempt": ("token",),
    "host": ("cluster", "name"),
    "card": ("title",),
}
IN_ORDER = ("event", "outcome", "metric", "artifact", "strategy_snapshot", "card")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
    ]
)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database to copy into, on every system."""
    server = None
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/target.db"
    else:
        server = request.getfixturevalue(f"{request.param}_server")
        url = server.create() if request.param == "mysql" else server.clone()
    engine = connect(url)
    yield engine
    engine.dispose()
    if server is not None:
        server.drop(url)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[tuple[Rich, sa.Engine]]:
    """An experiment in an SQLite file, and another such file."""
    source, target = (connect(f"sqlite:///{tmp_path}/{name}.db") for name in ("from", "to"))
    yield make_rich(source), target
    source.dispose()
    target.dispose()


def copy(rich: Rich, target: sa.Engine) -> Copied:
    with Reader(rich.engine).read() as source, target.begin() as connection:
        return copying.copy_experiment(source, connection, rich.experiment_id)


def contents(engine: sa.Engine, uuid: str | None = None) -> dict[str, list[Any]]:
    """All rows of a database, or those of an experiment, by names instead of keys."""
    with engine.connect() as connection:
        rows = {
            table.name: [dict(row) for row in connection.execute(by_key(table)).mappings()]
            for table in Base.metadata.sorted_tables
            if table.name != "head_lease"
        }
    names: dict[str, dict[int, Any]] = {}
    for table, columns in NAMES.items():
        names[table] = {}
        for row in rows[table]:
            parts = [
                names["experiment"][row[c]] if c == "experiment_id" else row[c] for c in columns
            ]
            names[table][row["id"]] = tuple(parts)
    told = {table: [told_row(row, names) for row in found] for table, found in rows.items()}
    if uuid is not None:
        # Tokens begin with it too.
        told |= {
            t: [r for r in found if uuid[:8] in repr(r)] for t, found in told.items() if t != "host"
        }
    return {t: found if t in IN_ORDER else sorted(found, key=repr) for t, found in told.items()}


def by_key(table: sa.Table) -> Any:
    return sa.select(table).order_by(table.c.id)


def told_row(row: dict[str, Any], names: dict[str, dict[int, Any]]) -> dict[str, Any]:
    tables = {"reused_trial_id": "trial", "parent_id": "card"}
    told = {}
    for column, value in row.items():
        if column == "id" or value is None:
            continue
        table = tables.get(column, column.removesuffix("_id"))
        told[column] = names[table][value] if column.endswith("_id") and table in names else value
        for field in ("attempt", "by"):
            if column == "payload" and isinstance(value.get(field), int):
                told[column] = {**told[column], field: names["attempt"][value[field]]}
        if column == "evidence" and "attempts" in value:
            told[column] = {"attempts": [names["attempt"][key] for key in value["attempts"]]}
    return told


def keys(engine: sa.Engine) -> dict[str, set[int]]:
    tables = [t for t in Base.metadata.sorted_tables if t.name != "head_lease"]
    with engine.connect() as connection:
        return {t.name: set(connection.execute(sa.select(t.c.id)).scalars()) for t in tables}


def change(rich: Rich, *statements: Any) -> None:
    with rich.engine.begin() as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0


def go_on(rich: Rich) -> None:
    """What a head does in an hour: a trial ends, another begins, a host is let in again."""
    trial, attempt = rich.trial_ids[5], rich.attempt_ids[5, 1]
    late = START + timedelta(hours=3)
    point = points(8) | {"x": 0.25, "layers": 2}
    event = {"experiment_id": rich.experiment_id, "created_at": late}
    change(
        rich,
        sa.update(Trial)
        .where(Trial.id == trial)
        .values(status=TrialStatus.COMPLETED, completed_at=late),
        sa.update(Attempt)
        .where(Attempt.id == attempt)
        .values(state=AttemptState.SUCCEEDED, ended_at=late, exit_code=0),
        sa.insert(Outcome).values(
            [
                {"trial_id": trial, "objective_id": key, "mean": 1 / 3, "source": "ATTEMPT"}
                | {"attempt_id": attempt}
                for key in rich.objective_ids
            ]
        ),
        sa.insert(Report).values(
            attempt_id=attempt,
            kind="END",
            sequence=0,
            payload={},
            created_at=late,
            consumed_at=late,
        ),
        sa.insert(Event).values(
            kind="tell", trial_id=trial, payload={"attempt": attempt, "trial_index": 5}, **event
        ),
        sa.insert(Generation).values(
            number=2, node=1, generator="TPE", requested=1, produced=1, seed=9, **event
        ),
        sa.insert(Trial).values(
            index=8, parameters=point, parameter_hash=parameter_hash(point), status=0, **event
        ),
        sa.update(Trial)
        .where(Trial.index == 8, Trial.experiment_id == rich.experiment_id)
        .values(generation_id=sa.select(sa.func.max(Generation.id)).scalar_subquery()),
        sa.update(Exclusion).values(ended_at=late, end_reason="the fan was mended"),
        sa.update(Experiment)
        .where(Experiment.id == rich.experiment_id)
        .values(status=ExperimentStatus.RUNNING, ended_at=None),
    )


def findings(engine: sa.Engine) -> list[Any]:
    with Reader(engine).read() as connection:
        return list(checks.find_all(connection, None))


def test_everything_is_copied_from_each_system_to_each(
    engine: sa.Engine, target: sa.Engine
) -> None:
    make_rich(engine, "before")
    rich = make_rich(engine)
    change(rich, sa.update(Host).values(evidence={"attempts": [rich.attempt_ids[3, 2]]}))
    assert copy(rich, target).is_new
    assert contents(target) == contents(engine, rich.uuid)
    assert findings(target) == []
    before = keys(target)
    again = copy(rich, target)
    assert (again.is_new, again.added, again.changed) == (False, {}, {})
    go_on(rich)
    assert copy(rich, target).added["outcome"] == 2
    assert contents(target) == contents(engine, rich.uuid)
    assert findings(target) == []
    after = keys(target)
    assert all(before[table] <= after[table] for table in before)


def test_what_is_in_the_target_stays_as_it_is(files: tuple[Rich, sa.Engine]) -> None:
    rich, target = files
    make_rich(target, "resident")
    before = contents(target)
    copy(rich, target)
    after = contents(target)
    for table, rows in before.items():
        assert all(row in after[table] for row in rows)
    assert findings(target) == []


def test_a_copied_experiment_has_no_head(files: tuple[Rich, sa.Engine]) -> None:
    rich, target = files
    copy(rich, target)
    with target.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(HeadLease)).scalar() == 0


def test_a_run_number_that_is_taken_gets_the_next_free_one(files: tuple[Rich, sa.Engine]) -> None:
    rich, target = files
    change(
        rich,
        sa.update(Experiment).values(uuid="another"),
        sa.update(Submission).values(token="another"),
        sa.update(Attempt).values(token=Attempt.token + "+"),
    )
    for run in (1, 4):
        make_rich(target, run=run)
    copied = copy(rich, target)
    assert (copied.label, copied.target_label) == ("rich/1", "rich/5")
    assert copy(rich, target).target_label == "rich/5"


def test_keys_of_attempts_in_events_become_those_of_the_target(
    files: tuple[Rich, sa.Engine],
) -> None:
    rich, target = files
    make_rich(target, "resident")
    payload = {"by": rich.attempt_ids[2, 2], "attempt": rich.attempt_ids[2, 1], "attempts": [1, 99]}
    row = {"experiment_id": rich.experiment_id, "kind": "superseded", "created_at": START}
    change(rich, sa.insert(Event).values(payload=payload, **row))
    copy(rich, target)
    with target.connect() as connection:
        found = connection.execute(sa.select(Event.payload).order_by(Event.id.desc())).scalar()
        numbers = dict(connection.execute(sa.select(Attempt.id, Attempt.number)).all())
    assert found is not None
    assert found["by"] != payload["by"]
    assert (numbers[found["by"]], numbers[found["attempt"]]) == (2, 1)
    assert found["attempts"][0] > 9
    assert found["attempts"][1] == 99  # nobody's key stays as it is


def test_a_row_that_was_committed_late_is_not_missed(files: tuple[Rich, sa.Engine]) -> None:
    rich, target = files
    change(rich, sa.update(Event).where(Event.id >= 3).values(id=Event.id + 100))
    copy(rich, target)
    row = {"experiment_id": rich.experiment_id, "created_at": START, "payload": {}}
    change(rich, sa.insert(Event).values(id=50, kind="late", **row))
    assert copy(rich, target).added == {"event": 1}
    change(rich, sa.insert(Event).values(id=500, kind="last", **row))
    assert copy(rich, target).added == {"event": 1}
    assert copy(rich, target).added == {}
    kinds = [event["kind"] for event in contents(target)["event"]]
    assert kinds == ["setup", "ask", "tell", "exit", "late", "last"]


def test_a_target_that_is_further_is_left_alone(files: tuple[Rich, sa.Engine]) -> None:
    rich, target = files
    copy(rich, target)
    go_on(rich)
    copied = copy(rich, target)
    back = Rich(**{**vars(rich), "engine": target, "experiment_id": 1})
    assert copied.added["trial"] == 1
    change(rich, sa.delete(Event).where(Event.kind == "exit"))
    with pytest.raises(DatabaseError, match=r"further than the source: 5 events against 4"):
        copy(rich, target)
    change(rich, sa.update(HeadLease).values(pid=0))
    assert copy(back, rich.engine).added == {"event": 1}


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(Trial).where(Trial.index == 3).values(parameter_hash="other"),
        sa.update(Attempt).where(Attempt.id == 3).values(token="other"),
        sa.update(Metric).where(Metric.step == 1).values(value=7.0),
        sa.update(Submission).values(token="other"),
    ],
)
def test_experiments_that_went_different_ways_are_not_mixed(
    files: tuple[Rich, sa.Engine], statement: Any
) -> None:
    rich, target = files
    copy(rich, target)
    before = contents(target)
    change(rich, statement)
    with pytest.raises(DatabaseError):
        copy(rich, target)
    assert contents(target) == before


def test_an_experiment_whose_head_is_alive_in_the_target_is_left_alone(
    files: tuple[Rich, sa.Engine],
) -> None:
    rich, target = files
    copy(rich, target)
    later = datetime.now(UTC) + timedelta(minutes=1)
    lease = {"host": "there", "boot_id": "b", "pid": 7, "process_started": 1, "epoch": 1}
    with target.begin() as connection:
        connection.execute(sa.update(Experiment).values(run_number=7))
        connection.execute(sa.insert(HeadLease).values(experiment_id=1, expires_at=later, **lease))
    with pytest.raises(DatabaseError, match="a head on there owns rich/7"):
        copy(rich, target)


def test_the_newer_judgement_of_a_host_counts(files: tuple[Rich, sa.Engine]) -> None:
    rich, target = files
    make_rich(target, "resident")
    older, newer = START - timedelta(days=1), START + timedelta(days=1)
    change(rich, sa.update(Host).values(reason="old", first_seen_at=older, changed_at=older))
    copy(rich, target)
    assert [h["reason"] for h in contents(target)["host"]] == ["trial 3 failed there"]
    assert contents(target)["host"][0]["first_seen_at"] == older
    change(rich, sa.update(Host).values(state=HostState.GOOD, reason="new", changed_at=newer))
    copy(rich, target)
    assert [h["reason"] for h in contents(target)["host"]] == ["new"]


def test_a_card_stays_within_its_parent(files: tuple[Rich, sa.Engine]) -> None:
    rich, target = files
    part = {
        "experiment_id": rich.experiment_id,
        "name": "Part",
        "kind": "TABLE",
        "created_at": START,
    }
    change(
        rich,
        sa.insert(Card).values(title="part 1", parent_id=1, **part),
        sa.insert(Card).values(title="part 2", parent_id=2, **part),
    )
    copy(rich, target)
    assert copy(rich, target).added == {}
    assert contents(target)["card"] == contents(rich.engine)["card"]


def test_a_character_that_postgresql_cannot_hold_is_replaced(
    files: tuple[Rich, sa.Engine], postgres_url: str
) -> None:
    rich, _ = files
    change(rich, sa.update(Attempt).values(failure_message="a\0b"))
    target = connect(postgres_url)
    copy(rich, target)
    assert copy(rich, target).changed == {}
    assert {row["failure_message"] for row in contents(target)["attempt"]} == {"a\ufffdb"}
    target.dispose()


def test_a_copy_that_is_killed_leaves_the_target_as_it_was(files: tuple[Rich, sa.Engine]) -> None:
    rich, target = files
    copy(rich, target)
    before = contents(target)
    go_on(rich)
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from db.sql import copying
from db.sql.engine import connect
source, target = (connect(url) for url in sys.argv[1:])
with source.connect() as mine, target.begin() as theirs:
    copying.copy_experiment(mine, theirs, {rich.experiment_id})
    os.kill(os.getpid(), signal.SIGKILL)
"""
    urls = [str(engine.url) for engine in (rich.engine, target)]
    done = subprocess.run([sys.executable, "-I", "-c", script, *urls])
    assert done.returncode == -9
    assert contents(target) == before
    copy(rich, target)
    assert contents(target) == contents(rich.engine)
