"""What machinable's page does with its SQLite file works on a database of Headway."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path, PurePath

import sqlalchemy as sa
from sqlalchemy import text

from db.sql.engine import connect, sqlite_url
from tests.db.records import START
from tests.db.rich import Rich, make_rich, points

STATEMENT = "SELECT * FROM experiments ORDER BY timestamp LIMIT 3"


def experiments(rich: Rich) -> list[sa.RowMapping]:
    """The trials of one run, in their order."""
    query = "SELECT * FROM experiments WHERE directory = '/runs/rich/2' ORDER BY id"
    with rich.engine.connect() as connection:
        return list(connection.execute(text(query)).mappings())


def test_the_statement_of_the_page_gives_directories_in_the_second_column(rich: Rich) -> None:
    with rich.engine.connect() as connection:
        recent = [x[1] for x in connection.execute(text(STATEMENT))]
    # The first trial of each of three experiments, which began at the same time.
    assert sorted(recent) == ["/runs/earlier/1", "/runs/later/1", "/runs/rich/2"]


def test_the_file_of_a_run_answers_without_headway(tmp_path: Path) -> None:
    engine = connect(sqlite_url(tmp_path / "database.db"))
    make_rich(engine)
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "database.db")) as connection:
        assert [x[1] for x in connection.execute(STATEMENT)] == ["/runs/rich/1"] * 3


def test_an_experiment_is_a_trial(rich: Rich) -> None:
    rows = experiments(rich)
    assert [row["id"] for row in rows] == rich.trial_ids
    assert [row["experiment_id"] for row in rows] == [f"{rich.uuid}/{i}" for i in range(8)]
    assert [json.loads(row["config"]) for row in rows] == [points(i) for i in range(8)]
    assert {row["module"] for row in rows} == {"rich"}
    assert {row["group_path"] for row in rows} == {"2030_00_Wed"}
    assert rows[0]["seed"] == 4294967295


def test_the_timestamp_is_in_whole_seconds_and_never_rounded_up(rich: Rich) -> None:
    assert START.microsecond > 500_000
    stamps = [row["timestamp"] for row in experiments(rich)]
    assert stamps == [int(START.timestamp()) + 600 * (i + 1) for i in range(8)]
    assert {type(stamp) for stamp in stamps} == {int}


def test_the_log_is_that_of_the_latest_attempt(rich: Rich) -> None:
    rows = experiments(rich)
    logs = [PurePath(row["log_path"]).name for row in rows[:7]]
    # Trials 2 and 3 have two attempts.
    assert logs == ["0.log", "1.log", "3.log", "5.log", "6.log", "7.log", "8.log"]
    assert rows[0]["log_path"].startswith("/runs/rich/2/logs/")
    assert rows[7]["log_path"] is None


def test_what_has_not_ended_has_no_end(rich: Rich) -> None:
    rows = experiments(rich)
    assert [row["finished_at"] is None for row in rows] == [*[False] * 5, True, False, True]
    assert [row["started_at"] is None for row in rows] == [*[False] * 7, True]
