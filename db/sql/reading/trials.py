"""Trials as rows of a table: one line each, whatever they went through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.reading.experiments import ObjectiveRow, ParameterRow
from db.sql.tables import Attempt, Generation, Objective, Outcome, Trial, table_of
from db.states import AttemptState, FailureClass, TrialStatus

_attempt = table_of(Attempt)
_generation = table_of(Generation)
_objective = table_of(Objective)
_outcome = table_of(Outcome)
_trial = table_of(Trial)
TIMES = {
    "index": _trial.c.index,
    "status": _trial.c.status,
    "created_at": _trial.c.created_at,
    "started_at": _trial.c.run_started_at,
    "completed_at": _trial.c.completed_at,
}


@dataclass(frozen=True, kw_only=True)
class TellingAttempt:
    """The attempt that says most about a trial: the one that succeeded, else the last one."""

    trial_id: int
    number: int
    state: AttemptState
    host: str | None
    slurm_job_id: str | None
    exit_code: int | None
    signal: int | None
    failure_class: FailureClass | None
    failure_name: str | None
    failure_message: str | None
    measured: dict[str, Any] | None
    infos: dict[str, Any] | None
    log_path: str | None
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One trial.

    Attributes:
        generator: The generator that proposed it; None for an imported one.
        attempts: How many attempts it has had.
        last: The attempt that says most; None before the first.
        means: Accepted values of its objectives by name; empty without an outcome.
        sems: Their standard errors, where the program gave them.
    """

    id: int
    index: int
    status: TrialStatus
    status_reason: str | None
    parameters: dict[str, Any]
    generator: str | None
    created_at: datetime
    staged_at: datetime | None
    run_started_at: datetime | None
    completed_at: datetime | None
    attempts: int = 0
    last: TellingAttempt | None = None
    means: dict[str, float] = field(default_factory=dict)
    sems: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Order:
    """How to sort: by a time, the index, the status, an objective or a parameter.

    An objective puts its best value first. Trials without a value come last, either way.
    """

    by: str | ObjectiveRow | ParameterRow = "index"
    is_reversed: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which trials are wanted; what is empty does not matter.

    Attributes:
        statuses: Those in one of these.
        hosts: Those that were tried on one of these hosts, by any of their attempts.
        failures: Those of which an attempt failed in one of these classes.
        generators: Those whose point one of these generators gave.
    """

    statuses: Sequence[TrialStatus] = ()
    hosts: Sequence[str] = ()
    failures: Sequence[FailureClass] = ()
    generators: Sequence[str] = ()


def keys(
    connection: sa.Connection,
    experiment_id: int,
    *,
    choice: Choice | None = None,
    order: Order | None = None,
    limit: int | None = None,
) -> list[int]:
    """Return the keys of trials in order: those that are wanted, or all."""
    query = sa.select(_trial.c.id).where(_trial.c.experiment_id == experiment_id).limit(limit)
    for condition in _conditions(choice or Choice()):
        query = query.where(condition)
    found = connection.execute(_sorted(query, order or Order()))
    return [int(key) for (key,) in found]


def _conditions(choice: Choice) -> Iterator[sa.ColumnElement[bool]]:
    if choice.statuses:
        yield _trial.c.status.in_(choice.statuses)
    if choice.generators:
        given = sa.select(_generation.c.id).where(_generation.c.generator.in_(choice.generators))
        yield _trial.c.generation_id.in_(given)
    tried = sa.exists().where(_attempt.c.trial_id == _trial.c.id)
    if choice.hosts:
        yield tried.where(_attempt.c.host.in_(choice.hosts))
    if choice.failures:
        yield tried.where(_attempt.c.failure_class.in_(choice.failures))


def _sorted(query: sa.Select[Any], order: Order) -> sa.Select[Any]:
    falls = order.is_reversed
    column: sa.ColumnElement[Any]
    if isinstance(order.by, ObjectiveRow):
        on = (_outcome.c.trial_id == _trial.c.id) & (_outcome.c.objective_id == order.by.id)
        query = query.outerjoin(_outcome, on)
        column = _outcome.c.mean
        falls = falls == order.by.minimize
    elif isinstance(order.by, ParameterRow):
        entry = _trial.c.parameters[order.by.name]
        numeric = order.by.value_type in {"int", "float"}
        column = entry.as_float() if numeric else entry.as_string()
    else:
        column = TIMES[order.by]
    ordered = column.desc() if falls else column
    if isinstance(column, sa.Column) and not column.nullable and column is not _outcome.c.mean:
        return query.order_by(ordered, _trial.c.index)  # as an index has them
    # MariaDB has no NULLS LAST.
    return query.order_by(column.is_(None), ordered, _trial.c.index)


def rows(connection: sa.Connection, keys: Sequence[int]) -> list[TrialRow]:
    """Return trials by their keys, in the order of the keys.

    Args:
        connection: A reading transaction.
        keys: At most a few thousand; more in several calls.
    """
    query = (
        sa.select(
            *[column for column in _trial.c if column.name in _NAMES], _generation.c.generator
        )
        .outerjoin(_generation, _generation.c.id == _trial.c.generation_id)
        .where(_trial.c.id.in_(keys))
    )
    found = {row["id"]: dict(row) for row in connection.execute(query).mappings()}
    attempts = _attempts(connection, keys)
    outcomes = _outcomes(connection, keys)
    return [
        TrialRow(**found[key], **attempts.get(key, {}), **outcomes.get(key, {}))
        for key in keys
        if key in found
    ]


_NAMES = frozenset(TrialRow.__annotations__)


def _attempts(connection: sa.Connection, keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return how many attempts trials have had, and the one that says most."""
    columns = [_attempt.c[name] for name in TellingAttempt.__annotations__]
    query = (
        sa.select(*columns)
        .where(_attempt.c.trial_id.in_(keys))
        .order_by(_attempt.c.trial_id, _attempt.c.number)
    )
    found: dict[int, dict[str, Any]] = {}
    for row in connection.execute(query).mappings():
        so_far = found.setdefault(row["trial_id"], {"attempts": 0, "last": None})
        so_far["attempts"] += 1
        if so_far["last"] is None or tells_more(so_far["last"].state):
            so_far["last"] = TellingAttempt(**row)
    return found


