"""`headway db replay` as a user types it, on runs that are written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.sql import events, generations, trials
from db.sql.generations import NewGeneration
from db.sql.reading.replay import events_of
from db.states import EventKind
from orchestrator.app.runs import Run, set_up
from orchestrator.cli import database, urls
from orchestrator.errors import HeadwayError, UsageError
from orchestrator.generators.base import Ask
from orchestrator.generators.strategy import make_generator
from tests.steps.specs import make_spec

SEED = 7


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run that has been set up, in the folder where the user is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(urls.VARIABLE, raising=False)
    made = set_up(make_spec(executor="local"), db_url=None, run_root=tmp_path / "runs")
    yield made
    made.engine.dispose()


def store_ask(made: Run, points: list[dict[str, Any]], **changes: Any) -> None:
    """Store what a generator gave, as a head does."""
    key, ask = made.stored.id, {"number": 0, "node": 0, "generator": "SOBOL", "seed": SEED}
    times = {"fit_time": 0.0, "gen_time": 0.0, "predictions": None, "fallback_reason": None}
    new = NewGeneration(**ask, **times, requested=2, produced=2, state=None)  # type: ignore[arg-type]
    payload = {
        "generation": 0,
        "step": 0,
        "generator": "SOBOL",
        "process": "model",
        "head": 1,
        "incarnation": 1,
        "requested": 2,
        "seed": SEED,
        "state_from": None,
        "told": [],
        "told_failed": [],
        "pending": [],
        "trials": list(range(len(points))),
    } | changes
    with made.engine.begin() as connection:
        generation = generations.insert(connection, key, new)
        trials.insert(connection, key, first_index=0, points=points, generation_id=generation)
        events.append(connection, [events.row(key, EventKind.ASK, payload)])


def sobol(made: Run) -> list[dict[str, Any]]:
    generator = make_generator("SOBOL", made.spec.space, made.spec.objectives)
    return [dict(point) for point in generator.ask(Ask(number=0, count=2, seed=SEED)).points]


def replay(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = database.run("db", ["replay", *words])
    return code, capsys.readouterr().out


def test_points_that_come_again_are_called_equal(
    made: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    store_ask(made, sobol(made))
    code, output = replay(capsys, "e")
    assert (code, output) == (0, "e/1: 1 of 1 asks and 2 of 2 points are equal.\n")


@pytest.mark.parametrize(("factor", "expected"), [(1 + 1e-8, 0), (1 + 1e-4, 1)])
def test_real_numbers_are_compared_to_a_millionth(
    made: Run, capsys: pytest.CaptureFixture[str], factor: float, expected: int
) -> None:
    points = sobol(made)
    points[1]["x"] *= factor
    store_ask(made, points)
    assert replay(capsys, "e")[0] == expected


def test_the_first_difference_is_named_with_both_values_and_the_versions(
    made: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    points = sobol(made)
    store_ask(made, [points[0], {"x": 5.0}])
    with made.engine.begin() as connection:
        row = events.row(made.stored.id, EventKind.RESUME, {"versions": {"scipy": "0.1"}})
        events.append(connection, [row])
    code, output = replay(capsys, "e")
    assert code == 1
    assert "0 of 1 asks and 1 of 2 points are equal" in output
    again = points[1]["x"]
    assert f"generation 0 (SOBOL), trial 1, x: recorded 5.0, asked again {again!r}." in output
    assert "0.1, now " in output
    code, output = replay(capsys, "e", "--json")
    said = json.loads(output)
    assert (code, said["equal"], said["difference"]["trial"]) == (1, False, 1)
    assert said["versions"]["scipy"]["recorded"][-1] == "0.1"


def test_another_number_of_points_is_a_difference(
    made: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    store_ask(made, sobol(made)[:1])
    code, output = replay(capsys, "e")
    assert code == 1
    assert "1 points recorded, 2 asked again" in output


def test_an_ask_that_cannot_be_answered_now_is_not_called_different(
    made: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    store_ask(made, sobol(made), generator="ORACLE")
    code, output = replay(capsys, "e")
    assert code == 1
    assert "Not answered: generation 0 (ORACLE)" in output
    assert "First difference" not in output


def test_a_run_without_points_has_nothing_to_ask_again(
    made: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = replay(capsys, "e")
    assert code == 0
    assert output == "e/1: no generator has given a point yet; there is nothing to ask again.\n"


def test_a_record_of_an_earlier_headway_is_answered_with_one_line(made: Run) -> None:
    row = events.row(made.stored.id, EventKind.ASK, {"generation": 0, "points": [{"x": 1.0}]})
    with made.engine.begin() as connection:
        events.append(connection, [row])
    with pytest.raises(HeadwayError, match=r"e/1: its asks were recorded by an earlier Headway"):
        database.run("db", ["replay", "e"])


def test_an_experiment_that_is_not_there_is_named(made: Run) -> None:
    with pytest.raises(UsageError, match="no experiment 'f'"):
        database.run("db", ["replay", "f"])


def test_a_setup_names_the_versions_and_keeps_the_spec_as_version_1(made: Run) -> None:
    with made.engine.connect() as connection:
        (setup,) = events_of(connection, made.stored.id, (EventKind.SETUP,))
        spec = connection.exec_driver_sql("SELECT version, reason FROM spec_version").all()
    assert {"python", "numpy", "scipy"} <= setup.payload["versions"].keys()
    assert spec == [(1, "setup")]
