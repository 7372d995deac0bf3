"""What AEPsych's page "Database Overview" prints works on a database of Headway.

The statements are the page's own, with its name and id replaced.
"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy import text

from db.views import aepsych
from tests.db.records import SPEC, START
from tests.db.rich import MEANS, Rich, points

DOCUMENTED = {
    "master": (
        "unique_id experiment_name experiment_description experiment_id participant_id"
        " extra_metadata"
    ),
    "replay_data": "unique_id timestamp message_type message_contents extra_info master_table_id",
    "strat_data": "unique_id timestamp strat master_table_id",
    "config": "unique_id timestamp config master_table_id",
    "raw_data": "unique_id timestamp master_table_id parameter_id model_data",
    "param_data": "unique_id iteration_id parameter_name parameter_value param_name param_value",
    "outcome_data": "unique_id iteration_id outcome_value outcome_name",
}
PARAMETERS = """
SELECT iteration_id, param_name, param_value FROM param_data
WHERE iteration_id IN (SELECT unique_id FROM raw_data WHERE master_table_id = (
    SELECT unique_id FROM master WHERE experiment_id = '6dcb1a77-5590-4e30-a740-21fe7bc43357'
)) ORDER BY iteration_id
"""
OUTCOMES = """
SELECT iteration_id, outcome_name, outcome_value FROM outcome_data
WHERE iteration_id IN
(SELECT unique_id FROM raw_data WHERE master_table_id =
    (SELECT unique_id FROM master WHERE experiment_id = '6dcb1a77-5590-4e30-a740-21fe7bc43357')
) ORDER BY iteration_id
"""
WIDE = """
SELECT iteration_id,
    MAX(CASE WHEN param_name = 'theta1' THEN param_value ELSE NULL END) AS theta1,
    MAX(CASE WHEN param_name = 'theta2' THEN param_value ELSE NULL END) AS theta2,
    MAX(CASE WHEN outcome_name = 'outcome' THEN outcome_value ELSE NULL END) AS outcome
FROM
(
    SELECT od.iteration_id AS iteration_id,
    param_name, param_value, outcome_name, outcome_value
    FROM param_data AS pd
    INNER JOIN outcome_data AS od
    ON pd.iteration_id = od.iteration_id
    WHERE pd.iteration_id IN
    (SELECT unique_id FROM raw_data WHERE master_table_id = (
       SELECT unique_id FROM master
       WHERE experiment_id = '6dcb1a77-5590-4e30-a740-21fe7bc43357')
    )
) GROUP BY iteration_id ORDER BY iteration_id
"""
THEIRS = {
    "6dcb1a77-5590-4e30-a740-21fe7bc43357": "{uuid}",
    "theta1": "x",
    "theta2": "lr",
    "'outcome'": "'LOSS'",
}


def asked(rich: Rich, statement: str) -> str:
    """The page's statement about our experiment, as this database takes it."""
    for theirs, ours in THEIRS.items():
        statement = statement.replace(theirs, ours.format(uuid=rich.uuid))
    if rich.engine.dialect.name == "postgresql":
        statement = statement.replace(") GROUP BY", ") AS pairs GROUP BY")
    return statement


def answers(rich: Rich, statement: str) -> list[sa.RowMapping]:
    """What the database says to a statement."""
    with rich.engine.connect() as connection:
        return list(connection.execute(text(asked(rich, statement))).mappings())


@pytest.mark.parametrize("view", DOCUMENTED)
def test_every_table_has_the_columns_that_the_page_names(rich: Rich, view: str) -> None:
    with rich.engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM {view}"))
        assert list(found.keys()) == DOCUMENTED[view].split()
        assert found.fetchall()
    assert aepsych.VIEWS.keys() == DOCUMENTED.keys()


def test_the_experiments_are_found_with_names_and_information(rich: Rich) -> None:
    rows = {row["experiment_id"]: row for row in answers(rich, "SELECT * FROM master")}
    assert len(rows) == 3
    row = rows[rich.uuid]
    assert (row["experiment_name"], row["experiment_description"]) == ("rich", "Größe & 'Art'")
    assert row["participant_id"] == "P-7"
    assert json.loads(row["extra_metadata"]) == {"ticket": "HPC-1", "empty": ""}


def test_what_was_not_given_has_the_documented_default(rich: Rich) -> None:
    with rich.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE experiment SET description = NULL, participant = NULL,"
                " user_metadata = 'null'"
            )
        )
    (row, *_) = answers(rich, "SELECT * FROM master")
    assert row["experiment_description"] == "default description"
    assert row["participant_id"] is None
    assert row["extra_metadata"] is None


def number(value: object) -> object:
    """A value as the trial had it, whatever type its column has."""
    try:
        return float(str(value))
    except ValueError:
        return value


def test_the_parameters_of_one_experiment_keep_all_their_digits(rich: Rich) -> None:
    found: dict[int, dict[str, Any]] = {}
    for row in answers(rich, PARAMETERS):
        found.setdefault(row["iteration_id"], {})[row["param_name"]] = number(row["param_value"])
    assert found == {rich.trial_ids[index]: points(index) for index in MEANS}


