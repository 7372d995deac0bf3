"""What exports hold, on every database system."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import stat
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from db.errors import DatabaseError
from db.export.about import about
from db.export.ax import write_ax
from db.export.files import replacing
from db.export.lines import json_text, write_csv, write_json
from db.export.parquet import write_parquet
from db.sql.engine import connect
from db.sql.reading import catalogue, experiments
from db.sql.reading.fields import unique_titles
from tests.db.rich import MEANS, Rich, make_rich


@pytest.fixture
def rich(engine: Engine) -> Rich:
    """An experiment with everything in it, and others beside it."""
    make_rich(engine, "earlier")
    made = make_rich(engine, "rich", run=2)
    make_rich(engine, "later", objectives=1)
    return made


class Moment:
    """One reading transaction, as a session."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def __call__(self) -> AbstractContextManager[sa.Connection]:
        return nullcontext(self.connection)


def as_csv(rich: Rich, name: str) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    with rich.engine.connect() as connection:
        table = catalogue.table(connection, rich.experiment_id, name)
        write_csv(table, Moment(connection), stream)
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))


def as_json(rich: Rich) -> dict[str, Any]:
    stream = io.StringIO()
    with rich.engine.connect() as connection:
        experiment = experiments.find(connection, rich.experiment_id)
        assert experiment is not None
        tables = [catalogue.table(connection, rich.experiment_id, name) for name in catalogue.NAMES]
        write_json(about(connection, experiment), tables, Moment(connection), stream)
    found: dict[str, Any] = json.loads(stream.getvalue())
    return found


def test_csv_has_a_line_a_trial_and_reads_back_to_the_same_numbers(rich: Rich) -> None:
    rows = as_csv(rich, "trials")
    assert [row["trial"] for row in rows] == [str(index) for index in range(8)]
    assert {int(row["trial"]): float(row["LOSS"]) for row in rows if row["LOSS"]} == MEANS
    first = rows[0]
    assert (first["flag"], first["epochs"], first["kind"]) == ("true", "7", "a")
    assert first["started_at"] == "2030-01-02T03:14:07.678901+00:00"
    assert first["note"] == "fine, isn't it"
    assert (rows[7]["LOSS"], rows[7]["host"], rows[7]["attempts"]) == ("", "", "0")


@pytest.mark.parametrize(
    ("name", "count"),
    [("outcomes", 8), ("metrics", 3), ("attempts", 9), ("generations", 2), ("events", 4)],
)
def test_each_long_table_holds_the_rows_of_this_experiment_only(
    rich: Rich, name: str, count: int
) -> None:
    assert len(as_csv(rich, name)) == count


def test_the_json_form_is_nested_and_complete(rich: Rich) -> None:
    found = as_json(rich)
    assert (found["format"], found["version"]) == ("headway-export", 1)
    head = found["experiment"]
    assert (head["name"], head["run"], head["uuid"]) == ("rich", 2, rich.uuid)
    assert head["objectives"][0] == {"name": "LOSS", "goal": "min"}
    assert [parameter["name"] for parameter in head["parameters"]][:2] == ["x", "lr"]
    assert head["constraints"] == ["x + layers <= 9.5", "x * layers <= 40"]
    assert list(found)[3:] == list(catalogue.NAMES)
    trial = found["trials"][1]
    assert trial["parameters"]["flag"] is False
    assert trial["results"] == {"LOSS": 1e-17, "ACC": 1.0}
    assert trial["sems"] == {"LOSS": 0.5, "ACC": 0.5}
    assert found["trials"][7]["results"] == {}
    assert found["events"][1]["payload"]["trials"] == [0, 1, 2]


