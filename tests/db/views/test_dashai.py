"""DashAI's runs and sessions are our trials and experiments."""

from __future__ import annotations

import json
from datetime import timedelta

import pandas as pd
import sqlalchemy as sa
from sqlalchemy import text

from db.states import TrialStatus
from db.views import dashai
from tests.db.records import START
from tests.db.rich import Rich, points

# What its page says of a Run, in the words of its columns.
RUN = (
    "model_name parameters optimizer_name optimizer_parameters goal_metric artifacts status"
    " delivery_time start_time end_time plot_history_path plot_slice_path plot_contour_path"
    " plot_importance_path"
)
RUN_STATUS = {"NOT_STARTED", "DELIVERED", "STARTED", "FINISHED", "ERROR"}


def runs(rich: Rich) -> list[sa.RowMapping]:
    """The runs of one experiment, in the order of the trials."""
    query = f"SELECT * FROM run WHERE model_session_id = {rich.experiment_id} ORDER BY id"
    with rich.engine.connect() as connection:
        return list(connection.execute(text(query)).mappings())


def test_a_run_has_what_the_page_says_of_it(rich: Rich) -> None:
    assert set(RUN.split()) <= set(runs(rich)[0])
    assert dashai.VIEWS.keys() == {"run", "model_session"}


def test_a_run_is_a_trial(rich: Rich) -> None:
    rows = runs(rich)
    assert [row["id"] for row in rows] == rich.trial_ids
    assert [row["name"] for row in rows] == [f"rich/2 trial {i}" for i in range(8)]
    assert [json.loads(row["parameters"]) for row in rows] == [points(i) for i in range(8)]
    assert [row["model_name"] for row in rows] == ["SOBOL"] * 3 + ["TPE"] * 5
    assert {row["goal_metric"] for row in rows} == {"LOSS"}
    assert json.loads(rows[0]["optimizer_parameters"]) == {
        "num_trials": 3,
        "min_observed": 0,
        "seed": 4294967295,
    }
    assert json.loads(rows[0]["artifacts"]) == [{"name": "model", "url": "file:///m.bin"}]
    assert json.loads(rows[1]["artifacts"]) == []


def test_the_status_is_one_of_the_documented_words(rich: Rich) -> None:
    assert [row["status"] for row in runs(rich)] == [
        *["FINISHED"] * 3,
        "ERROR",
        "ERROR",
        "STARTED",
        "FINISHED",
        "NOT_STARTED",
    ]
    assert runs(rich)[4]["status_reason"] == "CANCELLED: by a person"


def test_every_status_of_a_trial_has_its_word(rich: Rich) -> None:
    for status in TrialStatus:
        with rich.engine.begin() as connection:
            connection.execute(text(f"UPDATE trial SET status = {int(status)}"))
        assert {row["status"] for row in runs(rich)} <= RUN_STATUS


def test_the_times_are_those_of_the_trial(rich: Rich) -> None:
    times = ["created", "delivery_time", "start_time", "end_time", "last_modified"]
    began = START + timedelta(minutes=10)
    # SQLite gives a time as text.
    found = pd.to_datetime([runs(rich)[0][name] for name in times], utc=True)
    seconds = [(time - began).total_seconds() for time in found]
    assert seconds == [0, 1, 2, 62, 62]
    assert runs(rich)[5]["end_time"] is None


def test_the_metrics_of_a_run_are_our_table(rich: Rich) -> None:
    query = (
        "SELECT m.name, m.value, m.split, m.level, m.step FROM metric m JOIN run r"
        f" ON r.id = m.trial_id WHERE r.model_session_id = {rich.experiment_id} ORDER BY m.step"
    )
    with rich.engine.connect() as connection:
        rows = connection.execute(text(query)).fetchall()
    assert [tuple(row) for row in rows] == [
        ("loss", 1.0 / (step + 3), "VALIDATION", "STEP", step) for step in range(3)
    ]


def test_a_trial_that_no_generator_proposed_is_a_run_too(rich: Rich) -> None:
    with rich.engine.begin() as connection:
        connection.execute(text("UPDATE trial SET generation_id = NULL"))
    assert len(runs(rich)) == 8
    assert {row["model_name"] for row in runs(rich)} == {None}


def test_a_session_is_an_experiment(rich: Rich) -> None:
    with rich.engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM model_session ORDER BY id")).mappings().all()
    assert [row["name"] for row in rows] == ["earlier", "rich/2", "later"]
    assert json.loads(rows[1]["input_columns"]) == list(points(0))
    assert [json.loads(row["output_columns"]) for row in rows[1:]] == [["LOSS", "ACC"], ["LOSS"]]
