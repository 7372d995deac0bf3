"""Reports: stored once, never skipped, and what trials came to."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from db.errors import DatabaseError, DatabaseUnavailable
from db.sql import attempts, engine, events, experiments, generations, incoming, sqlite, trials
from db.sql.attempts import NewAttempt
from db.sql.generations import LastState
from db.sql.tables import Artifact, Event, Metric, Report, table_of
from db.states import (
    OPEN_ATTEMPTS,
    AttemptState,
    EventKind,
    ExperimentStatus,
    FailureClass,
    ReportKind,
    TrialStatus,
)
from tests.db.sql.kinds import only
from tests.db.sql.samples import NOW, TRIALS, Sample, fill, new_generation

METRIC = {
    "name": "loss",
    "value": 0.1 + 0.2,
    "split": "TRAIN",
    "level": "STEP",
    "step": 2**40,
    "at": "2030-01-02T03:04:05.678901+00:00",
}
report_table = table_of(Report)


def a_report(sample: Sample, place: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "attempt_id": sample.attempt_ids[place],
        "kind": ReportKind.END,
        "sequence": 0,
        "payload": {"n": place},
    }
    return row | changes


def waiting(sample: Sample) -> list[incoming.Incoming]:
    with sample.store.read() as connection:
        return incoming.waiting(connection, sample.store.experiment_id)


def test_a_report_that_comes_again_is_stored_once_and_stays_as_it_was(sample: Sample) -> None:
    for payload in ({"first": 1}, {"second": 2}):
        with sample.store.write() as connection:
            rows = [
                a_report(sample, payload=payload),
                a_report(sample, payload=payload, sequence=1),
            ]
            incoming.store(connection, rows)
            incoming.store(connection, [])
    assert [report.payload for report in waiting(sample)] == [{"first": 1}, {"first": 1}]


def test_a_report_that_was_dealt_with_waits_no_more_even_if_it_comes_again(sample: Sample) -> None:
    with sample.store.write() as connection:
        incoming.store(connection, [a_report(sample)])
        (found,) = incoming.waiting(connection, sample.store.experiment_id)
        incoming.refuse(connection, found.id, "no")
        incoming.consume(connection, [found.id])
        incoming.store(connection, [a_report(sample)])
        reason = connection.execute(sa.select(report_table.c.refused_reason)).scalar_one()
    assert waiting(sample) == []
    assert reason == "no"


def test_a_report_knows_its_attempt_and_its_trial(sample: Sample) -> None:
    with sample.store.write() as connection:
        incoming.store(connection, [a_report(sample, 1)])
    (found,) = waiting(sample)
    assert (found.attempt_id, found.trial_id) == (sample.attempt_ids[1], sample.trial_ids[1])
    assert (found.trial_index, found.trial_status) == (1, TrialStatus.CANDIDATE)
    assert found.parameters == {"x": 0.1}
    assert found.kind is ReportKind.END


def test_reports_of_another_experiment_are_left_to_its_own_head(sample: Sample) -> None:
    other = fill(sample.engine, "other")
    with other.store.write() as connection:
        incoming.store(connection, [a_report(other)])
    assert waiting(sample) == []
    assert len(waiting(other)) == 1


def test_a_burst_of_reports_is_dealt_with_in_pieces(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "BATCH", 2)
    with sample.store.write() as connection:
        incoming.store(connection, [a_report(sample, sequence=n) for n in range(5)])
    seen: list[int] = []
    while found := waiting(sample):
        assert len(found) <= 2
        seen += [report.sequence for report in found]
        with sample.store.write() as connection:
            incoming.consume(connection, [report.id for report in found])
    assert seen == [0, 1, 2, 3, 4]


@only("postgres", "mysql")
def test_a_report_that_commits_late_with_a_lower_key_is_not_skipped(sample: Sample) -> None:
    late = sample.engine.connect()
    incoming.store(late, [a_report(sample, 0)])
    with sample.store.write() as connection:
        incoming.store(connection, [a_report(sample, 1)])
    (early,) = waiting(sample)
    with sample.store.write() as connection:
        incoming.consume(connection, [early.id])
    late.commit()
    late.close()
    (found,) = waiting(sample)
    assert found.attempt_id == sample.attempt_ids[0]
    assert found.id < early.id


def test_an_attempt_is_known_by_its_token(sample: Sample) -> None:
    tokens = {"e-a0", "e-a1", "unknown"}
    with sample.store.read() as connection:
        key = sample.store.experiment_id
        known = incoming.find_tokens(connection, key, tokens)
        assert incoming.find_tokens(connection, key + 1, tokens) == {}
        assert incoming.find_tokens(connection, key, []) == {}
    assert known == {"e-a0": sample.attempt_ids[0], "e-a1": sample.attempt_ids[1]}


def test_a_payload_that_is_no_json_keeps_nobody_else_waiting(sample: Sample) -> None:
    if sample.engine.dialect.name != "sqlite":
        pytest.skip("this database takes no such payload")
    with sample.store.write() as connection:
        incoming.store(connection, [a_report(sample, 0), a_report(sample, 1)])
        connection.exec_driver_sql("UPDATE report SET payload = '{' WHERE id = 1")
    assert [report.payload for report in waiting(sample)] == [None, {"n": 1}]


def test_measurements_and_files_keep_every_digit(sample: Sample) -> None:
    artifacts = [
        {"name": "model", "path": "/run/a b/model.tar.gz", "bytes": 2**40},
        {"name": "LICENSE", "path": "/run/LICENSE", "bytes": 0},
    ]
    with sample.store.write() as connection:
        incoming.store(connection, [a_report(sample)])
        (found,) = incoming.waiting(connection, sample.store.experiment_id)
        incoming.add_metrics(connection, found, [METRIC, {**METRIC, "value": None, "step": None}])
        incoming.add_metrics(connection, found, [])
        incoming.add_artifacts(connection, found, artifacts)
        incoming.add_artifacts(connection, found, [])
        metrics = connection.execute(sa.select(table_of(Metric))).mappings().all()
        files = connection.execute(sa.select(table_of(Artifact))).mappings().all()
    assert [row["value"] for row in metrics] == [0.1 + 0.2, None]
    assert (metrics[0]["step"], metrics[0]["created_at"]) == (2**40, NOW)
    assert [row["url"] for row in files] == ["file:///run/a b/model.tar.gz", "file:///run/LICENSE"]
    assert [row["format"] for row in files] == ["gz", None]
    assert files[0]["bytes"] == 2**40


def finish(sample: Sample, place: int, means: dict[str, float] | None) -> None:
    with sample.store.write() as connection:
        key, by_name = sample.trial_ids[place], sample.objective_ids
        if means is not None:
            trials.add_outcomes(
                connection,
                key,
                attempt_id=sample.attempt_ids[place],
                means={by_name[name]: value for name, value in means.items()},
                sems={by_name["LOSS"]: 0.25},
            )
        status = TrialStatus.FAILED if means is None else TrialStatus.COMPLETED
        trials.move(connection, [key], status, expected=tuple(TrialStatus))


def test_results_come_in_the_order_of_the_ends_with_all_objectives(sample: Sample) -> None:
    finish(sample, 2, {"ACC": 1 / 3, "LOSS": 1e-300})
    finish(sample, 0, None)
    with sample.store.write() as connection:
        assert trials.has_outcome(connection, sample.trial_ids[2])
        assert not trials.has_outcome(connection, sample.trial_ids[0])
        key = [sample.trial_ids[1]]
        trials.move(connection, key, TrialStatus.ABANDONED, expected=tuple(TrialStatus))
        found = list(trials.results(connection, sample.store.experiment_id))
    assert [result.index for result in found] == [2, 0]
    assert found[0].means == {"LOSS": 1e-300, "ACC": 1 / 3}
    assert list(found[0].means) == ["LOSS", "ACC"]
    assert found[0].sems == {"LOSS": 0.25}
    assert found[0].parameters == {"x": 0.2}
    assert (found[1].means, found[1].sems) == (None, {})


def test_an_outcome_cannot_be_stored_twice(sample: Sample) -> None:
    finish(sample, 0, {"LOSS": 1, "ACC": 2})
    with pytest.raises(DatabaseError, match="refused a statement"):
        finish(sample, 0, {"LOSS": 3, "ACC": 4})
    with sample.store.read() as connection:
        (result,) = trials.results(connection, sample.store.experiment_id)
    assert result.means == {"LOSS": 1, "ACC": 2}


def test_open_trials_and_attempts_are_what_a_new_head_needs(sample: Sample) -> None:
    finish(sample, 1, {"LOSS": 1, "ACC": 2})
    key = sample.store.experiment_id
    with sample.store.read() as connection:
        opened = trials.open_trials(connection, key)
        numbers = attempts.last_numbers(connection, sample.trial_ids)
        counts = trials.counts(connection, key)
        assert trials.next_index(connection, key) == TRIALS
        assert trials.next_index(connection, key + 1) == 0
    assert [(trial.index, trial.parameters) for trial in opened] == [
        (0, {"x": 0.0}),
        (2, {"x": 0.2}),
    ]
    assert numbers == dict.fromkeys(sample.trial_ids, 1)
    assert counts == {TrialStatus.CANDIDATE: 2, TrialStatus.COMPLETED: 1}
    assert [row.array_index for row in sample.open_attempts()] == [0, 1, 2]
    assert {row.submission_size for row in sample.open_attempts()} == {3}


def test_failures_are_told_oldest_first(sample: Sample) -> None:
    kinds = [FailureClass.PROGRAM, FailureClass.LOST]
    with sample.store.write() as connection:
        new = NewAttempt(
            trial_id=sample.trial_ids[0], array_index=0, number=2, token="second", log_path="l"
        )
        _, (second,) = attempts.plan(
            connection, sample.store.experiment_id, token="t2", resources={}, attempts=[new]
        )
        for attempt_id, kind in zip((second, sample.attempt_ids[0]), reversed(kinds), strict=True):
            how = attempts.End(state=AttemptState.FAILED, failure_class=kind)
            attempts.end(connection, attempt_id, how, expected=OPEN_ATTEMPTS)
        found = attempts.failures(connection, sample.trial_ids)
    assert [failed.failure for failed in found[sample.trial_ids[0]]] == kinds


def test_a_generator_goes_on_from_the_last_state_that_it_gave(sample: Sample) -> None:
    key = sample.store.experiment_id
    with sample.store.write() as connection:
        assert generations.next_number(connection, key) == 1
        for number, produced, state in ((1, 2, {"drawn": 5}), (2, 0, None)):
            new = new_generation(number, produced=produced, state=state)
            generations.insert(connection, key, new)
        generations.insert(connection, key, new_generation(3, generator="TPE", state=None, node=1))
        last = LastState(number=1, state={"drawn": 5})
        assert generations.last_states(connection, key) == {"SOBOL": last}
        assert generations.next_number(connection, key) == 4
        assert generations.proposed_by_node(connection, key) == {0: TRIALS}


def test_an_experiment_comes_back_as_it_was_stored(sample: Sample) -> None:
    key = sample.store.experiment_id
    with sample.store.write() as connection:
        experiments.set_spec(connection, key, {"max_eval": 3}, reason="resume")
        found = experiments.get(connection, key)
        assert experiments.last_run_number(connection, "e") == 1
        assert experiments.last_run_number(connection, "nobody") == 0
    assert (found.name, found.run_number, found.run_dir) == ("e", 1, "/run")
    assert found.status == ExperimentStatus.RUNNING
    assert found.spec == {"max_eval": 3}
    assert list(found.objective_ids) == ["LOSS", "ACC"]


def test_events_are_kept_in_their_order(sample: Sample) -> None:
    key = sample.store.experiment_id
    with sample.store.write() as connection:
        events.append(connection, [events.row(key, EventKind.ASK, {"n": n}) for n in range(3)])
        events.append(connection, [])
        rows = connection.execute(sa.select(Event.payload).order_by(Event.id)).scalars().all()
    assert rows == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_reader_blocks_no_writer(sample: Sample) -> None:
    with sample.store.read() as reading:
        before = trials.counts(reading, sample.store.experiment_id)
        writer = threading.Thread(target=finish, args=(sample, 0, None))
        writer.start()
        writer.join(timeout=10)
        assert not writer.is_alive()
        if sample.engine.dialect.name == "sqlite":
            assert trials.counts(reading, sample.store.experiment_id) == before
    assert sample.trial_status() == TrialStatus.FAILED


@only("sqlite")
def test_a_writer_that_waits_too_long_is_told_to_try_again(
    sample: Sample, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    impatient = engine.make_engine(url)
    with sample.store.write(), pytest.raises(DatabaseUnavailable, match="locked"):
        write_with(impatient)


@only("mysql")
def test_a_row_that_stays_locked_too_long_is_worth_another_try(sample: Sample) -> None:
    with sample.store.write() as holding:
        change_all(holding)
        with pytest.raises(DatabaseUnavailable, match="Lock wait timeout"):
            change_impatiently(sample.engine)


def change_all(connection: sa.Connection) -> None:
    connection.execute(sa.text("UPDATE trial SET status_reason = 'x'"))


def change_impatiently(other: sa.Engine) -> None:
    with engine.translated(), other.begin() as connection:
        connection.execute(sa.text("SET SESSION innodb_lock_wait_timeout = 1"))
        change_all(connection)


def write_with(other: sa.Engine) -> None:
    with engine.translated(), other.begin():
        raise AssertionError("two writers at once")


def test_an_error_takes_back_the_whole_transaction(sample: Sample) -> None:
    with pytest.raises(DatabaseError, match="halfway"):
        fail_halfway(sample)
    assert waiting(sample) == []


def fail_halfway(sample: Sample) -> None:
    with sample.store.write() as connection:
        incoming.store(connection, [a_report(sample)])
        raise DatabaseError("halfway")
