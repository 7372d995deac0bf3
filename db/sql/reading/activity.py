"""What goes on at this moment: running attempts, recent endings, the generator, the head."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.columns import PastIndex
from db.sql.leases import database_time
from db.sql.tables import Attempt, Event, Generation, HeadLease, Metric, Trial, table_of
from db.states import (
    FINAL_TRIALS,
    LIVE_ATTEMPTS,
    AttemptState,
    FailureClass,
    TrialStatus,
)

_attempt = table_of(Attempt)
_event = table_of(Event)
_generation = table_of(Generation)
_lease = table_of(HeadLease)
_metric = table_of(Metric)
_trial = table_of(Trial)
_OPEN_TRIALS = tuple(status for status in TrialStatus if status not in FINAL_TRIALS)


@dataclass(frozen=True, kw_only=True)
class RunningAttempt:
    """An attempt whose program runs, as far as the head knows.

    Attributes:
        metric: The last measurement as (name, value, step); None before the first.
    """

    id: int
    trial_index: int
    number: int
    host: str | None
    slurm_job_id: str | None
    started_at: datetime | None
    heartbeat_at: datetime | None
    metric: tuple[str, float | None, int | None] | None = None


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A trial that has just got its final status."""

    id: int
    trial_index: int
    status: TrialStatus
    reason: str | None
    run_started_at: datetime | None
    completed_at: datetime


@dataclass(frozen=True, kw_only=True)
class GenerationRow:
    """One call of a generator; see the columns of `generation`."""

    number: int
    generator: str
    requested: int
    produced: int
    fit_time: float | None
    gen_time: float | None
    fallback_reason: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class LeaseRow:
    """Who owns an experiment, or owned it last.

    Attributes:
        pid: Process of the head; 0 when it has let go.
        epoch: How many owners there were.
        seconds_left: Until the lease expires, by the database's clock; negative if it has.
        vitals: What that head told of itself last; None: nothing.
    """

    host: str
    pid: int
    epoch: int
    seconds_left: float
    vitals: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class FailureCount:
    """How often attempts failed in one way.

    Attributes:
        message: What was said of them most often; of several messages the newest.
    """

    failure_class: FailureClass
    count: int
    message: str | None


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """One thing that happened or was decided."""

    id: int
    kind: str
    trial_index: int | None
    payload: dict[str, Any]
    created_at: datetime


def clock(connection: sa.Connection) -> datetime:
    """Return the time by the database's own clock."""
    return database_time(connection)


def live_attempts(connection: sa.Connection, experiment_id: int) -> dict[AttemptState, int]:
    """Return how many attempts wait in the scheduler (SUBMITTED) and how many run (STARTED)."""
    query = (
        sa.select(_attempt.c.state, sa.func.count())
        .select_from(_of_open_trials(experiment_id))
        .where(_attempt.c.state.in_(LIVE_ATTEMPTS))
        .group_by(_attempt.c.state)
    )
    return {state: int(count) for state, count in connection.execute(query)}


def marks(connection: sa.Connection, experiment_id: int) -> tuple[object, ...]:
    """Return what is another one whenever a trial has begun, has ended, or was decided upon."""
    last = sa.select(sa.func.max(_event.c.id)).where(_event.c.experiment_id == experiment_id)
    live = live_attempts(connection, experiment_id)
    return connection.execute(last).scalar_one(), *sorted(live.items())


def running(connection: sa.Connection, experiment_id: int, *, limit: int) -> list[RunningAttempt]:
    """Return attempts whose program runs, the longest running first."""
    query = (
        sa.select(
            _attempt.c.id,
            _trial.c.index.label("trial_index"),
            _attempt.c.number,
            _attempt.c.host,
            _attempt.c.slurm_job_id,
            _attempt.c.started_at,
            _attempt.c.heartbeat_at,
        )
        .select_from(_of_open_trials(experiment_id))
        .where(_attempt.c.state == AttemptState.STARTED)
        .order_by(_attempt.c.started_at, _attempt.c.id)
        .limit(limit)
    )
    rows = [dict(row) for row in connection.execute(query).mappings()]
    metrics = _last_metrics(connection, [row["id"] for row in rows])
    return [RunningAttempt(**row, metric=metrics.get(row["id"])) for row in rows]


def _of_open_trials(experiment_id: int) -> sa.FromClause:
    """Attempts of trials that are not final: few, and an index finds them among all others."""
    on = (
        (_attempt.c.trial_id == _trial.c.id)
        & (_trial.c.experiment_id == experiment_id)
        & _trial.c.status.in_(_OPEN_TRIALS)
    )
    return _trial.join(_attempt, on)


