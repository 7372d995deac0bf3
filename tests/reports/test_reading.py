"""Queries for people who look, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from db.errors import DatabaseError
from db.sql import tables
from db.sql.reading import activity, detail, experiments, outcomes, trials
from db.sql.reading.reader import open_reader
from db.sql.reading.trials import Choice, Order
from db.states import AttemptState, TrialStatus
from tests.reports.searches import BEGIN, Search, fill


def test_trials_are_counted_by_status(search: Search) -> None:
    fill(search)
    with open_reader(search.url) as reader, reader.read() as connection:
        found = experiments.find(connection, search.id)
    assert found is not None
    assert found.trials == {
        TrialStatus.COMPLETED: 4,
        TrialStatus.FAILED: 1,
        TrialStatus.RUNNING: 2,
        TrialStatus.CANDIDATE: 1,
    }
    assert [objective.name for objective in found.objectives] == ["RESULT"]


def test_a_name_means_its_latest_run_and_no_name_the_newest_experiment(search: Search) -> None:
    second = Search(url=search.url, run_dir=search.run_dir.parent / "2", run_number=2)
    with open_reader(search.url) as reader, reader.read() as connection:
        assert experiments.find_key(connection, "demo", None) == second.id
        assert experiments.find_key(connection, "demo", 1) == search.id
        assert experiments.find_key(connection, None, None) == second.id
        assert experiments.find_key(connection, "other", None) is None
    second.engine.dispose()


def test_the_best_trial_is_the_smallest_or_the_largest_by_the_first_objective(
    two_goals: Search,
) -> None:
    fill(two_goals)
    with open_reader(two_goals.url) as reader, reader.read() as connection:
        found = experiments.find(connection, two_goals.id)
        assert found is not None
        by_loss = outcomes.best(connection, found.objectives)
        by_speed = outcomes.best(connection, found.objectives[::-1])
    assert [(s.index, s.means) for s in by_loss] == [(3, {"LOSS": 1.5, "SPEED": 1.0})]
    assert by_speed[0].index == 2


def test_only_outcomes_that_came_since_the_last_look_are_read(search: Search) -> None:
    search.trial(0, TrialStatus.COMPLETED, 5.0)
    with open_reader(search.url) as reader:
        with reader.read() as connection:
            found = experiments.find(connection, search.id)
            assert found is not None
            first = outcomes.since(connection, found.objectives, 0)
        search.trial(1, TrialStatus.COMPLETED, 4.0)
        with reader.read() as connection:
            second = outcomes.since(connection, found.objectives, first.last_id)
            third = outcomes.since(connection, found.objectives, second.last_id)
    assert (first.values, second.values, third.values) == ([(0, (5.0,))], [(1, (4.0,))], [])
    assert third.last_id == second.last_id


@pytest.mark.parametrize(
    ("by", "is_reversed", "expected"),
    [
        ("index", False, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("index", True, [7, 6, 5, 4, 3, 2, 1, 0]),
        ("completed_at", True, [4, 3, 2, 1, 0, 5, 6, 7]),
        ("LOSS", False, [3, 1, 2, 0, 4, 5, 6, 7]),
        ("LOSS", True, [0, 2, 1, 3, 4, 5, 6, 7]),
        ("SPEED", False, [2, 1, 0, 3, 4, 5, 6, 7]),
        ("x", False, [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_trials_are_sorted_and_those_without_a_value_come_last(
    two_goals: Search, by: str, is_reversed: bool, expected: list[int]
) -> None:
    fill(two_goals)
    with open_reader(two_goals.url) as reader, reader.read() as connection:
        found = experiments.find(connection, two_goals.id)
        assert found is not None
        columns = {column.name: column for column in found.objectives} | {
            column.name: column for column in experiments.parameters(connection, two_goals.id)
        }
        order = Order(by=columns.get(by, by), is_reversed=is_reversed)
        keys = trials.keys(connection, two_goals.id, order=order)
        assert [row.index for row in trials.rows(connection, keys)] == expected


def test_trials_of_some_statuses_are_found_up_to_a_limit(search: Search) -> None:
    fill(search)
    wanted = (TrialStatus.COMPLETED, TrialStatus.RUNNING)
    with open_reader(search.url) as reader, reader.read() as connection:
        keys = trials.keys(connection, search.id, choice=Choice(statuses=wanted), limit=5)
        assert [row.index for row in trials.rows(connection, keys)] == [0, 1, 2, 3, 5]


def test_the_attempt_that_succeeded_speaks_for_a_trial(search: Search) -> None:
    key = search.trial(0, TrialStatus.COMPLETED, 1.0)
    search.attempt(key, 2, AttemptState.SUPERSEDED)
    with open_reader(search.url) as reader, reader.read() as connection:
        row = trials.rows(connection, [key])[0]
    assert row.attempts == 2
    assert row.last is not None
    assert (row.last.number, row.last.state) == (1, AttemptState.SUCCEEDED)
    assert row.generator == "SOBOL"


def test_one_trial_comes_with_attempts_outcomes_metrics_and_artifacts(search: Search) -> None:
    key = search.trial(0, TrialStatus.COMPLETED, 1.0)
    attempt = search.attempt(key, 2, AttemptState.SUPERSEDED)
    for step in range(3):
        search.metric(key, attempt, 1.0 / (step + 1), step)
    search.insert(
        tables.Artifact,
        trial_id=key,
        attempt_id=attempt,
        name="model",
        url="file:///model.pt",
        bytes=3,
    )
    with open_reader(search.url) as reader, reader.read() as connection:
        found = detail.find(connection, search.id, 0)
        assert detail.find(connection, search.id, 1) is None
    assert found is not None
    assert [attempt.number for attempt in found.attempts] == [1, 2]
    assert [(o.objective, o.mean, o.attempt) for o in found.outcomes] == [("RESULT", 1.0, 1)]
    assert [(m.attempt, m.count, m.step) for m in found.metrics] == [(2, 3, 2)]
    assert [artifact.name for artifact in found.artifacts] == ["model"]


def test_running_attempts_come_with_their_last_metric(search: Search) -> None:
    fill(search)
    table = tables.table_of(tables.Attempt)
    with search.engine.connect() as connection:
        query = sa.select(table.c.id, table.c.trial_id).where(table.c.state == "STARTED")
        (first, trial_id), _ = connection.execute(query.order_by(table.c.id)).all()
    search.metric(trial_id, first, 0.5, 1)
    search.metric(trial_id, first, 0.25, 2)
    with open_reader(search.url) as reader, reader.read() as connection:
        running = activity.running(connection, search.id, limit=10)
        live = activity.live_attempts(connection, search.id)
    assert [(a.trial_index, a.metric) for a in running] == [(5, ("loss", 0.25, 2)), (6, None)]
    assert live == {AttemptState.STARTED: 2}


def test_the_last_endings_come_newest_first(search: Search) -> None:
    fill(search)
    with open_reader(search.url) as reader, reader.read() as connection:
        found = activity.endings(connection, search.id, limit=2)
    assert [(e.trial_index, e.status) for e in found] == [
        (4, TrialStatus.FAILED),
        (3, TrialStatus.COMPLETED),
    ]


def test_failures_are_counted_by_class_with_an_example(search: Search) -> None:
    fill(search)
    with open_reader(search.url) as reader, reader.read() as connection:
        found = activity.failures(connection, search.id)
    assert [(f.failure_class, f.count, f.message) for f in found] == [("PROGRAM", 2, "exit code 1")]


def test_a_lease_is_judged_by_the_clock_of_the_database(search: Search) -> None:
    with open_reader(search.url) as reader:
        with reader.read() as connection:
            assert activity.lease(connection, search.id) is None
        search.lease(-100)
        with reader.read() as connection:
            found = activity.lease(connection, search.id)
    assert found is not None
    assert -110 < found.seconds_left < -90


def test_the_last_events_come_oldest_first(search: Search) -> None:
    key = search.trial(0, TrialStatus.CANDIDATE)
    for kind, trial_id in (("setup", None), ("ask", None), ("tell", key)):
        search.insert(
            tables.Event,
            experiment_id=search.id,
            kind=kind,
            trial_id=trial_id,
            payload={},
            created_at=BEGIN,
        )
    with open_reader(search.url) as reader, reader.read() as connection:
        found = activity.events(connection, search.id, limit=2)
    assert [(e.kind, e.trial_index) for e in found] == [("ask", None), ("tell", 0)]


def test_a_reader_neither_waits_for_a_writer_nor_makes_it_wait(search: Search) -> None:
    table = tables.table_of(tables.Experiment)
    rename = sa.update(table).values(description="new")
    with open_reader(search.url) as reader, reader.read() as connection:
        before = experiments.find(connection, search.id)
        with search.engine.begin() as writer:
            writer.execute(rename)
        after = experiments.find(connection, search.id)
    # One state of the database in one transaction, whatever is committed meanwhile.
    assert before is not None
    assert before == after


def test_a_reader_cannot_write(search: Search) -> None:
    table = tables.table_of(tables.Experiment)
    with (
        open_reader(search.url) as reader,
        pytest.raises(DatabaseError, match=r"(?i)read[- ]?only"),
        reader.read() as connection,
    ):
        connection.execute(sa.update(table).values(description="new"))
