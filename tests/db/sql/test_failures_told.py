"""What is read of failures: their most frequent message, and all that is stored of one."""

from __future__ import annotations

import sqlalchemy as sa

from db.sql import attempts
from db.sql.attempts import End
from db.sql.reading import activity, detail
from db.sql.reading.activity import FailureCount
from db.states import OPEN_ATTEMPTS, AttemptState, FailureClass
from tests.db.rich import FAILURE, make_rich
from tests.db.sql.samples import Sample

PROGRAM = FailureClass.PROGRAM


def fail(sample: Sample, place: int, message: str, kind: FailureClass = PROGRAM) -> None:
    how = End(state=AttemptState.FAILED, failure_class=kind, failure_message=message)
    with sample.store.write() as connection:
        assert attempts.end(connection, sample.attempt_ids[place], how, expected=OPEN_ATTEMPTS)


def failures(sample: Sample) -> list[FailureCount]:
    with sample.store.read() as connection:
        return activity.failures(connection, sample.store.experiment_id)


def test_of_each_class_the_most_frequent_message_is_told(sample: Sample) -> None:
    fail(sample, 0, "exit code 1")
    fail(sample, 1, "exit code 1")
    fail(sample, 2, "exit code 137")
    assert failures(sample) == [FailureCount(failure_class=PROGRAM, count=3, message="exit code 1")]


def test_of_messages_that_are_as_frequent_the_newest_is_told(sample: Sample) -> None:
    fail(sample, 0, "exit code 1")
    fail(sample, 1, "exit code 2")
    fail(sample, 2, "its node failed", FailureClass.NODE)
    assert failures(sample) == [
        FailureCount(failure_class=PROGRAM, count=2, message="exit code 2"),
        FailureCount(failure_class=FailureClass.NODE, count=1, message="its node failed"),
    ]


def test_an_attempt_tells_why_it_failed_on_what_evidence_and_what_was_done(
    engine: sa.Engine,
) -> None:
    rich = make_rich(engine)
    with engine.connect() as connection:
        found = detail.find(connection, rich.experiment_id, 2)
    assert found is not None
    failed, succeeded = found.attempts
    assert {name: getattr(failed, name) for name in FAILURE} == FAILURE
    assert all(getattr(succeeded, name) is None for name in FAILURE)
