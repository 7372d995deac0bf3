"""The tables that `connect` makes are those of the migrations, and they check their words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

from db.sql import incoming, trials
from db.sql.columns import Code
from db.sql.engine import SCHEMA_VERSION, connect, make_engine, open_existing
from db.sql.tables import Base
from db.sql.upgrade import configuration, upgrade
from db.states import (
    AttemptState,
    ExperimentStatus,
    FailureClass,
    ReportKind,
    SubmissionState,
    TrialStatus,
)
from tests.db.sql.samples import Sample, tables

CHECKED: dict[tuple[str, str], list[Any]] = {
    ("experiment", "status"): list(ExperimentStatus),
    ("parameter", "kind"): ["range", "choice", "fixed"],
    ("parameter", "value_type"): ["int", "float", "str", "bool"],
    ("trial", "status"): list(TrialStatus),
    ("submission", "state"): list(SubmissionState),
    ("attempt", "state"): list(AttemptState),
    ("attempt", "failure_class"): list(FailureClass),
    ("report", "kind"): list(ReportKind),
    ("outcome", "source"): ["ATTEMPT", "IMPORT", "REUSED"],
    ("metric", "split"): ["TRAIN", "VALIDATION", "TEST"],
    ("metric", "level"): ["LAST", "STEP", "BATCH", "TRIAL"],
}
WORDS = [
    pytest.param(
        table, column, [getattr(word, "value", word) for word in words], id=f"{table}.{column}"
    )
    for (table, column), words in CHECKED.items()
]
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
        checks = {
            check["name"]: check["sqltext"] for check in inspector.get_check_constraints(name)
        }
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
    return {key: str(value) for key, value in index.get("dialect_options", {}).items()}


def test_the_migrations_make_exactly_the_tables_of_the_code(upgraded: sa.Engine) -> None:
    with upgraded.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_the_migrations_make_the_same_checks_and_indexes(upgraded: sa.Engine) -> None:
    by_migration = constraints(upgraded)
    with upgraded.begin() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    assert by_migration == constraints(upgraded)
    assert by_migration["trial"][0].keys() >= {"ck_trial_status"}


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
    return sample


@pytest.mark.parametrize(("table", "column", "words"), WORDS)
def test_a_checked_column_takes_its_own_words_and_no_other(
    filled: Sample, table: str, column: str, words: list[str | int]
) -> None:
    wrong = 6 if isinstance(words[0], int) else "NONSENSE"
    for word in words:
        assert put(filled.engine, table, column, word) > 0
    with pytest.raises(IntegrityError, match=rf"(?i)ck_{table}_|check constraint"):
        put(filled.engine, table, column, wrong)


def put(engine: sa.Engine, table: str, column: str, word: str | int) -> int:
    """Set a column in all rows, past SQLAlchemy's own look at the value; takes it back."""
    with engine.connect() as connection:
        statement = sa.text(f'UPDATE "{table}" SET "{column}" = :word')
        return connection.execute(statement, {"word": word}).rowcount


def test_every_column_with_an_enum_is_checked() -> None:
    enums = {
        (table.name, column.name)
        for table in tables().values()
        for column in table.columns
        if isinstance(column.type, sa.Enum | Code)
    }
    assert enums <= CHECKED.keys()
