"""Every write of a state names the states that it expects."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from db.direct import DirectStore
from db.records import Claim
from db.sql import attempts, experiments, trials
from db.sql.attempts import End
from db.sql.tables import Submission, Trial, table_of
from db.states import (
    ATTEMPT_MOVES,
    CLAIMABLE_ATTEMPTS,
    OPEN_ATTEMPTS,
    OPEN_SUBMISSIONS,
    AttemptState,
    ExperimentStatus,
    FailureClass,
    SubmissionState,
    TrialStatus,
    may_move,
)
from tests.db.sql.samples import Sample

ENDS = [state for state in AttemptState if state not in OPEN_ATTEMPTS]
CLAIM: Claim = {
    "claim": "nonce",
    "host": "node7",
    "slurm_job_id": None,
    "pid": 4,
    "started_at": "2030-01-02T03:04:05.000000+00:00",
}


def sources_of(state: AttemptState) -> frozenset[AttemptState]:
    return frozenset(old for old in AttemptState if may_move(old, state))


def test_every_state_has_its_moves() -> None:
    assert ATTEMPT_MOVES.keys() == set(AttemptState)
    for state in ENDS:
        assert ATTEMPT_MOVES[state] <= {AttemptState.SUCCEEDED}
    claimable = {state for state in OPEN_ATTEMPTS if may_move(state, AttemptState.STARTED)}
    assert claimable == CLAIMABLE_ATTEMPTS


@pytest.mark.parametrize("new", ENDS)
def test_an_attempt_ends_only_from_the_states_that_allow_it(
    sample: Sample, new: AttemptState
) -> None:
    for old in AttemptState:
        sample.set_attempt(old)
        with sample.store.write() as connection:
            how = End(state=new, failure_class=FailureClass.LOST)
            key = sample.attempt_ids[0]
            did = attempts.end(connection, key, how, expected=sources_of(new))
        assert did == may_move(old, new), old
        assert sample.attempt()["state"] == (new if did else old)


def test_the_end_of_one_attempt_leaves_others_and_unknown_columns_alone(sample: Sample) -> None:
    with sample.store.write() as connection:
        attempts.submitted(connection, {sample.attempt_ids[0]: "7_0"})
        how = End(state=AttemptState.FAILED, exit_code=3, host="n1")
        assert attempts.end(connection, sample.attempt_ids[0], how, expected=OPEN_ATTEMPTS)
    row = sample.attempt()
    assert (row["exit_code"], row["host"], row["slurm_job_id"]) == (3, "n1", "7_0")
    assert row["signal"] is None
    assert row["ended_at"] is not None
    assert sample.attempt(1)["state"] == AttemptState.PLANNED


@pytest.mark.parametrize("old", list(AttemptState))
def test_a_claim_through_the_spool_needs_a_claimable_attempt(
    sample: Sample, old: AttemptState
) -> None:
    sample.set_attempt(old)
    with sample.store.write() as connection:
        key = sample.attempt_ids[0]
        did = attempts.started(connection, key, host="n1", job_id="5", claim="c")
    assert did == (old in CLAIMABLE_ATTEMPTS)
    assert sample.attempt()["state"] == (AttemptState.STARTED if did else old)
    assert sample.attempt()["host"] == ("n1" if did else None)


def test_sbatch_may_answer_after_the_worker_has_claimed(sample: Sample) -> None:
    sample.set_attempt(AttemptState.STARTED)
    jobs = {key: f"9_{place}" for place, key in enumerate(sample.attempt_ids)}
    with sample.store.write() as connection:
        attempts.submitted(connection, jobs)
        attempts.submitted(connection, {})
    assert sample.attempt()["state"] == AttemptState.STARTED
    assert sample.attempt(1)["state"] == AttemptState.SUBMITTED
    assert [sample.attempt(place)["slurm_job_id"] for place in (0, 1, 2)] == ["9_0", "9_1", "9_2"]


@pytest.mark.parametrize("old", list(SubmissionState))
def test_a_submission_is_answered_once(sample: Sample, old: SubmissionState) -> None:
    table = table_of(Submission)
    with sample.store.write() as connection:
        connection.execute(table.update().values(state=old))
        did = attempts.answer(
            connection,
            sample.submission_id,
            SubmissionState.ACCEPTED,
            expected=OPEN_SUBMISSIONS,
            job_id="12",
        )
        row = connection.execute(sa.select(table)).mappings().one()
    assert did == (old in OPEN_SUBMISSIONS)
    assert row["state"] == (SubmissionState.ACCEPTED if did else old)


@pytest.mark.parametrize("new", list(TrialStatus))
def test_a_trial_moves_only_from_an_expected_status(sample: Sample, new: TrialStatus) -> None:
    key = sample.trial_ids[0]
    expected = (TrialStatus.STAGED, TrialStatus.RUNNING)
    for old in TrialStatus:
        with sample.store.write() as connection:
            trials.move(connection, [key], old, expected=tuple(TrialStatus))
            moved = trials.move(connection, [key], new, expected=expected, reason="so")
        assert moved == (1 if old in expected else 0)
        assert sample.trial_status() == (new if moved else old)
    assert sample.trial_status(1) == TrialStatus.CANDIDATE


def test_the_times_of_a_trial_are_those_of_its_first_try(sample: Sample) -> None:
    first = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    every = tuple(TrialStatus)
    key = [sample.trial_ids[0]]
    steps = [TrialStatus.STAGED, TrialStatus.RUNNING, TrialStatus.STAGED, TrialStatus.RUNNING]
    zone = datetime.now().astimezone().tzinfo
    with sample.store.write() as connection:
        for place, status in enumerate([*steps, TrialStatus.COMPLETED]):
            moment = (first + timedelta(minutes=place)).astimezone(zone)
            trials.move(connection, key, status, expected=every, at=moment)
        table = table_of(Trial)
        row = connection.execute(sa.select(table).where(table.c.id == key[0])).mappings().one()
    assert row["staged_at"] == first
    assert row["run_started_at"] == first + timedelta(minutes=1)
    assert row["completed_at"] == first + timedelta(minutes=4)


def test_an_experiment_changes_its_status_only_from_an_expected_one(sample: Sample) -> None:
    key = sample.store.experiment_id
    with sample.store.write() as connection:
        stopped, running = ExperimentStatus.STOPPED, ExperimentStatus.RUNNING
        assert experiments.set_status(connection, key, stopped, expected=[running], reason="r")
        assert not experiments.set_status(connection, key, stopped, expected=[running])
        assert experiments.get(connection, key).status == stopped


def claim(url: str, claims: Claim) -> bool:
    store = DirectStore(url, run_dir="/run", experiment_id=1)
    return store.claim("e-t", 0, claims) is not None


def test_a_late_worker_finds_an_attempt_that_the_head_gave_up(sample: Sample, url: str) -> None:
    with sample.store.write() as connection:
        how = End(state=AttemptState.LOST, failure_class=FailureClass.LOST)
        attempts.end(connection, sample.attempt_ids[0], how, expected=OPEN_ATTEMPTS)
    assert not claim(url, CLAIM)
    assert sample.attempt()["state"] == AttemptState.LOST


def test_of_a_worker_and_a_head_that_gives_up_exactly_one_wins(sample: Sample, url: str) -> None:
    for round_ in range(5):
        sample.set_attempt(AttemptState.SUBMITTED)
        start = threading.Barrier(2)
        claimed: list[bool] = []

        def work(start: threading.Barrier = start, nonce: str = f"n{round_}") -> None:
            start.wait()
            claimed.append(claim(url, {**CLAIM, "claim": nonce}))  # noqa: B023

        worker = threading.Thread(target=work)
        worker.start()
        start.wait()
        with sample.store.write() as connection:
            how = End(state=AttemptState.CANCELLED)
            key = sample.attempt_ids[0]
            gave_up = attempts.end(connection, key, how, expected=CLAIMABLE_ATTEMPTS)
        worker.join()
        assert [gave_up] != claimed
        wanted = AttemptState.CANCELLED if gave_up else AttemptState.STARTED
        assert sample.attempt()["state"] == wanted
