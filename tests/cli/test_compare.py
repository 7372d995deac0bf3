"""`headway compare`, and what one sees of groups."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import tables
from db.states import AttemptState, ExperimentStatus, FailureClass, TrialStatus
from orchestrator.cli import comparing, looking
from orchestrator.errors import UsageError
from orchestrator.reports.comparison import differences
from tests.reports.searches import BEGIN, Search, fill, local_search

pytestmark = pytest.mark.usefixtures("here")

ATTEMPT = tables.table_of(tables.Attempt)
EXPERIMENT = tables.table_of(tables.Experiment)


@pytest.fixture
def first(here: Path) -> Iterator[Search]:
    """A search of two goals that has ended after an hour."""
    made = local_search(here / "runs", goals={"LOSS": True, "SPEED": False})
    fill(made)
    requested = {"cpus": 2, "gpus": 1, "nodes": 3}
    made.execute(sa.update(ATTEMPT).values(requested=requested, measured=None, host="n1"))
    made.execute(
        sa.update(ATTEMPT)
        .where(ATTEMPT.c.state == AttemptState.STARTED)
        .values(state=AttemptState.CANCELLED, ended_at=BEGIN + timedelta(hours=1))
    )
    made.execute(sa.update(ATTEMPT).values(started_at=BEGIN, ended_at=BEGIN + timedelta(hours=1)))
    made.end(ExperimentStatus.FINISHED)
    yield made
    made.engine.dispose()


@pytest.fixture
def second(here: Path) -> Iterator[Search]:
    """Another run of that name, elsewhere, with one goal."""
    made = local_search(here / "other", name="demo", run_number=2, max_eval=20)
    made.trial(0, TrialStatus.COMPLETED, 7.5)
    yield made
    made.engine.dispose()


def compared(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert comparing.run("compare", [*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_one_row_an_experiment_from_different_run_folders(
    first: Search, second: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compared(capsys, "demo", "other/demo/2")
    one, two = found["experiments"]
    assert (one["experiment"], two["experiment"]) == ("demo/1", "demo/2")
    assert one["best"] == {"LOSS": 1.5, "SPEED": 9.0}
    assert one["best_trials"] == {"LOSS": 3, "SPEED": 2}
    assert (one["completed"], one["failed"], one["attempts"]) == (4, 1, 8)
    assert one["failures"] == {"PROGRAM": 2}
    assert (one["wall_seconds"], one["median_run_seconds"]) == (3600.0, 3600.0)
    assert one["hosts"] == ["n1"]
    assert one["generators"] == {"SOBOL": 8}
    assert two["best"] == {"RESULT": 7.5}
    assert found["differences"] == [
        {"entry": "max_eval", "values": {"demo/1": 10, "demo/2": 20}},
    ]


def test_the_cost_is_what_was_requested_times_the_time_that_it_was_held(
    first: Search, second: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = compared(capsys, "demo", "other/demo/2")["experiments"]
    assert (one["cpu_hours"], one["gpu_hours"]) == (8 * 2 * 3, 8 * 1 * 3)
    # Its attempt's request was not recorded: that is not the same as no cost.
    assert (two["cpu_hours"], two["attempts_of_unknown_cost"]) == (0, 1)


def test_the_time_that_a_worker_measured_counts_before_the_heads(
    first: Search, second: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {"wall_seconds": 1800.0}
    first.execute(sa.update(ATTEMPT).where(ATTEMPT.c.id == 1).values(measured=measured))
    one, _ = compared(capsys, "demo", "other/demo/2")["experiments"]
    assert one["cpu_hours"] == 7.5 * 2 * 3
    assert one["failures"] == {FailureClass.PROGRAM.value: 2}


def test_the_table_has_both_and_the_differences(
    first: Search, second: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    assert comparing.run("compare", ["demo", "other/demo/2"]) == 0
    text = capsys.readouterr().out
    assert "LOSS=1.5 SPEED=9" in text
    assert "Their specs differ in:" in text
    assert "max_eval      10      20" in text
    assert "The hours lack 1 attempts" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "needs two searches or more"),
        (["demo"], "needs two searches or more"),
        (["demo", "demo/1"], "compare: demo/1 is there twice"),
        (["demo", "dmo"], "there is no experiment 'dmo'"),
        (["demo", "./nowhere"], "no run folder"),
        (["demo", "demo/1", "--jsn"], "Did you mean --json?"),
    ],
)
def test_bad_input_is_answered_in_one_line(first: Search, words: list[str], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        comparing.run("compare", words)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.postgres
def test_experiments_of_one_database_are_compared(
    here: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in (1, 2):
        search = Search(url=postgres_url, run_dir=here / "far" / str(run), run_number=run)
        fill(search)
        search.engine.dispose()
    found = compared(capsys, "demo/1", "demo/2", "--db_url", postgres_url)
    assert [row["best"] for row in found["experiments"]] == [{"RESULT": 1.5}] * 2
    assert found["differences"] == []


def test_specs_differ_by_named_entries() -> None:
    def spec(upper: float, *, more: bool = False) -> dict[str, Any]:
        parameters = [{"name": "x", "kind": "range", "lower": 0, "upper": upper}]
        if more:
            parameters.append({"name": "y", "kind": "fixed", "value": 1})
        nodes = [{"generator": "SOBOL", "num_trials": 5}, {"generator": "TPE", "num_trials": None}]
        return {
            "name": str(upper),
            "space": {"parameters": parameters, "constraints": [{"text": "x < 1"}] * more},
            "strategy": {"nodes": nodes[: 1 + more]},
        }

    rows = differences({"a": spec(1.0), "b": spec(2.0, more=True)})
    assert {row["entry"]: tuple(row["values"].values()) for row in rows} == {
        "space.parameters.x.upper": (1.0, 2.0),
        "space.parameters.y.kind": (None, "fixed"),
        "space.parameters.y.value": (None, 1),
        "space.constraints": (None, ["x < 1"]),
        "strategy": ("SOBOL=5", "SOBOL=5, TPE"),
    }


def test_a_group_is_listed_filtered_and_shown(
    first: Search, second: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"group": "sweep_1", "participant": "P-7", "user_metadata": {"ticket": "HPC-1"}}
    first.execute(sa.update(EXPERIMENT).values(**values))
    plain = local_search(Path("runs").absolute(), name="plain")
    assert looking.run("list", []) == 0
    assert "sweep_1" in capsys.readouterr().out
    assert looking.run("list", ["--group", "sweep_1", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["demo"]
    assert looking.run("status", ["demo"]) == 0
    shown = capsys.readouterr().out
    assert "P-7" in shown
    assert "ticket=HPC-1" in shown
    with pytest.raises(UsageError, match=r"'sweep_2'\. Did you mean sweep_1\?"):
        looking.run("list", ["--group", "sweep_2"])
    plain.engine.dispose()


def test_parameters_keep_their_names_in_tables(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = local_search(here / "runs", goals={"val_loss": True})
    search.trial(0, TrialStatus.COMPLETED, 2.0, infos={"batch_seconds": "3"})
    assert looking.run("trials", []) == 0
    assert "val_loss  batch_seconds" in capsys.readouterr().out
    search.engine.dispose()