def _last_metrics(
    connection: sa.Connection, attempt_ids: Sequence[int]
) -> dict[int, tuple[str, float | None, int | None]]:
    newest = (
        sa.select(sa.func.max(_metric.c.id))
        .where(_metric.c.attempt_id == _attempt.c.id)
        .correlate(_attempt)
        .scalar_subquery()
    )
    query = (
        sa.select(_metric.c.attempt_id, _metric.c.name, _metric.c.value, _metric.c.step)
        .join(_attempt, _metric.c.id == newest)
        .where(_attempt.c.id.in_(attempt_ids))
    )
    return {key: (name, value, step) for key, name, value, step in connection.execute(query)}


def endings(
    connection: sa.Connection, experiment_id: int, *, limit: int, status: TrialStatus | None = None
) -> list[Ending]:
    """Return the trials that ended last, or those that ended so, the newest first."""
    query = (
        _endings()
        .where(_trial.c.experiment_id == experiment_id, _trial.c.completed_at.is_not(None))
        .order_by(_trial.c.completed_at.desc(), _trial.c.id.desc())
        .limit(limit)
    )
    if status is not None:
        query = query.where(_trial.c.status == status)
    return [Ending(**row) for row in connection.execute(query).mappings()]


def endings_among(connection: sa.Connection, trial_ids: Sequence[int]) -> list[Ending]:
    """Return those of these trials that have ended."""
    query = _endings().where(_trial.c.id.in_(trial_ids), _trial.c.completed_at.is_not(None))
    return [Ending(**row) for row in connection.execute(query).mappings()]


def _endings() -> sa.Select[Any]:
    return sa.select(
        _trial.c.id,
        _trial.c.index.label("trial_index"),
        _trial.c.status,
        _trial.c.status_reason.label("reason"),
        _trial.c.run_started_at,
        _trial.c.completed_at,
    )


def open_trials(connection: sa.Connection, experiment_id: int) -> set[int]:
    """Return the keys of all trials that have not ended."""
    query = sa.select(_trial.c.id).where(
        _trial.c.experiment_id == experiment_id, _trial.c.status.in_(_OPEN_TRIALS)
    )
    return set(connection.execute(query).scalars())


def trials_from(connection: sa.Connection, experiment_id: int, index: int) -> set[int]:
    """Return the keys of the trials whose index is at least `index`."""
    query = sa.select(_trial.c.id).where(
        _trial.c.experiment_id == experiment_id, _trial.c.index >= index
    )
    return set(connection.execute(query).scalars())


def generations(
    connection: sa.Connection, experiment_id: int, *, limit: int
) -> list[GenerationRow]:
    """Return the last calls of generators, the newest first."""
    columns = [_generation.c[name] for name in GenerationRow.__annotations__]
    query = (
        sa.select(*columns)
        .where(_generation.c.experiment_id == experiment_id)
        .order_by(_generation.c.number.desc())
        .limit(limit)
    )
    return [GenerationRow(**row) for row in connection.execute(query).mappings()]


def lease(connection: sa.Connection, experiment_id: int) -> LeaseRow | None:
    """Return the lease of an experiment without locking it; None if it never had a head."""
    query = sa.select(_lease).where(_lease.c.experiment_id == experiment_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    left = row["expires_at"] - database_time(connection)
    return LeaseRow(
        host=row["host"],
        pid=row["pid"],
        epoch=row["epoch"],
        seconds_left=left.total_seconds(),
        vitals=row["vitals"],
    )


def failures(connection: sa.Connection, experiment_id: int) -> list[FailureCount]:
    """Return in which ways attempts failed, the most frequent way first."""
    query = (
        sa.select(
            _attempt.c.failure_class,
            _attempt.c.failure_message,
            sa.func.count(),
            sa.func.max(_attempt.c.id),
        )
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(_attempt.c.failure_class.is_not(None))
        .where(PastIndex(_trial.c.experiment_id) == experiment_id)
        .group_by(_attempt.c.failure_class, _attempt.c.failure_message)
    )
    counts: Counter[FailureClass] = Counter()
    told: dict[FailureClass, tuple[int, int, str | None]] = {}
    for kind, message, count, newest in connection.execute(query):
        counts[kind] += count
        told[kind] = max(told.get(kind, (0, 0, None)), (count, newest, message))
    found = [
        FailureCount(failure_class=kind, count=count, message=told[kind][2])
        for kind, count in counts.items()
    ]
    return sorted(found, key=lambda row: (-row.count, row.failure_class))


def events(connection: sa.Connection, experiment_id: int, *, limit: int) -> list[EventRow]:
    """Return the last events, the oldest of them first."""
    query = (
        sa.select(
            _event.c.id,
            _event.c.kind,
            _trial.c.index.label("trial_index"),
            _event.c.payload,
            _event.c.created_at,
        )
        .outerjoin(_trial, _trial.c.id == _event.c.trial_id)
        .where(_event.c.experiment_id == experiment_id)
        .order_by(_event.c.id.desc())
        .limit(limit)
    )
    return [EventRow(**row) for row in connection.execute(query).mappings()][::-1]
