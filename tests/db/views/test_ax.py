"""The window of Ax and OmniOpt2: names, values and digits, without Ax itself."""

from __future__ import annotations

import json
import math
import random
import sqlite3
import struct
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql.engine import connect, sqlite_url
from db.sql.tables import (
    Experiment,
    Objective,
    Outcome,
    Parameter,
    ParameterConstraint,
    Trial,
    table_of,
)
from db.states import OutcomeSource
from tests.db.records import SPEC, START
from tests.db.rich import MEANS, STATUSES, Rich, make_rich, points
from tests.db.views.ax_names import AX, OMNIOPT2

Row = dict[str, Any]


def rows(engine: sa.Engine, view: str, where: str = "1 = 1") -> list[Row]:
    """The rows of a view, in the order of their keys."""
    with engine.connect() as connection:
        found = connection.exec_driver_sql(f'SELECT * FROM "{view}" WHERE {where}').mappings()
        return sorted((dict(row) for row in found), key=lambda row: int(row.get("id") or 0))


def of(rich: Rich, view: str) -> list[Row]:
    """The rows of one experiment."""
    return rows(rich.engine, view, f"experiment_id = {rich.experiment_id}")


# Key and index of the first of many.
FIRST = 1000


def add_trials(rich: Rich, means: Sequence[float]) -> None:
    """Add completed trials to an experiment, with the same mean for all objectives."""
    trial, outcome = table_of(Trial), table_of(Outcome)
    with rich.engine.begin() as connection:
        (sample,) = connection.execute(trial.select().where(trial.c.id == rich.trial_ids[0]))
        places = range(FIRST, FIRST + len(means))
        new = [{**sample._asdict(), "id": place, "index": place} for place in places]
        connection.execute(trial.insert(), new)
        shared = {"source": OutcomeSource.IMPORT}
        results = [
            {"trial_id": place, "objective_id": each, "mean": mean, "sem": abs(mean), **shared}
            for place, mean in zip(places, means, strict=True)
            for each in rich.objective_ids
        ]
        connection.execute(outcome.insert(), results)


@pytest.mark.parametrize("names", [OMNIOPT2, AX], ids=["OmniOpt2", "Ax"])
def test_every_documented_table_has_every_documented_column(
    engine: sa.Engine, names: dict[str, str]
) -> None:
    inspector = sa.inspect(engine)
    missing = {
        (view, column)
        for view, columns in names.items()
        for column in columns.split()
        if column not in {each["name"] for each in inspector.get_columns(view)}
    }
    assert missing == set()


def test_the_file_of_a_run_shows_the_documented_tables(tmp_path: Path) -> None:
    connect(sqlite_url(tmp_path / "database.db")).dispose()
    with closing(sqlite3.connect(tmp_path / "database.db")) as connection:
        shown = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert shown >= OMNIOPT2.keys() | AX.keys()


def test_the_name_of_a_later_run_has_its_number(rich: Rich) -> None:
    found = rows(rich.engine, "experiment_v2")
    assert [row["name"] for row in found] == ["earlier", "rich/2", "later"]
    assert [row["is_test"] for row in found] == [0, 0, 0]
    row = found[1]
    assert (row["id"], row["description"]) == (rich.experiment_id, "Größe & 'Art'")
    assert (row["time_created"], row["status"]) == (int(START.timestamp()), 2)
    assert json.loads(row["properties"]) == {
        "immutable_search_space_and_opt_config": True,
        "headway": {
            "uuid": rich.uuid,
            "run_number": 2,
            "group": "2030_00_Wed",
            "participant": "P-7",
            "metadata": {"ticket": "HPC-1", "empty": ""},
        },
    }


def test_a_trial_has_its_number_status_reasons_and_whole_seconds(rich: Rich) -> None:
    found = of(rich, "trial_v2")
    assert [row["id"] for row in found] == rich.trial_ids
    assert [row["index"] for row in found] == list(range(8))
    assert [row["status"] for row in found] == [int(status) for status in STATUSES]
    assert [row["generation_step_index"] for row in found] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert found[3]["failed_reason"] == ("PROGRAM: exit code 1, " + "x" * 120)[:100]
    assert found[4]["abandoned_reason"] == "CANCELLED: by a person"
    reasons = [(row["failed_reason"], row["abandoned_reason"]) for row in found]
    assert [index for index, pair in enumerate(reasons) if pair != (None, None)] == [3, 4]
    began = int((START + timedelta(minutes=10)).timestamp())
    times = [found[0][f"time_{each}"] for each in ("created", "staged", "run_started", "completed")]
    assert times == [began, began + 1, began + 2, began + 62]
    assert [found[7][f"time_{each}"] for each in ("staged", "run_started", "completed")] == [
        None
    ] * 3
    assert found[5]["time_completed"] is None


