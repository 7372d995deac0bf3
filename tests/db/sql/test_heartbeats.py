"""Signs of life, and the lack of them, by the clock of the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from db.sql import attempts, incoming, leases
from db.sql.attempts import Quiet
from db.sql.tables import Attempt, table_of
from db.states import AttemptState, ReportKind
from tests.db.sql.samples import Sample

LIMIT_SECONDS = 60


def set_age(sample: Sample, place: int, seconds: float, **changes: Any) -> None:
    """Let an attempt have given its last sign of life so long ago."""
    table = table_of(Attempt)
    values = {"state": AttemptState.STARTED, "host": f"node{place}"} | changes
    with sample.store.write() as connection:
        at = leases.database_time(connection) - timedelta(seconds=seconds)
        where = table.c.id == sample.attempt_ids[place]
        connection.execute(table.update().where(where).values(heartbeat_at=at, **values))


def quiet(sample: Sample) -> dict[int, Quiet]:
    with sample.store.read() as connection:
        key = sample.store.experiment_id
        moment, found = attempts.quiet(connection, key, seconds=LIMIT_SECONDS)
        assert abs(leases.database_time(connection) - moment) < timedelta(seconds=30)
    return found


def test_only_those_without_a_sign_for_so_long_are_quiet(sample: Sample) -> None:
    set_age(sample, 0, 100)
    set_age(sample, 1, 0)
    (found,) = quiet(sample).values()
    assert (found.id, found.host, found.has_ended) == (sample.attempt_ids[0], "node0", False)
    assert 100 <= found.seconds < 130


def test_only_running_attempts_are_expected_to_give_signs(sample: Sample) -> None:
    for place, state in enumerate((AttemptState.SUBMITTED, AttemptState.LOST)):
        set_age(sample, place, 1000, state=state)
    assert quiet(sample) == {}


def test_an_end_that_waits_is_said_beside_the_silence(sample: Sample) -> None:
    for place in (0, 1):
        set_age(sample, place, 100)
    row = {"kind": ReportKind.END, "sequence": 0, "payload": {}}
    with sample.store.write() as connection:
        incoming.store(connection, [row | {"attempt_id": sample.attempt_ids[0]}])
    first, second, _ = sample.attempt_ids
    found = quiet(sample)
    assert (found[first].has_ended, found[second].has_ended) == (True, False)


def test_an_end_that_was_refused_is_none(sample: Sample) -> None:
    set_age(sample, 0, 100)
    row = {"kind": ReportKind.END, "sequence": 1, "payload": {}}
    with sample.store.write() as connection:
        incoming.store(connection, [row | {"attempt_id": sample.attempt_ids[0]}])
        (report,) = incoming.waiting(connection, sample.store.experiment_id)
        incoming.refuse(connection, report.id, "another job had claimed its attempt")
        incoming.consume(connection, [report.id])
        unreported = incoming.logs_of_unreported(connection, sample.attempt_ids)
    (found,) = quiet(sample).values()
    assert not found.has_ended
    assert sample.attempt_ids[0] in unreported


def test_a_beat_counts_from_when_it_is_seen_and_only_for_running_attempts(sample: Sample) -> None:
    set_age(sample, 0, 1000)
    set_age(sample, 1, 1000)
    set_age(sample, 2, 1000, state=AttemptState.LOST)
    lost = sample.attempt(2)["heartbeat_at"]
    with sample.store.write() as connection:
        attempts.beat(connection, [sample.attempt_ids[0], sample.attempt_ids[2]])
    assert list(quiet(sample)) == [sample.attempt_ids[1]]
    assert sample.attempt(2)["heartbeat_at"] == lost


def test_a_claim_through_the_spool_is_a_sign_of_life(sample: Sample) -> None:
    with sample.store.write() as connection:
        attempts.started(connection, sample.attempt_ids[0], host="h", job_id="1", claim="c")
        now = leases.database_time(connection)
    assert abs(now - sample.attempt()["heartbeat_at"]) < timedelta(seconds=30)


def test_the_other_open_attempts_of_a_trial_are_found(sample: Sample) -> None:
    first, second, _ = sample.attempt_ids
    table = table_of(Attempt)
    with sample.store.write() as connection:
        change = {"trial_id": sample.trial_ids[0], "number": 2, "slurm_job_id": "7"}
        connection.execute(table.update().where(table.c.id == second).values(**change))
        assert attempts.others(connection, sample.trial_ids[0], but=first) == [(second, "7")]
        assert attempts.others(connection, sample.trial_ids[0], but=second) == [(first, None)]
    sample.set_attempt(AttemptState.FAILED, 1)
    with sample.store.read() as connection:
        assert attempts.others(connection, sample.trial_ids[0], but=first) == []


def test_a_later_page_of_reports_begins_after_the_one_before(sample: Sample) -> None:
    row = {"kind": ReportKind.END, "sequence": 0, "payload": {}}
    with sample.store.write() as connection:
        incoming.store(connection, [row | {"attempt_id": key} for key in sample.attempt_ids])
        key = sample.store.experiment_id
        page = incoming.waiting(connection, key, limit=2)
        rest = incoming.waiting(connection, key, after=page[-1].id)
    assert [report.attempt_id for report in (*page, *rest)] == sample.attempt_ids