def test_parquet_keeps_the_types(rich: Rich, tmp_path: Path) -> None:
    path = tmp_path / "trials.parquet"
    with rich.engine.connect() as connection:
        table = catalogue.table(connection, rich.experiment_id, "trials")
        write_parquet(table, Moment(connection), path)
    found = pq.read_table(path)
    kinds = {field.name: str(field.type) for field in found.schema}
    assert (kinds["x"], kinds["layers"], kinds["flag"]) == ("double", "int64", "bool")
    assert (kinds["kind"], kinds["ended_at"]) == ("string", "timestamp[us, tz=UTC]")
    values = dict(zip(found["trial"].to_pylist(), found["LOSS"].to_pylist(), strict=True))
    assert {index: value for index, value in values.items() if value is not None} == MEANS


def test_the_tables_for_ax_hold_this_experiment_only(rich: Rich, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "ax.db"
    with rich.engine.connect() as connection:
        if kind == "mysql":
            with pytest.raises(DatabaseError, match=r"no views for Ax\. Copy the exp"):
                write_ax(rich.experiment_id, Moment(connection), path)
            return
        write_ax(rich.experiment_id, Moment(connection), path)
    with sqlite3.connect(path) as target:
        names = target.execute("SELECT name, typeof(time_created) FROM experiment_v2").fetchall()
        trials = target.execute('SELECT "index", status FROM trial_v2 ORDER BY id').fetchall()
        arms = target.execute("SELECT name, parameters FROM arm_v2 ORDER BY id").fetchall()
        metrics = target.execute("SELECT DISTINCT name, minimize FROM metric_v2").fetchall()
        broken = target.execute("PRAGMA foreign_key_check").fetchall()
    target.close()
    assert names == [("rich/2", "integer")]
    assert trials == [(i, s) for i, s in enumerate((3, 3, 3, 2, 5, 4, 3, 0))]
    assert arms[0][0] == "0_0"
    assert json.loads(arms[2][1])["x"] == 0.1 * 3
    assert ("LOSS", 1) in metrics
    assert broken == []


def test_ax_can_add_rows_to_its_tables(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/database.db")
    made = make_rich(engine)
    with engine.connect() as connection:
        write_ax(made.experiment_id, Moment(connection), tmp_path / "ax.db")
    with sqlite3.connect(tmp_path / "ax.db") as target:
        target.execute(
            'INSERT INTO trial_v2 (experiment_id, "index", is_batched, num_arms_created, status, '
            "time_created) SELECT id, 99, 0, 1, 0, 0 FROM experiment_v2"
        )
        (key,) = target.execute('SELECT id FROM trial_v2 WHERE "index" = 99').fetchone()
    target.close()
    engine.dispose()
    assert key > 0


def test_two_columns_never_have_one_title() -> None:
    taken = {"host", "trial"}
    assert unique_titles(taken, "parameter", ["host", "x", "parameter_host"]) == [
        "parameter_host",
        "x",
        "parameter_parameter_host",
    ]


def test_numbers_that_are_not_finite_become_words_in_json() -> None:
    value = {"a": [float("nan"), 1.5], "b": float("-inf")}
    assert json.loads(json_text(value)) == {"a": ["nan", 1.5], "b": "-inf"}


def test_files_get_their_names_together_or_not_at_all(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("before")

    def write(*, fails: bool) -> None:
        with replacing([old, new]) as (first, second):
            first.write_text("1")
            assert old.read_text() == "before"
            second.touch(exist_ok=not fails)

    with pytest.raises(FileExistsError):
        write(fails=True)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert old.read_text() == "before"
    write(fails=False)
    assert (old.read_text(), new.read_text(), len(list(tmp_path.iterdir()))) == ("1", "", 2)


def test_a_file_is_made_anew_where_a_killed_process_left_a_link(tmp_path: Path) -> None:
    target, precious = tmp_path / "a", tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / f".a.{os.getpid()}.tmp").symlink_to(precious)
    with replacing([target], mode=0o600) as (path,):
        path.write_text("1")
    assert (target.read_text(), precious.read_text()) == ("1", "mine")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "precious"]