def test_a_trial_tells_of_the_attempt_that_says_most(rich: Rich) -> None:
    found = [json.loads(row["run_metadata"]) for row in of(rich, "trial_v2")]
    assert [each.get("attempt") for each in found] == [1, 1, 2, 2, 1, 1, 1, None]
    assert found[2] == {
        "attempt": 2,
        "state": "SUCCEEDED",
        "slurm_job_id": "123_2",
        "host": "node2",
        "exit_code": 0,
        "signal": None,
        "failure_class": None,
        "log_path": "logs/00/3.log",
        "measured": {"wall_seconds": 60.0, "cpu_seconds": 90.5, "peak_memory_bytes": 2**30},
    }
    assert found[7] == {}


def test_a_trial_has_one_arm_with_the_parameters_as_they_were_stored(rich: Rich) -> None:
    found = of(rich, "arm_v2")
    assert [row["name"] for row in found] == [f"{index}_0" for index in range(8)]
    assert [row["parameters"] for row in found] == [json.dumps(points(i)) for i in range(8)]
    assert [row["generator_run_id"] for row in found] == rich.trial_ids
    assert {row["weight"] for row in found} == {1.0}


def test_a_trial_has_one_generator_run_with_what_its_call_told(rich: Rich) -> None:
    where = f"generation_strategy_id = {rich.experiment_id}"
    found = rows(rich.engine, "generator_run_v2", where)
    assert [row["trial_id"] for row in found] == rich.trial_ids
    assert [row["model_key"] for row in found] == ["Sobol"] * 3 + ["TPE"] * 5
    assert [row["generation_node_name"] for row in found] == ["SOBOL"] * 3 + ["TPE"] * 5
    assert (found[0]["fit_time"], found[7]["fit_time"], found[7]["gen_time"]) == (0.0, 0.25, 0.125)
    assert json.loads(found[7]["gen_metadata"]) == {
        "generation": 1,
        "seed": 4294967294,
        "requested": 5,
        "produced": 5,
        "fallback_reason": None,
    }
    assert {row["generator_run_type"] for row in found} == {None}


def test_a_trial_without_a_generator_is_a_manual_one(rich: Rich) -> None:
    with rich.engine.begin() as connection:
        connection.execute(table_of(Trial).update().values(generation_id=None))
    (row,) = rows(rich.engine, "generator_run_v2", f"trial_id = {rich.trial_ids[0]}")
    assert (row["generator_run_type"], row["model_key"], row["gen_metadata"]) == (1, None, "{}")


def test_an_abandoned_trial_is_an_abandoned_arm(rich: Rich) -> None:
    (row,) = rows(rich.engine, "abandoned_arm_v2", f"trial_id = {rich.trial_ids[4]}")
    assert (row["name"], row["abandoned_reason"]) == ("4_0", "CANCELLED: by a person")
    assert len(rows(rich.engine, "abandoned_arm_v2")) == 3


def test_a_trial_has_one_data_row_with_all_its_objectives(rich: Rich) -> None:
    found = of(rich, "data_v2")
    assert [row["trial_index"] for row in found] == list(MEANS)
    assert json.loads(found[1]["data_json"]) == {
        "trial_index": {"0": 1, "1": 1},
        "arm_name": {"0": "1_0", "1": "1_0"},
        "metric_name": {"0": "LOSS", "1": "ACC"},
        "metric_signature": {"0": "LOSS", "1": "ACC"},
        "mean": {"0": 1e-17, "1": 1.0},
        "sem": {"0": 0.5, "1": 0.5},
    }
    frames = [json.loads(row["data_json"]) for row in found]
    assert [frame["mean"]["0"] for frame in frames] == list(MEANS.values())
    assert frames[0]["sem"] == {"0": None, "1": None}
    ended = START + timedelta(minutes=10, seconds=62)
    assert found[0]["time_created"] == math.floor(ended.timestamp() * 1000)


def test_data_row_says_the_same_as_data_v2(rich: Rich) -> None:
    places = ", ".join(map(str, rich.trial_ids))
    found = rows(rich.engine, "data_row", f"trial_id IN ({places})")
    assert [row["data"] for row in found] == [row["data_json"] for row in of(rich, "data_v2")]
    assert found[0]["time_created"] == int((START + timedelta(minutes=10, seconds=62)).timestamp())