def test_a_parameter_has_the_same_value_under_both_names(rich: Rich) -> None:
    rows = answers(rich, "SELECT * FROM param_data")
    assert all(row["param_name"] == row["parameter_name"] for row in rows)
    assert all(row["param_value"] == row["parameter_value"] for row in rows)
    keys = {row["unique_id"] for row in rows}
    assert len(keys) == len(rows)
    assert {row["parameter_id"] for row in answers(rich, "SELECT * FROM raw_data")} < keys


def test_the_outcomes_of_one_experiment_keep_all_their_digits(rich: Rich) -> None:
    found = {
        (row["iteration_id"], row["outcome_name"]): row["outcome_value"]
        for row in answers(rich, OUTCOMES)
    }
    assert found == {
        (rich.trial_ids[index], name): value
        for index, mean in MEANS.items()
        for name, value in (("LOSS", mean), ("ACC", float(index)))
    }


def test_the_wide_table_has_a_row_an_iteration(rich: Rich) -> None:
    found = [
        (row["iteration_id"], *map(number, list(row.values())[1:])) for row in answers(rich, WIDE)
    ]
    assert found == [
        (rich.trial_ids[index], points(index)["x"], points(index)["lr"], mean)
        for index, mean in MEANS.items()
    ]


def test_numbers_compare_as_numbers(rich: Rich) -> None:
    value = "param_value"
    if rich.engine.dialect.name == "postgresql":
        value = "CAST(param_value AS DOUBLE PRECISION)"
    statement = PARAMETERS.replace("WHERE", f"WHERE param_name = 'lr' AND {value} < 0.05 AND", 1)
    assert [row["iteration_id"] for row in answers(rich, statement)] == [
        rich.trial_ids[index] for index in MEANS if points(index)["lr"] < 0.05
    ]


def test_the_recipe_with_pandas_makes_a_table(rich: Rich) -> None:
    with rich.engine.connect() as connection:
        outcomes = connection.execute(text(asked(rich, OUTCOMES))).fetchall()
        parameters = connection.execute(text(asked(rich, PARAMETERS))).fetchall()
    outcomes_df = pd.DataFrame(outcomes, columns=["iteration_id", "outcome_name", "outcome_value"])
    parameters_df = pd.DataFrame(parameters, columns=["iteration_id", "param_name", "param_value"])
    outcomes_df = outcomes_df.pivot(
        index="iteration_id", columns="outcome_name", values="outcome_value"
    )
    parameters_df = parameters_df.pivot(
        index="iteration_id", columns="param_name", values="param_value"
    )
    df = pd.merge(outcomes_df, parameters_df, left_index=True, right_index=True)
    assert list(df.index) == [rich.trial_ids[index] for index in MEANS]
    assert list(df["LOSS"]) == list(MEANS.values())
    for name in ("x", "lr", "layers", "epochs", "flag"):
        assert list(pd.to_numeric(df[name])) == [points(index)[name] for index in MEANS]
    assert list(df["kind"]) == [points(index)["kind"] for index in MEANS]


def test_messages_strategies_and_configs_are_json_in_the_order_of_time(rich: Rich) -> None:
    mine = f"master_table_id = {rich.experiment_id} ORDER BY timestamp, unique_id"
    messages = answers(rich, f"SELECT * FROM replay_data WHERE {mine}")
    assert [row["message_type"] for row in messages] == ["setup", "ask", "tell", "exit"]
    assert json.loads(messages[0]["message_contents"]) == {"spec": SPEC}
    assert json.loads(messages[2]["message_contents"])["means"] == {"LOSS": 0.1 + 0.2}
    assert json.loads(messages[2]["extra_info"]) == {"trial_index": 0}
    assert messages[3]["extra_info"] is None
    (row, _) = answers(rich, f"SELECT * FROM strat_data WHERE {mine}")
    assert json.loads(row["strat"])["next_generation"] == 2
    (row, _) = answers(rich, f"SELECT * FROM config WHERE {mine}")
    assert json.loads(row["config"]) == SPEC


def test_an_iteration_is_a_trial_with_an_outcome(rich: Rich) -> None:
    query = f"SELECT * FROM raw_data WHERE master_table_id = {rich.experiment_id}"
    rows = {row["unique_id"]: row for row in answers(rich, query)}
    assert rows.keys() == {rich.trial_ids[index] for index in MEANS}
    assert all(row["model_data"] == 1 for row in rows.values())
    # SQLite gives a time as text.
    times = pd.to_datetime([row["timestamp"] for row in rows.values()], utc=True)
    assert times.min() == START.replace(minute=15, second=7)


def test_reading_all_parameters_visits_each_trial_once(rich: Rich) -> None:
    if rich.engine.dialect.name == "postgresql":
        plan = "EXPLAIN SELECT * FROM param_data"
        visits = [row for row in answers(rich, plan) if " on trial t" in row["QUERY PLAN"]]
        assert len(visits) == 1
        return
    details = [
        row["detail"] for row in answers(rich, "EXPLAIN QUERY PLAN SELECT * FROM param_data")
    ]
    assert details[0] == "SCAN t"
    assert [detail for detail in details[1:] if detail.startswith("SCAN")] == [
        "SCAN v VIRTUAL TABLE INDEX 1:"
    ]
