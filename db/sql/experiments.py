"""Queries about experiments as a whole: set up, status, spec."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.store import now
from db.sql.tables import (
    Experiment,
    GenerationNode,
    Objective,
    Parameter,
    ParameterConstraint,
    SpecVersion,
    table_of,
)
from db.states import ONGOING_EXPERIMENTS, ExperimentStatus

_experiment = table_of(Experiment)
_objective = table_of(Objective)
_version = table_of(SpecVersion)
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class NewExperiment:
    """Everything that is known of an experiment when it is set up; rows without their keys."""

    experiment: Row
    parameters: Sequence[Row]
    constraints: Sequence[Row]
    objectives: Sequence[Row]
    nodes: Sequence[Row]


@dataclass(frozen=True, kw_only=True)
class StoredExperiment:
    """An experiment as a head needs it to go on.

    Attributes:
        id: Its key.
        status: Where it stands.
        spec: The frozen spec.
        run_dir: Its run folder.
        objective_ids: Key of each objective, by name.
    """

    id: int
    uuid: str
    name: str
    run_number: int
    created_at: datetime
    status: ExperimentStatus
    spec: dict[str, Any]
    run_dir: str
    objective_ids: dict[str, int]


def last_run_number(connection: sa.Connection, name: str) -> int:
    """Return the highest run number of a name, 0 if there is none."""
    query = sa.select(sa.func.max(_experiment.c.run_number)).where(_experiment.c.name == name)
    return connection.execute(query).scalar() or 0


def insert(connection: sa.Connection, new: NewExperiment) -> int:
    """Store a new experiment with its space, objectives and strategy; return its key.

    Its spec becomes version 1.
    """
    key = connection.execute(_experiment.insert().values(**new.experiment)).inserted_primary_key
    assert key is not None
    parts: tuple[tuple[sa.Table, Sequence[Row]], ...] = (
        (table_of(Parameter), new.parameters),
        (table_of(ParameterConstraint), new.constraints),
        (table_of(Objective), new.objectives),
        (table_of(GenerationNode), new.nodes),
    )
    for table, rows in parts:
        numbered = [
            {"experiment_id": key[0], "position": position, **row}
            for position, row in enumerate(rows)
        ]
        if numbered:
            connection.execute(sa.insert(table), numbered)
    _add_version(connection, int(key[0]), new.experiment["spec"], number=1, reason="setup")
    return int(key[0])


def delete(connection: sa.Connection, experiment_id: int) -> None:
    """Remove an experiment with everything that belongs to it."""
    connection.execute(_experiment.delete().where(_experiment.c.id == experiment_id))


def get(connection: sa.Connection, experiment_id: int) -> StoredExperiment:
    """Return one experiment by its key."""
    row = (
        connection.execute(sa.select(_experiment).where(_experiment.c.id == experiment_id))
        .mappings()
        .one()
    )
    objectives = connection.execute(
        sa.select(_objective.c.name, _objective.c.id)
        .where(_objective.c.experiment_id == experiment_id)
        .order_by(_objective.c.position)
    )
    return StoredExperiment(
        id=row["id"],
        uuid=row["uuid"],
        created_at=row["created_at"],
        name=row["name"],
        run_number=row["run_number"],
        status=row["status"],
        spec=row["spec"],
        run_dir=row["run_dir"],
        objective_ids={name: key for name, key in objectives},  # noqa: C416
    )


def set_status(
    connection: sa.Connection,
    experiment_id: int,
    status: ExperimentStatus,
    *,
    expected: Collection[ExperimentStatus],
    reason: str | None = None,
) -> bool:
    """Move an experiment on; False if its status was none of the expected ones."""
    running = status in ONGOING_EXPERIMENTS
    values = {"status": status, "stop_reason": reason, "ended_at": None if running else now()}
    where = (_experiment.c.id == experiment_id) & _experiment.c.status.in_(expected)
    return connection.execute(_experiment.update().where(where).values(**values)).rowcount == 1


def set_spec(
    connection: sa.Connection, experiment_id: int, spec: dict[str, Any], *, reason: str
) -> int:
    """Replace the spec when a resume changes it; return the number of the new version.

    Args:
        connection: The transaction.
        experiment_id: The experiment.
        spec: The whole new spec.
        reason: What changed, and when.
    """
    where = _experiment.c.id == experiment_id
    number = last_version(connection, experiment_id) + 1
    if number == 1:
        # Set up by a Headway that kept no versions: the first one is what is replaced now.
        before = connection.execute(sa.select(_experiment.c.spec).where(where)).scalar_one()
        _add_version(connection, experiment_id, before, number=1, reason="setup")
        number = 2
    connection.execute(_experiment.update().where(where).values(spec=spec))
    _add_version(connection, experiment_id, spec, number=number, reason=reason)
    return number


def last_version(connection: sa.Connection, experiment_id: int) -> int:
    """Return the number of the spec's newest version; 0 if no version was ever kept."""
    query = sa.select(sa.func.max(_version.c.version)).where(
        _version.c.experiment_id == experiment_id
    )
    return connection.execute(query).scalar() or 0


def _add_version(
    connection: sa.Connection, experiment_id: int, spec: Row, *, number: int, reason: str
) -> None:
    statement = _version.insert().values(
        experiment_id=experiment_id, version=number, spec=spec, reason=reason, created_at=now()
    )
    connection.execute(statement)