def test_every_float_comes_back_exactly(rich: Rich) -> None:
    drawn = random.Random(7)
    values = [
        *(struct.unpack("d", drawn.randbytes(8))[0] for _ in range(500)),
        *(drawn.uniform(-1, 1) * 10.0 ** drawn.randint(-9, 9) for _ in range(500)),
        *(5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1.0, -1.0, 0.0, 1e22),
    ]
    values = [value for value in values if math.isfinite(value)]
    add_trials(rich, values)
    found = [json.loads(row["data_json"]) for row in of(rich, "data_v2") if row["id"] >= FIRST]
    assert [frame["mean"]["1"] for frame in found] == values
    assert [frame["sem"]["1"] for frame in found] == [abs(value) for value in values]


def test_one_objective_is_a_metric_of_the_experiment(engine: sa.Engine) -> None:
    rich = make_rich(engine, "one", objectives=1)
    (row,) = rows(engine, "metric_v2")
    assert (row["experiment_id"], row["intent"]) == (rich.experiment_id, "objective")
    assert (row["name"], row["signature"], row["properties"]) == ("LOSS", "LOSS", "{}")
    assert (row["minimize"], row["lower_is_better"]) == (1, 1)
    assert row["scalarized_objective_id"] is None


def test_several_objectives_have_a_parent(rich: Rich) -> None:
    (parent,) = of(rich, "metric_v2")
    assert (parent["intent"], parent["name"]) == ("multi_objective", "multi_objective")
    children = rows(rich.engine, "metric_v2", f"scalarized_objective_id = {parent['id']}")
    assert [(row["name"], row["minimize"]) for row in children] == [("LOSS", 1), ("ACC", 0)]
    assert {row["experiment_id"] for row in children} == {None}
    ids = [row["id"] for row in rows(rich.engine, "metric_v2")]
    assert len(ids) == len(set(ids)) == 7


def test_parameters_have_axs_kinds_types_and_bounds(rich: Rich) -> None:
    found = {row["name"]: row for row in of(rich, "parameter_v2")}
    kinds = {name: (row["domain_type"], row["parameter_type"]) for name, row in found.items()}
    assert kinds == {
        "x": (1, 2),
        "lr": (1, 2),
        "layers": (1, 1),
        "kind": (2, 3),
        "flag": (2, 0),
        "epochs": (0, 1),
    }
    lr = found["lr"]
    assert (lr["lower"], lr["upper"], lr["log_scale"]) == (1e-9, 1.0, 1)
    assert found["x"]["log_scale"] == 0
    assert json.loads(found["kind"]["choice_values"]) == ["a", "b's", 'c"d']
    assert json.loads(found["flag"]["choice_values"]) == [False, True]
    assert found["flag"]["is_ordered"] == 0
    assert (found["epochs"]["fixed_value"], found["epochs"]["lower"]) == ("7", None)


@pytest.mark.parametrize(
    ("kind", "more", "value"),
    [
        ("fixed", {"value_type": "int", "fixed_value": {"value": 2**70}}, 2**70),
        ("fixed", {"value_type": "bool", "fixed_value": {"value": True}}, True),
        ("fixed", {"value_type": "float", "fixed_value": {"value": 0.1 + 0.2}}, 0.1 + 0.2),
        ("fixed", {"value_type": "str", "fixed_value": {"value": "ü'\"\\,]}"}}, "ü'\"\\,]}"),
        ("choice", {"value_type": "str", "choices": ["b's"]}, "b's"),
        ("choice", {"value_type": "float", "choices": [0.1 + 0.2]}, 0.1 + 0.2),
        ("range", {"value_type": "int", "lower": 3, "upper": 3, "log_scale": False}, 3),
        ("range", {"value_type": "float", "lower": 1e-5, "upper": 1e-5, "log_scale": True}, 1e-5),
    ],
)
def test_what_has_only_one_value_is_fixed(
    rich: Rich, kind: str, more: dict[str, Any], value: object
) -> None:
    row = {"experiment_id": rich.experiment_id, "position": 9, "name": "one", "kind": kind, **more}
    with rich.engine.begin() as connection:
        connection.execute(table_of(Parameter).insert().values(**row))
    found = next(row for row in of(rich, "parameter_v2") if row["name"] == "one")
    assert found["domain_type"] == 0
    assert json.loads(found["fixed_value"]) == value
    others = ("choice_values", "is_ordered", "is_task", "lower", "upper", "log_scale")
    assert {found[name] for name in others} == {None}


