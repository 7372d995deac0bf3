"""The tables that `connect` makes are those of the migrations, and they check their words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError, OperationalError

from db import views
from db.sql import incoming, trials
from db.sql.columns import Code
from db.sql.engine import SCHEMA_VERSION, connect, make_engine, open_existing
from db.sql.tables import Base, Card, Exclusion, Host, StrategySnapshot
from db.sql.upgrade import configuration, upgrade
from db.states import (
    AttemptState,
    CardKind,
    ExclusionSource,
    ExperimentStatus,
    FailureClass,
    HostState,
    Level,
    OutcomeSource,
    ParameterKind,
    ReportKind,
    SnapshotReason,
    Split,
    SubmissionState,
    TrialStatus,
    ValueType,
)
from tests.db.released import VERSIONS
from tests.db.sql.samples import NOW, Sample, tables

CHECKED: dict[tuple[str, str], list[Any]] = {
    ("experiment", "status"): list(ExperimentStatus),
    ("parameter", "kind"): list(ParameterKind),
    ("parameter", "value_type"): list(ValueType),
    ("trial", "status"): list(TrialStatus),
    ("submission", "state"): list(SubmissionState),
    ("attempt", "state"): list(AttemptState),
    ("attempt", "failure_class"): list(FailureClass),
    ("report", "kind"): list(ReportKind),
    ("outcome", "source"): list(OutcomeSource),
    ("metric", "split"): list(Split),
    ("metric", "level"): list(Level),
    ("host", "state"): list(HostState),
    ("exclusion", "source"): list(ExclusionSource),
    ("strategy_snapshot", "reason"): list(SnapshotReason),
    ("card", "kind"): list(CardKind),
}
WORDS = [
    pytest.param(
        table, column, [getattr(word, "value", word) for word in words], id=f"{table}.{column}"
    )
    for (table, column), words in CHECKED.items()
]
# PostgreSQL writes them in another place after a dump was loaded.
CASTS = re.compile(r"::(character varying|text)(\[\])?|[()]")
METRIC = {
    "name": "loss",
    "value": 0.5,
    "split": "TRAIN",
    "level": "STEP",
    "step": 1,
    "at": "2030-01-02T03:04:05.678901+00:00",
}


@pytest.fixture
def upgraded(empty_url: str) -> Iterator[sa.Engine]:
    engine = make_engine(empty_url)
    with engine.begin() as connection:
        upgrade(connection)
    yield engine
    engine.dispose()


def constraints(engine: sa.Engine) -> dict[str, Any]:
    """What autogenerate does not compare: checks, and the conditions of indexes."""
    inspector = sa.inspect(engine)
    found: dict[str, Any] = {}
    for name in tables():
        checks = sorted(
            (str(check["name"]), CASTS.sub("", check["sqltext"]))
            for check in inspector.get_check_constraints(name)
        )
        indexes = {
            index["name"]: (index["column_names"], index["unique"], _words(index))
            for index in inspector.get_indexes(name)
        }
        uniques = {
            each["name"]: each["column_names"] for each in inspector.get_unique_constraints(name)
        }
        keys = sorted(str(each) for each in inspector.get_foreign_keys(name))
        found[name] = (checks, indexes, uniques, keys)
    return found


def _words(index: Any) -> dict[str, str]:
    """The options of an index as texts; a condition is an object that equals nothing else."""
    options = index.get("dialect_options", {})
    return {key: CASTS.sub("", str(value)) for key, value in options.items()}


def test_the_migrations_make_exactly_the_tables_of_the_code(upgraded: sa.Engine) -> None:
    with upgraded.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_the_migrations_make_the_same_checks_and_indexes(
    upgraded: sa.Engine, empty_url: str
) -> None:
    by_migration = constraints(upgraded)
    with upgraded.begin() as connection:
        views.drop(connection)
        Base.metadata.drop_all(connection)
        connection.execute(sa.text("DROP TABLE alembic_version"))
    connect(empty_url).dispose()
    assert by_migration == constraints(upgraded)
    assert "ck_trial_status" in dict(by_migration["trial"][0])


def test_a_migrated_database_is_opened_like_any_other(upgraded: sa.Engine, empty_url: str) -> None:
    open_existing(empty_url).dispose()
    connect(empty_url).dispose()


def test_upgrading_what_is_up_to_date_changes_nothing(engine: sa.Engine) -> None:
    before = constraints(engine)
    with engine.begin() as connection:
        upgrade(connection)
    assert constraints(engine) == before


def test_the_version_in_the_code_is_that_of_the_newest_migration(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        scripts = ScriptDirectory.from_config(configuration(connection))
    assert scripts.get_heads() == [SCHEMA_VERSION]
    # There is a dump of each that was released before.
    assert [each.revision for each in scripts.walk_revisions()][:0:-1] == VERSIONS


@pytest.fixture
def filled(sample: Sample) -> Sample:
    """A row in every table that has checked words."""
    report = {
        "attempt_id": sample.attempt_ids[0],
        "kind": ReportKind.METRIC,
        "sequence": 0,
        "payload": {"metrics": [METRIC]},
    }
    with sample.store.write() as connection:
        incoming.store(connection, [report])
        (found,) = incoming.waiting(connection, sample.store.experiment_id)
        incoming.add_metrics(connection, found, found.payload["metrics"])
        trials.add_outcomes(
            connection,
            sample.trial_ids[0],
            attempt_id=sample.attempt_ids[0],
            means={sample.objective_ids["LOSS"]: 0.5},
            sems={},
        )
        add_rest(connection, sample.store.experiment_id)
    return sample


def add_rest(connection: sa.Connection, experiment_id: int) -> None:
    """A host that is kept out, a snapshot and a card."""
    mine = {"experiment_id": experiment_id, "created_at": NOW}
    host = {"id": 1, "cluster": "", "name": "node1", "state": HostState.GOOD}
    rows: list[tuple[type[Base], dict[str, Any]]] = [
        (Host, {**host, "first_seen_at": NOW, "changed_at": NOW}),
        (Exclusion, {**mine, "host_id": 1, "source": ExclusionSource.USER, "reason": "loud"}),
        (
            StrategySnapshot,
            {
                **mine,
                "reason": SnapshotReason.HEAD_END,
                "node": 0,
                "generator": "SOBOL",
                "document": {},
            },
        ),
        (Card, {**mine, "name": "Best", "title": "Best", "kind": CardKind.TABLE}),
    ]
    for model, row in rows:
        connection.execute(sa.insert(model).values(**row))


@pytest.mark.parametrize(("table", "column", "words"), WORDS)
def test_a_checked_column_takes_its_own_words_and_no_other(
    filled: Sample, table: str, column: str, words: list[str | int]
) -> None:
    wrong = 6 if isinstance(words[0], int) else "NONSENSE"
    for word in words:
        assert put(filled.engine, table, column, word) > 0
    # pymysql has no word of its own for a broken check.
    refused = (IntegrityError, OperationalError)
    with pytest.raises(refused, match=rf"(?i)ck_{table}_|check constraint"):
        put(filled.engine, table, column, wrong)


def put(engine: sa.Engine, table: str, column: str, word: str | int) -> int:
    """Set a column in all rows, past SQLAlchemy's own look at the value; takes it back."""
    place = sa.table(table, sa.column(column))
    with engine.connect() as connection:
        return connection.execute(sa.update(place).values({column: word})).rowcount


def test_every_column_with_an_enum_is_checked() -> None:
    enums = {
        (table.name, column.name)
        for table in tables().values()
        for column in table.columns
        if isinstance(column.type, sa.Enum | Code)
    }
    assert enums <= CHECKED.keys()
