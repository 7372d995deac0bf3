"""Experiments: which there are, and how far each has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.tables import Experiment, Objective, Parameter, Trial, table_of
from db.states import ONGOING_EXPERIMENTS, ExperimentStatus, TrialStatus

_experiment = table_of(Experiment)
_objective = table_of(Objective)
_parameter = table_of(Parameter)
_trial = table_of(Trial)
# The spec may be large, and a list of experiments does not need it.
_COLUMNS = tuple(column for column in _experiment.c if column.name != "spec")


@dataclass(frozen=True, kw_only=True)
class ObjectiveRow:
    """One value that trials report.

    Attributes:
        id: Its key.
        name: As in the line `NAME: VALUE`.
        minimize: Whether smaller is better.
    """

    id: int
    name: str
    minimize: bool


@dataclass(frozen=True, kw_only=True)
class ExperimentRow:
    """One experiment, without its spec.

    Attributes:
        trials: Number of trials by status; statuses that no trial has are left out.
        objectives: In the order in which they were given.
    """

    id: int
    uuid: str
    name: str
    run_number: int
    group: str | None
    description: str | None
    participant: str | None
    user_metadata: dict[str, Any] | None
    status: ExperimentStatus
    stop_reason: str | None
    owner: str
    run_dir: str
    created_at: datetime
    ended_at: datetime | None
    trials: dict[TrialStatus, int] = field(default_factory=dict)
    objectives: tuple[ObjectiveRow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ParameterRow:
    """One dimension of a space.

    Attributes:
        name: As the program's text uses it.
        value_type: int, float, str or bool.
    """

    name: str
    value_type: str


def find_all(connection: sa.Connection, *, name: str | None = None) -> list[ExperimentRow]:
    """Return all experiments, or all runs of one name, the newest last."""
    query = sa.select(*_COLUMNS).order_by(_experiment.c.created_at, _experiment.c.id)
    if name is not None:
        query = query.where(_experiment.c.name == name)
    return _complete(connection, query)


def find(connection: sa.Connection, experiment_id: int) -> ExperimentRow | None:
    """Return one experiment, or None if there is none with this key."""
    query = sa.select(*_COLUMNS).where(_experiment.c.id == experiment_id)
    return next(iter(_complete(connection, query)), None)


def find_key(connection: sa.Connection, name: str | None, run_number: int | None) -> int | None:
    """Return the key of a run; without a number the latest one, without a name the newest of all.

    Returns:
        None if there is no such run.
    """
    query = sa.select(_experiment.c.id).limit(1)
    if name is None:
        query = query.order_by(_experiment.c.created_at.desc(), _experiment.c.id.desc())
    else:
        query = query.where(_experiment.c.name == name).order_by(_experiment.c.run_number.desc())
    if run_number is not None:
        query = query.where(_experiment.c.run_number == run_number)
    return connection.execute(query).scalar()


def find_key_by_uuid(connection: sa.Connection, uuid: str) -> int | None:
    """Return the key that an experiment has in this database, or None."""
    query = sa.select(_experiment.c.id).where(_experiment.c.uuid == uuid)
    return connection.execute(query).scalar()


def runs(connection: sa.Connection) -> list[tuple[str, int]]:
    """Return name and run number of every experiment."""
    query = sa.select(_experiment.c.name, _experiment.c.run_number)
    return [(str(name), int(number)) for name, number in connection.execute(query)]


def spec(connection: sa.Connection, experiment_id: int) -> dict[str, Any]:
    """Return the frozen spec of an experiment that exists."""
    query = sa.select(_experiment.c.spec).where(_experiment.c.id == experiment_id)
    found: dict[str, Any] = connection.execute(query).scalar_one()
    return found


def ongoing(connection: sa.Connection) -> list[int]:
    """Return the keys of the experiments that go on, by their status."""
    statuses = _experiment.c.status.in_(ONGOING_EXPERIMENTS)
    return list(connection.execute(sa.select(_experiment.c.id).where(statuses)).scalars())


def parameters(connection: sa.Connection, experiment_id: int) -> tuple[ParameterRow, ...]:
    """Return the parameters of an experiment in the order in which they were given."""
    query = (
        sa.select(_parameter.c.name, _parameter.c.value_type)
        .where(_parameter.c.experiment_id == experiment_id)
        .order_by(_parameter.c.position)
    )
    return tuple(ParameterRow(**row) for row in connection.execute(query).mappings())


def _complete(connection: sa.Connection, query: sa.Select[Any]) -> list[ExperimentRow]:
    rows = [dict(row) for row in connection.execute(query).mappings()]
    keys = [row["id"] for row in rows]
    counts = _counts(connection, keys)
    objectives = _objectives(connection, keys)
    return [
        ExperimentRow(**row, trials=counts[row["id"]], objectives=tuple(objectives[row["id"]]))
        for row in rows
    ]


def _counts(connection: sa.Connection, keys: Sequence[int]) -> dict[int, dict[TrialStatus, int]]:
    """Count trials by status with one query, which an index answers alone."""
    found: dict[int, dict[TrialStatus, int]] = {key: {} for key in keys}
    query = (
        sa.select(_trial.c.experiment_id, _trial.c.status, sa.func.count())
        .where(_trial.c.experiment_id.in_(keys))
        .group_by(_trial.c.experiment_id, _trial.c.status)
    )
    for key, status, count in connection.execute(query):
        found[key][TrialStatus(status)] = int(count)
    return found


def _objectives(connection: sa.Connection, keys: Sequence[int]) -> dict[int, list[ObjectiveRow]]:
    found: dict[int, list[ObjectiveRow]] = {key: [] for key in keys}
    query = (
        sa.select(
            _objective.c.experiment_id, _objective.c.id, _objective.c.name, _objective.c.minimize
        )
        .where(_objective.c.experiment_id.in_(keys))
        .order_by(_objective.c.position)
    )
    for experiment_id, key, name, minimize in connection.execute(query):
        found[experiment_id].append(ObjectiveRow(id=key, name=name, minimize=minimize))
    return found