@pytest.mark.parametrize(
    ("coefficients", "is_there"),
    [
        ({"x": -20.0, "layers": 1.5}, True),
        ({"x": 1.0, "lr": 1.0}, False),
        ({"x": 1.0, "epochs": 1.0}, False),
        ({"lambda": 1.0}, False),
        (None, False),
        ({}, False),
    ],
)
def test_only_constraints_that_ax_takes_are_there(
    rich: Rich, coefficients: dict[str, float] | None, is_there: bool
) -> None:
    shared = {"experiment_id": rich.experiment_id, "position": 9}
    more = {"name": "lambda", "kind": "range", "value_type": "float", "lower": 0, "upper": 1}
    constraint = {"text": "of a user", "coefficients": coefficients, "bound": -100.0}
    with rich.engine.begin() as connection:
        connection.execute(table_of(Parameter).insert().values(**shared, **more, log_scale=False))
        connection.execute(table_of(ParameterConstraint).insert().values(**shared, **constraint))
    found = {row["bound"]: row for row in of(rich, "parameter_constraint_v2")}
    assert found.keys() == ({9.5, -100.0} if is_there else {9.5})
    assert json.loads(found[9.5]["constraint_dict"]) == {"x": 1.0, "layers": 1.0}
    if is_there:
        assert json.loads(found[-100.0]["constraint_dict"]) == coefficients


def test_the_strategy_shows_our_steps(rich: Rich) -> None:
    (row,) = of(rich, "generation_strategy")
    assert row["name"] == "SOBOL for 3 steps+TPE"
    assert json.loads(row["steps"]) == [
        {"generator": "SOBOL", "num_trials": 3, "min_observed": 0},
        {"generator": "TPE", "num_trials": None, "min_observed": 2},
    ]
    assert (row["curr_index"], row["curr_node_name"]) == (1, "TPE")
    assert [node["name"] for node in json.loads(row["nodes"])] == ["SOBOL", "BOTORCH_MODULAR"]
    assert json.loads(row["nodes"])[0]["transition_criteria"][0]["threshold"] == 3


def test_a_step_is_a_row(rich: Rich) -> None:
    found = rows(rich.engine, "generation_step", f"generation_strategy_id = {rich.experiment_id}")
    names = ("index", "name", "type", "minimum_trials_observed", "is_active")
    assert [tuple(row[name] for name in names) for row in found] == [
        (0, "SOBOL", "initial", 0, 0),
        (1, "TPE", "iterative", 2, 1),
    ]


def test_an_analysis_is_a_card_under_both_names(rich: Rich) -> None:
    (new,), (old,) = of(rich, "analysis_card_v2"), of(rich, "analysis_card")
    shared = ("id", "name", "title", "subtitle", "dataframe_json", "blob", "blob_annotation")
    assert [new[name] for name in shared] == [old[name] for name in shared]
    assert (new["title"], new["blob_annotation"]) == ("Which parameter matters", "plotly")
    assert json.loads(new["dataframe_json"]) == {"x": [0.5], "lr": [0.25]}
    assert new["timestamp"] == old["time_created"] == int(START.timestamp())
    assert (old["level"], old["category"], old["attributes"]) == (0, "insight", "{}")


def test_odd_names_texts_and_huge_numbers_pass_unharmed(engine: sa.Engine) -> None:
    name, metric = 'it\'s "odd" {json:x} % ü\\', "A-B"
    point = {"n": 2**70, "deep": "\\ \" ' {quoted:y} %s\n", "small": 1e-320}
    make_rich(engine)
    with engine.begin() as connection:
        connection.execute(table_of(Experiment).update().values(name=name, spec=SPEC))
        connection.execute(
            table_of(Objective).update().values(name=sa.literal(metric) + Objective.name)
        )
        connection.execute(
            table_of(Trial).update().values(parameters=point, status_reason="ü" * 300)
        )
    (row,) = rows(engine, "experiment_v2")
    assert row["name"] == name
    assert json.loads(rows(engine, "arm_v2")[0]["parameters"]) == point
    assert rows(engine, "trial_v2")[3]["failed_reason"] == "ü" * 100
    frame = json.loads(rows(engine, "data_v2")[0]["data_json"])
    assert frame["metric_name"] == {"0": "A-BLOSS", "1": "A-BACC"}


@pytest.mark.parametrize("view", ["trial_v2", "generator_run_v2", "arm_v2", "data_v2", "data_row"])
def test_ten_times_the_trials_cost_ten_times_the_work(tmp_path: Path, view: str) -> None:
    steps: list[int] = []
    for count in (200, 2000):
        engine = connect(sqlite_url(tmp_path / f"{count}.db"))
        add_trials(make_rich(engine), [0.5] * count)
        engine.dispose()
        with closing(sqlite3.connect(tmp_path / f"{count}.db")) as connection:
            steps.append(0)
            connection.set_progress_handler(lambda: steps.append(steps.pop() + 1), 100)
            connection.execute(f"SELECT * FROM {view}").fetchall()
    assert 0 < steps[0] < steps[1] < 11 * steps[0]
