"""docs/database.md says what the code says, and its SQL answers what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.description import CHAPTERS, MARK, enum_of, fill, meanings, render
from db.sql.engine import connect, sqlite_url
from db.sql.tables import Attempt, Base, table_of
from db.views import VIEWS
from tests.db.rich import MEANS, Rich, make_rich
from tests.main_job.runs import ROOT

PATH = ROOT / "docs" / "database.md"
PAGE = PATH.read_text()
EXAMPLES = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)
REQUESTED = {"cpus": 2, "gpus": 1, "nodes": 3, "memory_mb": 1024}


def test_the_page_is_what_make_docs_would_write() -> None:
    assert fill(PAGE) == PAGE, "docs/database.md is stale: run `make docs`"


def test_make_docs_writes_a_stale_page_anew_and_keeps_its_first_half(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{MARK}\n\nstale\n")
    subprocess.run([sys.executable, "-m", "db.description", str(page)], cwd=ROOT, check=True)
    assert page.read_text() == f"# By hand\n\n{MARK}\n\n{render()}"


def test_a_page_without_the_mark_is_left_alone() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        fill("# Something else\n")


def test_every_table_has_its_place_on_the_page() -> None:
    placed = [name for names in CHAPTERS.values() for name in names]
    assert sorted(placed) == sorted(Base.metadata.tables)


def test_every_table_view_and_column_is_on_the_page() -> None:
    described = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE))
    assert described.keys() == Base.metadata.tables.keys() | VIEWS.keys()
    for table in Base.metadata.tables.values():
        for column in table.columns:
            assert f"| `{column.name}` |" in described[table.name]


def test_every_checked_word_has_a_meaning() -> None:
    enums = {enum_of(c) for table in Base.metadata.tables.values() for c in table.columns} - {None}
    assert len(enums) > 10
    for enum in enums:
        assert enum is not None
        assert meanings(enum).keys() == enum.__members__.keys(), enum


def test_the_links_within_the_page_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert len(links) == 4
    assert set(links) <= anchors


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres_url", marks=pytest.mark.postgres),
        pytest.param("mysql_url", marks=pytest.mark.mysql),
    ]
)
def rich(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rich]:
    is_file = request.param == "sqlite"
    url = sqlite_url(tmp_path / "a.db") if is_file else request.getfixturevalue(request.param)
    engine = connect(url)
    make_rich(engine, "other")
    made = make_rich(engine, "NAME")
    with engine.begin() as connection:
        connection.execute(table_of(Attempt).update().values(requested=REQUESTED))
    yield made
    engine.dispose()


def spelled(rich: Rich, statement: str) -> str:
    """An example as this database takes it: the page says what MariaDB wants instead."""
    if rich.engine.dialect.name not in {"mysql", "mariadb"}:
        return statement
    return re.sub(r"([\w.]+) ->> '(\w+)'", r"JSON_VALUE(\1, '$.\2')", statement).replace(
        '"index"', "`index`"
    )


def answer(rich: Rich, word: str) -> list[Any]:
    """The rows of the one example that holds this word."""
    (statement,) = [each for each in EXAMPLES if word in each]
    with rich.engine.connect() as connection:
        return list(connection.exec_driver_sql(spelled(rich, statement)).mappings())


def test_every_example_runs_and_answers_something(rich: Rich) -> None:
    assert len(EXAMPLES) >= 5
    for statement in EXAMPLES:
        with rich.engine.connect() as connection:
            assert connection.exec_driver_sql(spelled(rich, statement)).fetchall(), statement


def test_the_best_trials_come_in_their_order(rich: Rich) -> None:
    rows = answer(rich, "LIMIT 10")
    assert [(row["trial"], row["loss"]) for row in rows] == sorted(
        MEANS.items(), key=lambda item: item[1]
    )


def test_the_failures_are_counted_by_host(rich: Rich) -> None:
    found = [tuple(row.values()) for row in answer(rich, "GROUP BY a.host")]
    # Two experiments, each with three failed programs and a cancelled one.
    assert found == [
        ("node1", "PROGRAM", 4),
        ("node1", "CANCELLED", 2),
        ("node2", "PROGRAM", 2),
    ]


def test_the_cost_is_in_hours_of_all_cpus_and_gpus(rich: Rich) -> None:
    rows = answer(rich, "cpu_hours")
    assert [(row["name"], row["attempts"]) for row in rows] == [("NAME", 9), ("other", 9)]
    # Each attempt held three nodes for a minute.
    assert [row["cpu_hours"] for row in rows] == pytest.approx([9 * 3 * 2 / 60] * 2)
    assert [row["gpu_hours"] for row in rows] == pytest.approx([9 * 3 * 1 / 60] * 2)


def test_the_tries_of_one_trial_are_told(rich: Rich) -> None:
    rows = answer(rich, '"index" = 3')
    assert [(row["number"], row["state"], row["host"]) for row in rows] == [
        (1, "FAILED", "node1"),
        (2, "FAILED", "node2"),
    ]


def test_the_calls_of_each_generator_are_summed(rich: Rich) -> None:
    rows = answer(rich, "GROUP BY g.generator")
    assert [(row["generator"], row["points"], row["seconds"]) for row in rows] == [
        ("TPE", 5, 0.375),
        ("SOBOL", 3, 0.125),
    ]


def test_the_database_is_asked_as_the_page_says(tmp_path: Path) -> None:
    """`sqlite3 -readonly` opens the file of a run."""
    path = tmp_path / "database.db"
    connect(sqlite_url(path)).dispose()
    command = ["sqlite3", "-readonly", str(path), "SELECT count(*) FROM experiment"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0\n"