def _outcomes(connection: sa.Connection, keys: Sequence[int]) -> dict[int, dict[str, Any]]:
    query = (
        sa.select(_outcome.c.trial_id, _objective.c.name, _outcome.c.mean, _outcome.c.sem)
        .join(_objective, _objective.c.id == _outcome.c.objective_id)
        .where(_outcome.c.trial_id.in_(keys))
        .order_by(_objective.c.position)
    )
    found: dict[int, dict[str, Any]] = {}
    for key, name, mean, sem in connection.execute(query):
        values = found.setdefault(key, {"means": {}, "sems": {}})
        values["means"][name] = mean
        if sem is not None:
            values["sems"][name] = sem
    return found


def tells_more(known: str | None) -> bool:
    """Whether a later attempt of a trial says more about it than one in the state `known`."""
    return known != AttemptState.SUCCEEDED


def run_seconds(
    wall: object, started_at: datetime | None, ended_at: datetime | None
) -> float | None:
    """Return how long the program of an attempt ran; None if that is not known.

    Args:
        wall: What the worker measured, if it did.
        started_at: When the attempt started on its host.
        ended_at: When it ended.
    """
    if isinstance(wall, int | float):
        return float(wall)
    if started_at is None or ended_at is None:
        return None
    return (ended_at - started_at).total_seconds()


def told_reason(status: str, status_reason: str | None, failure: str | None) -> str | None:
    """Return why a trial has no outcome, or why its telling attempt gave none."""
    return None if status == TrialStatus.COMPLETED.name else status_reason or failure
