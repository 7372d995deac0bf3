"""What is known of an experiment as a whole, in the form that exports carry."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from db.sql.reading import experiments
from db.sql.reading.experiments import ExperimentRow
from db.sql.tables import Parameter, ParameterConstraint, table_of

_constraint = table_of(ParameterConstraint)
_parameter = table_of(Parameter)
_DIMENSION = (
    "name",
    "kind",
    "value_type",
    "lower",
    "upper",
    "log_scale",
    "choices",
    "is_ordered",
    "fixed_value",
)


def about(connection: sa.Connection, experiment: ExperimentRow) -> dict[str, Any]:
    """Return the head of a JSON export: names, state, space, objectives, spec."""
    dimensions = (
        sa.select(*[_parameter.c[name] for name in _DIMENSION])
        .where(_parameter.c.experiment_id == experiment.id)
        .order_by(_parameter.c.position)
    )
    constraints = (
        sa.select(_constraint.c.text)
        .where(_constraint.c.experiment_id == experiment.id)
        .order_by(_constraint.c.position)
    )
    return {
        **summary(experiment),
        "parameters": [dict(row) for row in connection.execute(dimensions).mappings()],
        "constraints": list(connection.execute(constraints).scalars()),
        "spec": experiments.spec(connection, experiment.id),
    }


def summary(experiment: ExperimentRow) -> dict[str, Any]:
    """Return what a list of experiments says of one, as plain values."""
    return {
        "name": experiment.name,
        "run": experiment.run_number,
        "uuid": experiment.uuid,
        "status": str(experiment.status),
        "stop_reason": experiment.stop_reason,
        "group": experiment.group,
        "description": experiment.description,
        "participant": experiment.participant,
        "metadata": experiment.user_metadata or {},
        "owner": experiment.owner,
        "run_dir": experiment.run_dir,
        "created_at": experiment.created_at,
        "ended_at": experiment.ended_at,
        "objectives": [
            {"name": objective.name, "goal": "min" if objective.minimize else "max"}
            for objective in experiment.objectives
        ],
        "trials": {status.name: count for status, count in sorted(experiment.trials.items())},
    }
