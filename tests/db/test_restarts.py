"""A requeued job goes on as the next attempt of its trial, through the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.direct import DirectStore
from db.records import Assignment, Claim
from db.restarts import nonce_of
from db.sql.engine import sqlite_url
from db.sql.tables import Attempt, Objective, Outcome, Report
from db.states import OPEN_ATTEMPTS, AttemptState, FailureClass, OutcomeSource, ReportKind
from tests.db.attempts import TOKEN, Store
from tests.health.payloads import end

STOPPED = end(cause="TERMINATED", exit_code=None, signal=15, results={})


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A filled database, and the URL by which a worker opens it."""
    name = request.param
    is_file = name == "sqlite"
    url = sqlite_url(tmp_path / "d.db") if is_file else request.getfixturevalue(f"{name}_url")
    store = Store(url)
    store.fill(attempts=2)
    return store


def claim(store: Store, restart: int, *, name: str = "n") -> Assignment | None:
    """Let the worker of a job's first run (0) or of a later one claim its attempt."""
    who: Claim = {
        "claim": nonce_of(f"{name}{restart}", restart),
        "host": f"node{restart}",
        "slurm_job_id": "12_0",
        "pid": 4,
        "started_at": "2030-01-02T03:04:05.000000+00:00",
    }
    if restart:
        who["restart"] = restart
    return _worker(store).claim(TOKEN, 0, who)


def _worker(store: Store) -> DirectStore:
    return DirectStore(store.url, run_dir="/run", experiment_id=1)


def report_end(store: Store, assignment: Assignment, payload: Any) -> None:
    key, token = assignment["attempt_id"], assignment["attempt_token"]
    _worker(store).send(
        {
            "attempt_id": key,
            "attempt_token": token,
            "kind": "END",
            "sequence": 0,
            "created_at": "2030-01-02T03:04:06.000000+00:00",
            "payload": dict(payload),
        }
    )


def attempts(store: Store) -> list[Attempt]:
    """The attempts at the first place, the first one first."""
    query = sa.select(Attempt).where(Attempt.array_index == 0).order_by(Attempt.number)
    with sa.orm.Session(store.engine, expire_on_commit=False) as session:
        return list(session.scalars(query))


def states(store: Store) -> list[tuple[AttemptState, FailureClass | None]]:
    return [(row.state, row.failure_class) for row in attempts(store)]


def claimed(store: Store, restart: int, *, name: str = "n") -> Assignment:
    assignment = claim(store, restart, name=name)
    assert assignment is not None
    return assignment


PREEMPTED = (AttemptState.FAILED, FailureClass.PREEMPTED)
STARTED = (AttemptState.STARTED, None)


def test_a_report_that_the_head_refused_does_not_end_the_attempt(store: Store) -> None:
    report_end(store, claimed(store, 0), end(cause="NOT_STARTED", exit_code=None, results={}))
    with store.engine.begin() as connection:
        is_end = Report.kind == ReportKind.END
        connection.execute(sa.update(Report).where(is_end).values(refused_reason="a ghost's"))
    assert claim(store, 1) is not None
    assert states(store) == [PREEMPTED, STARTED]


def test_a_restarted_job_closes_its_attempt_and_opens_the_next(store: Store) -> None:
    first = claimed(store, 0)
    second = claimed(store, 1)
    assert second == {
        **first,
        "attempt_id": attempts(store)[1].id,
        "attempt_token": "a0.1",
        "number": 2,
    }
    assert states(store) == [PREEMPTED, STARTED]
    old, new = attempts(store)
    assert (new.restart, new.host, new.claim, new.slurm_job_id) == (1, "node1", "n1.1", "12_0")
    assert old.failure_message
    assert "restart 1" in old.failure_message
    assert old.ended_at is not None
    assert old.ended_at == new.created_at or old.ended_at < new.created_at
    start = [row for row in store.reports() if row.attempt_id == new.id]
    assert [row.kind for row in start] == [ReportKind.START]
    assert start[0].payload["previous"] == old.id


def test_a_claim_of_a_restart_whose_answer_was_lost_is_given_again(store: Store) -> None:
    claimed(store, 0)
    assert claimed(store, 1) == claimed(store, 1)
    assert states(store) == [PREEMPTED, STARTED]
    assert len(store.reports()) == 2


def test_ten_restarts_are_ten_further_attempts_and_one_of_them_lives(store: Store) -> None:
    tokens = [claimed(store, restart)["attempt_token"] for restart in range(11)]
    assert tokens == ["a0", *(f"a0.{restart}" for restart in range(1, 11))]
    assert states(store) == [PREEMPTED] * 10 + [STARTED]


def test_a_job_that_was_restarted_before_it_began_takes_its_attempt_as_it_is(
    store: Store,
) -> None:
    assert claimed(store, 3)["attempt_token"] == "a0"
    assert states(store) == [STARTED]
    # A worker of an earlier run, which was only slow, must not take it away.
    assert claim(store, 2) is None
    assert claim(store, 0) is None
    assert states(store) == [STARTED]
    assert claimed(store, 4)["attempt_token"] == "a0.4"


def test_a_slow_worker_of_an_earlier_run_finds_nothing_to_do(store: Store) -> None:
    claimed(store, 0)
    claimed(store, 2)
    assert claim(store, 1) is None
    assert claim(store, 2, name="other") is None
    assert claim(store, 0, name="other") is None
    assert states(store) == [PREEMPTED, STARTED]


@pytest.mark.parametrize("state", sorted(set(AttemptState) - OPEN_ATTEMPTS))
def test_an_attempt_that_has_ended_is_not_run_again(store: Store, state: AttemptState) -> None:
    claimed(store, 0)
    store.change(state=state)
    assert claim(store, 1) is None
    assert [found for found, _ in states(store)] == [state]


@pytest.mark.parametrize("payload", [end(), end(exit_code=1), end(cause="TIMEOUT", signal=15)])
def test_an_attempt_that_has_reported_its_end_is_not_run_again(store: Store, payload: Any) -> None:
    report_end(store, claimed(store, 0), payload)
    assert claim(store, 1) is None
    assert states(store) == [STARTED]


def test_a_program_that_finished_while_it_was_told_to_stop_is_not_run_again(
    store: Store,
) -> None:
    report_end(store, claimed(store, 0), end(cause="TERMINATED"))
    assert claim(store, 1) is None


def test_an_attempt_that_was_told_to_stop_goes_on(store: Store) -> None:
    report_end(store, claimed(store, 0), STOPPED)
    claimed(store, 1)
    assert states(store) == [PREEMPTED, STARTED]


def test_a_trial_that_has_its_answer_is_not_run_again(store: Store) -> None:
    claimed(store, 0)
    (attempt,) = attempts(store)
    with sa.orm.Session(store.engine) as session:
        session.add(_outcome(session, attempt))
        session.commit()
    assert claim(store, 1) is None


def _outcome(session: sa.orm.Session, attempt: Attempt) -> Outcome:
    objective = Objective(experiment_id=1, name="R", minimize=True, position=0)
    session.add(objective)
    session.flush()
    return Outcome(
        trial_id=attempt.trial_id,
        objective_id=objective.id,
        mean=1.0,
        source=OutcomeSource.ATTEMPT,
        attempt_id=attempt.id,
    )
