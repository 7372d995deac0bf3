"""Ax itself loads experiments of Headway from the views, and goes on with them."""

from __future__ import annotations

import contextlib
import math
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql.engine import connect, sqlite_url
from db.sql.reading import trials
from db.sql.reading.trials import TrialRow
from db.sql.tables import Outcome, table_of
from tests.db.rich import STATUSES, make_rich, points

pytestmark = [
    pytest.mark.botorch,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(find_spec("ax") is None, reason="the extra botorch is not installed"),
]
HOME = Path(__file__).parents[3]
# Ax reads numbers by pandas, which is up to eight units in the last place off.
PANDAS_LOSES = 2e-15
OPTIONS = """
--experiment_name made --max_eval 6 --num_random_steps 20 --model TPE --seed 7
--parameter x range 0 1 --parameter lr range 1e-6 1 float LOG true
--parameter n range 1 9 int --parameter kind choice a,b --parameter epochs fixed 3
"""


@contextlib.contextmanager
def ax_on(engine: sa.Engine) -> Iterator[None]:
    """Let Ax read this database."""
    from ax.storage.sqa_store.db import session_context

    with session_context(url=engine.url.render_as_string(hide_password=False)):
        yield


def load(engine: sa.Engine, name: str) -> Any:
    """Let Ax load an experiment."""
    from ax.storage.sqa_store.load import load_experiment

    with ax_on(engine):
        return load_experiment(name)


def propose(engine: sa.Engine, name: str) -> tuple[dict[str, Any], str, Any]:
    """Let Ax make the next point; also return which node made it, and the experiment."""
    from ax.storage.sqa_store.load import (
        load_experiment,
        load_generation_strategy_by_experiment_name,
    )

    with ax_on(engine):
        experiment = load_experiment(name)
        strategy = load_generation_strategy_by_experiment_name(name, experiment=experiment)
        ((run,),) = strategy.gen(experiment, n=1)
    (arm,) = run.arms
    return dict(arm.parameters), strategy.current_node_name, experiment


def ours(engine: sa.Engine, experiment_id: int) -> list[TrialRow]:
    """What our own reading side says."""
    with engine.connect() as connection:
        return trials.rows(connection, trials.keys(connection, experiment_id))


def assert_same_data(experiment: Any, rows: list[TrialRow]) -> None:
    """Compare Ax's data with ours, row by row."""
    expected = [
        (row.index, f"{row.index}_0", name, name, mean, row.sems.get(name, math.nan))
        for row in rows
        for name, mean in row.means.items()
    ]
    frame = experiment.fetch_data().df
    found = list(frame.itertuples(index=False, name=None))
    assert [each[:4] for each in found] == [each[:4] for each in expected]
    for its, own in zip(found, expected, strict=True):
        assert its[4] == pytest.approx(own[4], rel=PANDAS_LOSES, abs=0)
        assert its[5] == pytest.approx(own[5], rel=PANDAS_LOSES, abs=0, nan_ok=True)


@pytest.mark.parametrize("objectives", [1, 2])
def test_ax_loads_space_trials_and_data(engine: sa.Engine, objectives: int) -> None:
    make_rich(engine, "other")
    rich = make_rich(engine, "rich", run=2, objectives=objectives)
    experiment = load(engine, "rich/2")
    kinds = {name: type(each).__name__ for name, each in experiment.parameters.items()}
    assert kinds == {
        **dict.fromkeys(("x", "lr", "layers"), "RangeParameter"),
        **dict.fromkeys(("kind", "flag"), "ChoiceParameter"),
        "epochs": "FixedParameter",
    }
    assert (experiment.parameters["lr"].log_scale, experiment.parameters["x"].log_scale) == (1, 0)
    (constraint,) = experiment.search_space.parameter_constraints
    assert (constraint.constraint_dict, constraint.bound) == ({"x": 1.0, "layers": 1.0}, 9.5)
    expression = experiment.optimization_config.objective.expression
    assert expression == ("-LOSS" if objectives == 1 else "-LOSS, ACC")
    found = experiment.trials
    assert [int(found[index].status) for index in range(8)] == [int(each) for each in STATUSES]
    assert [found[index].arm.parameters for index in range(8)] == [points(i) for i in range(8)]
    assert found[4].status_reason == "CANCELLED: by a person"
    assert found[3].status_reason.startswith("PROGRAM: exit code 1, xxx")
    assert found[2].run_metadata["attempt"] == 2
    assert_same_data(experiment, ours(engine, rich.experiment_id))


def test_ax_loads_the_analyses(engine: sa.Engine) -> None:
    from ax.storage.sqa_store.load import load_analysis_cards_by_experiment_name

    make_rich(engine)
    with ax_on(engine):
        (card,) = load_analysis_cards_by_experiment_name("rich")
    assert (card.title, card.df.to_dict("list")) == (
        "Which parameter matters",
        {"x": [0.5], "lr": [0.25]},
    )


def test_ax_proposes_the_next_point_by_a_model_of_our_results(kind: str, engine: sa.Engine) -> None:
    make_rich(engine, objectives={"sqlite": 2, "postgres": 1}[kind])
    outcome = table_of(Outcome)
    with engine.begin() as connection:
        # BoTorch takes the errors of all results or of none, and no number near the end of floats.
        connection.execute(outcome.update().values(sem=None))
        connection.execute(outcome.update().where(outcome.c.mean < -1e300).values(mean=2.5))
    point, node, experiment = propose(engine, "rich")
    assert node == "BOTORCH_MODULAR"
    assert experiment.search_space.check_membership(point, raise_error=True)
    assert point["x"] + point["layers"] <= 9.5 + 1e-8
    assert point not in [points(index) for index in range(8)]


def test_ax_goes_on_with_what_a_head_has_made(tmp_path: Path) -> None:
    command = [sys.executable, str(HOME / "headway.py"), "run", "--force_local_execution"]
    constraint = ("--experiment_constraints", "x + n <= 9.5")
    program = ("--run_program", "echo RESULT: %(x)")
    done = subprocess.run(
        [*command, *shlex.split(OPTIONS), *constraint, *program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    engine = connect(sqlite_url(tmp_path / "runs/made/1/database.db"))
    point, node, experiment = propose(engine, "made")
    rows = ours(engine, 1)
    engine.dispose()
    assert len(rows) == 6
    assert_same_data(experiment, rows)
    assert [experiment.trials[row.index].arm.parameters for row in rows] == [
        row.parameters for row in rows
    ]
    assert node == "SOBOL"
    assert experiment.search_space.check_membership(point, raise_error=True)
