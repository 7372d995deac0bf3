"""Queries about attempts and submissions. Every change of a state names the states it expects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from db.sql import leases
from db.sql.columns import PastIndex
from db.sql.store import now
from db.sql.tables import Attempt, Report, Submission, Trial, table_of
from db.states import (
    CLAIMABLE_ATTEMPTS,
    OPEN_ATTEMPTS,
    AttemptState,
    FailureClass,
    ReportKind,
    SubmissionState,
)

_attempt = table_of(Attempt)
_report = table_of(Report)
_submission = table_of(Submission)
_trial = table_of(Trial)
# Written out in the statement, in this order: only so SQLite sees that its index of open attempts
# holds them all.
_OPEN: sa.BindParameter[AttemptState] = sa.bindparam(
    "open",
    [state for state in AttemptState if state in OPEN_ATTEMPTS],
    expanding=True,
    literal_execute=True,
)


@dataclass(frozen=True, kw_only=True)
class NewAttempt:
    """An attempt that is about to be planned.

    Attributes:
        requested: What is asked for it; None: what the submission asks for.
    """

    trial_id: int
    array_index: int
    number: int
    token: str
    log_path: str
    requested: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """An open attempt as the head keeps it in mind, with the submission that carries it."""

    id: int
    trial_id: int
    number: int
    token: str
    state: AttemptState
    array_index: int
    slurm_job_id: str | None
    host: str | None
    claim: str | None
    log_path: str | None
    requested: dict[str, Any] | None
    heartbeat_at: datetime | None
    submission_id: int
    submission_token: str
    submission_state: SubmissionState
    submission_size: int
    submission_created_at: datetime


def plan(
    connection: sa.Connection,
    experiment_id: int,
    *,
    token: str,
    resources: dict[str, Any],
    attempts: Sequence[NewAttempt],
) -> tuple[int, list[int]]:
    """Store a submission and its attempts before the scheduler hears of them.

    Returns:
        The key of the submission and the keys of the attempts, in their order.
    """
    created = now()
    statement = _submission.insert().values(
        experiment_id=experiment_id,
        token=token,
        size=len(attempts),
        resources=resources,
        state=SubmissionState.PREPARED,
        created_at=created,
    )
    key = connection.execute(statement).inserted_primary_key
    assert key is not None
    rows = [
        {
            **vars(attempt),
            "submission_id": key[0],
            "state": AttemptState.PLANNED,
            "requested": attempt.requested or resources,
            "created_at": created,
        }
        for attempt in attempts
    ]
    connection.execute(_attempt.insert(), rows)
    ids = connection.execute(
        sa.select(_attempt.c.id)
        .where(_attempt.c.submission_id == key[0])
        .order_by(_attempt.c.array_index)
    )
    return int(key[0]), [int(found) for found in ids.scalars()]


def answer(
    connection: sa.Connection,
    submission_id: int,
    state: SubmissionState,
    *,
    expected: Collection[SubmissionState],
    job_id: str | None = None,
    message: str | None = None,
) -> bool:
    """Note what became of a submission; False if its state was none of the expected ones."""
    values = {
        "state": state,
        "slurm_job_id": job_id,
        "message": message,
        "answered_at": now(),
    }
    where = (_submission.c.id == submission_id) & _submission.c.state.in_(expected)
    return connection.execute(_submission.update().where(where).values(**values)).rowcount == 1


def submitted(connection: sa.Connection, jobs: Mapping[int, str]) -> None:
    """Note the job ids of attempts that the scheduler has taken, by the key of the attempt.

    A worker may have been faster than sbatch's answer: a STARTED attempt stays STARTED.
    """
    if not jobs:
        return
    rows = [{"attempt_id": key, "job": job, "moment": now()} for key, job in jobs.items()]
    moment = sa.bindparam("moment", type_=_attempt.c.submitted_at.type)
    connection.execute(
        _attempt.update()
        .where(_attempt.c.id == sa.bindparam("attempt_id"))
        .values(slurm_job_id=sa.bindparam("job"), submitted_at=moment),
        rows,
    )
    connection.execute(
        _attempt.update()
        .where(_attempt.c.id.in_(jobs), _attempt.c.state == AttemptState.PLANNED)
        .values(state=AttemptState.SUBMITTED)
    )


def started(
    connection: sa.Connection, attempt_id: int, *, host: str, job_id: str | None, claim: str
) -> bool:
    """Note that a worker has claimed an attempt through the spool."""
    moment = leases.database_time(connection)
    statement = (
        _attempt.update()
        .where(_attempt.c.id == attempt_id, _attempt.c.state.in_(CLAIMABLE_ATTEMPTS))
        .values(
            state=AttemptState.STARTED,
            host=host,
            claim=claim,
            slurm_job_id=sa.func.coalesce(_attempt.c.slurm_job_id, job_id),
            started_at=moment,
            heartbeat_at=moment,
        )
    )
    return connection.execute(statement).rowcount == 1


def note_exclusions(
    connection: sa.Connection, attempt_ids: Collection[int], hosts: Sequence[str]
) -> dict[int, dict[str, Any]]:
    """Note that the jobs of attempts avoid these hosts now, and no others.

    Returns:
        What is now on record as asked for, by attempt.
    """
    query = sa.select(_attempt.c.id, _attempt.c.requested).where(_attempt.c.id.in_(attempt_ids))
    after = {
        key: {**(before or {}), "exclude": list(hosts)} for key, before in connection.execute(query)
    }
    if after:
        statement = _attempt.update().where(_attempt.c.id == sa.bindparam("key"))
        rows = [{"key": key, "requested": requested} for key, requested in after.items()]
        connection.execute(statement, rows)
    return after


def beat(connection: sa.Connection, attempt_ids: Collection[int]) -> None:
    """Note that attempts gave a sign of life through the spool.

    It gets the time at which it was seen: a node's own clock may be years off.
    """
    if attempt_ids:
        where = _attempt.c.id.in_(attempt_ids) & (_attempt.c.state == AttemptState.STARTED)
        moment = leases.database_time(connection)
        connection.execute(_attempt.update().where(where).values(heartbeat_at=moment))


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """A running attempt whose worker has given no sign of life for some time.

    Attributes:
        seconds: For how long, by the database's clock.
        has_ended: Whether its END report is there and only waits to be dealt with.
    """

    id: int
    host: str | None
    seconds: float
    has_ended: bool


def quiet(
    connection: sa.Connection, experiment_id: int, *, seconds: float
) -> tuple[datetime, dict[int, Quiet]]:
    """Return STARTED attempts without a heartbeat for so many seconds, by key.

    Returns:
        The time by the database's clock, and the attempts.
    """
    moment = leases.database_time(connection)
    is_end = (_report.c.attempt_id == _attempt.c.id) & (_report.c.kind == ReportKind.END)
    # One that was refused is of another job, which had not claimed the attempt.
    has_ended = sa.exists().where(is_end, _report.c.refused_reason.is_(None))
    query = (
        sa.select(_attempt.c.id, _attempt.c.host, _attempt.c.heartbeat_at, has_ended)
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(PastIndex(_trial.c.experiment_id) == experiment_id)
        # The first one names the index, the second one what is asked for.
        .where(_attempt.c.state.in_(_OPEN), _attempt.c.state == AttemptState.STARTED)
        .where(_attempt.c.heartbeat_at < moment - timedelta(seconds=seconds))
    )
    return moment, {
        key: Quiet(id=key, host=host, seconds=(moment - at).total_seconds(), has_ended=bool(ended))
        for key, host, at, ended in connection.execute(query)
    }


@dataclass(frozen=True, kw_only=True)
class End:
    """How an attempt ended; see the columns of `attempt`. What is None is left as it is."""

    state: AttemptState
    failure_class: FailureClass | None = None
    failure_name: str | None = None
    failure_message: str | None = None
    failure_action: str | None = None
    failure_evidence: dict[str, Any] | None = None
    exit_code: int | None = None
    signal: int | None = None
    host: str | None = None
    slurm_state: str | None = None
    measured: dict[str, Any] | None = None
    infos: dict[str, str] | None = None


def end(
    connection: sa.Connection, attempt_id: int, how: End, *, expected: Collection[AttemptState]
) -> bool:
    """End an attempt; False if its state was none of the expected ones."""
    values = {name: value for name, value in vars(how).items() if value is not None}
    statement = (
        _attempt.update()
        .where(_attempt.c.id == attempt_id, _attempt.c.state.in_(expected))
        .values(ended_at=now(), **values)
    )
    return connection.execute(statement).rowcount == 1


def open_attempts(connection: sa.Connection, experiment_id: int) -> list[AttemptRow]:
    """Return all attempts that may still run, with their submissions."""
    query = (
        sa.select(
            _attempt.c.id,
            _attempt.c.trial_id,
            _attempt.c.number,
            _attempt.c.token,
            _attempt.c.state,
            _attempt.c.array_index,
            _attempt.c.slurm_job_id,
            _attempt.c.host,
            _attempt.c.claim,
            _attempt.c.log_path,
            _attempt.c.requested,
            _attempt.c.heartbeat_at,
            _submission.c.id.label("submission_id"),
            _submission.c.token.label("submission_token"),
            _submission.c.state.label("submission_state"),
            _submission.c.size.label("submission_size"),
            _submission.c.created_at.label("submission_created_at"),
        )
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .join(_submission, _submission.c.id == _attempt.c.submission_id)
        .where(PastIndex(_trial.c.experiment_id) == experiment_id)
        .where(_attempt.c.state.in_(_OPEN))
    )
    # Sorted here: SQLite would go through the whole table for the sake of its order.
    found = [AttemptRow(**row) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda row: row.id)


def running(connection: sa.Connection, attempt_ids: Collection[int]) -> set[int]:
    """Return those of these attempts that a worker has claimed and that have not ended."""
    if not attempt_ids:
        return set()
    where = _attempt.c.id.in_(attempt_ids) & (_attempt.c.state == AttemptState.STARTED)
    return set(connection.execute(sa.select(_attempt.c.id).where(where)).scalars())


def others(connection: sa.Connection, trial_id: int, *, but: int) -> list[tuple[int, str | None]]:
    """Return key and job id of the open attempts of a trial, except for one."""
    query = sa.select(_attempt.c.id, _attempt.c.slurm_job_id).where(
        _attempt.c.trial_id == trial_id, _attempt.c.state.in_(_OPEN), _attempt.c.id != but
    )
    return [(key, job) for key, job in connection.execute(query)]


@dataclass(frozen=True, kw_only=True)
class FailedAttempt:
    """Why an earlier attempt of a trial gave no result, and what it had asked for.

    Attributes:
        failure: Its class.
        name: The rule or the log pattern that gave it its class.
        host: Where it ran; None if it never did.
        requested: What was asked of the scheduler for it; empty if that is not known.
    """

    failure: FailureClass
    name: str | None = None
    host: str | None = None
    requested: Mapping[str, Any] = field(default_factory=dict)


def failures(
    connection: sa.Connection, trial_ids: Collection[int]
) -> dict[int, list[FailedAttempt]]:
    """Return why the ended attempts of trials gave no result, by trial, oldest first."""
    query = (
        sa.select(
            _attempt.c.trial_id,
            _attempt.c.failure_class,
            _attempt.c.failure_name,
            _attempt.c.host,
            _attempt.c.requested,
        )
        .where(_attempt.c.trial_id.in_(trial_ids), _attempt.c.failure_class.is_not(None))
        .order_by(_attempt.c.trial_id, _attempt.c.number)
    )
    found: dict[int, list[FailedAttempt]] = {}
    for trial_id, failure, name, host, requested in connection.execute(query):
        failed = FailedAttempt(failure=failure, name=name, host=host, requested=requested or {})
        found.setdefault(trial_id, []).append(failed)
    return found


def requested(connection: sa.Connection, attempt_id: int) -> dict[str, Any]:
    """Return what was asked of the scheduler for an attempt; empty if that is not known."""
    query = sa.select(_attempt.c.requested).where(_attempt.c.id == attempt_id)
    found: dict[str, Any] | None = connection.execute(query).scalar()
    return found or {}


def last_numbers(connection: sa.Connection, trial_ids: Collection[int]) -> dict[int, int]:
    """Return the number of the last attempt of each trial that has one."""
    query = (
        sa.select(_attempt.c.trial_id, sa.func.max(_attempt.c.number))
        .where(_attempt.c.trial_id.in_(trial_ids))
        .group_by(_attempt.c.trial_id)
    )
    return {int(trial): int(number) for trial, number in connection.execute(query)}
