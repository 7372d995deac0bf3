"""What went wrong in an experiment as a whole, on every database system."""

from __future__ import annotations

from datetime import timedelta

from db.sql import attempts, events, failures, requests, trials
from db.sql.attempts import End
from db.sql.store import now
from db.states import OPEN_ATTEMPTS, AttemptState, EventKind, FailureClass, TrialStatus
from tests.db.sql.samples import Sample, fill


def fail(sample: Sample, place: int, message: str | None, kind: FailureClass) -> None:
    """Let an attempt fail."""
    how = End(state=AttemptState.FAILED, failure_class=kind, failure_message=message)
    with sample.store.write() as connection:
        key = sample.attempt_ids[place]
        assert attempts.end(connection, key, how, expected=OPEN_ATTEMPTS)


def test_the_most_frequent_message_comes_first_and_is_of_this_experiment(sample: Sample) -> None:
    other = fill(sample.engine, "other")
    for place, message in enumerate(("exit code 1", "time", "exit code 1")):
        fail(sample, place, message, FailureClass.PROGRAM)
        fail(other, place, "time", FailureClass.TIMEOUT)
    with sample.store.read() as connection:
        found = failures.messages(connection, sample.store.experiment_id, limit=5)
        first = failures.messages(connection, sample.store.experiment_id, limit=1)
    assert found == [("exit code 1", 2), ("time", 1)]
    assert first == found[:1]


def test_what_was_cancelled_or_made_room_is_no_complaint(sample: Sample) -> None:
    fail(sample, 0, "told to stop", FailureClass.CANCELLED)
    fail(sample, 1, "made room", FailureClass.PREEMPTED)
    fail(sample, 2, None, FailureClass.LOST)
    with sample.store.read() as connection:
        assert failures.messages(connection, sample.store.experiment_id, limit=5) == []


def test_the_last_end_of_a_kind_is_found_among_others(sample: Sample) -> None:
    key = sample.store.experiment_id
    said = [
        (EventKind.STOP, "FAILURES"),
        (EventKind.EXIT, "FAILURES"),
        (EventKind.ASK, "FAILURES"),
        (EventKind.EXIT, "STOPPED"),
    ]
    rows = [events.row(key, kind, {"how": how}) for kind, how in said]
    for place, row in enumerate(rows):
        row["created_at"] += timedelta(seconds=place)
    with sample.store.write() as connection:
        assert failures.last_stop(connection, key, "FAILURES") is None
        events.append(connection, rows)
        assert failures.last_stop(connection, key, "FAILURES") == rows[1]["created_at"]
        assert failures.last_stop(connection, key, "TIME") is None
        assert failures.last_stop(connection, key + 1, "FAILURES") is None


def test_trials_that_had_ended_at_a_moment_are_counted_by_status(sample: Sample) -> None:
    moment, key = now(), sample.store.experiment_id
    ends = ((TrialStatus.FAILED, -60), (TrialStatus.COMPLETED, -60), (TrialStatus.FAILED, 60))
    with sample.store.write() as connection:
        for trial, (status, seconds) in zip(sample.trial_ids, ends, strict=True):
            at = moment + timedelta(seconds=seconds)
            expected = tuple(TrialStatus)
            assert trials.move(connection, [trial], status, expected=expected, at=at)
        found = failures.ended_until(connection, key, moment)
    assert found == {TrialStatus.FAILED: 1, TrialStatus.COMPLETED: 1}


def test_memory_that_slurm_gave_is_kept_only_where_none_was_asked_for(sample: Sample) -> None:
    first = sample.attempt_ids[0]
    before = sample.attempt(0)["requested"]
    with sample.store.write() as connection:
        noted = requests.note_memory(connection, first, 500)
        assert noted == {**(before or {}), "memory_mb": 500}
        assert requests.note_memory(connection, first, 700) is None
        assert attempts.requested(connection, first) == noted
    assert sample.attempt(1)["requested"] == before
