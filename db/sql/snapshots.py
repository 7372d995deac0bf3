"""Snapshots of a strategy: where it stood, as JSON that people and other programs can read.

A snapshot is made of what the database holds, in the transaction that makes it worth keeping.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from db.sql import generations
from db.sql.store import now
from db.sql.tables import (
    Generation,
    GenerationNode,
    Objective,
    Outcome,
    StrategySnapshot,
    Trial,
    table_of,
)
from db.states import SnapshotReason, TrialStatus

_generation = table_of(Generation)
_node = table_of(GenerationNode)
_objective = table_of(Objective)
_outcome = table_of(Outcome)
_snapshot = table_of(StrategySnapshot)
_trial = table_of(Trial)


def keep(
    connection: sa.Connection,
    experiment_id: int,
    *,
    reason: SnapshotReason,
    node: int,
    generator: str,
) -> None:
    """Store where the strategy stands.

    Args:
        connection: The transaction; what it has written counts.
        experiment_id: The experiment.
        reason: What makes it worth keeping.
        node: Position of the step that the next point counts for.
        generator: The generator of that step.
    """
    statement = _snapshot.insert().values(
        experiment_id=experiment_id,
        reason=reason,
        node=node,
        generator=generator,
        document=_document(connection, experiment_id),
        created_at=now(),
    )
    connection.execute(statement)


def _document(connection: sa.Connection, experiment_id: int) -> dict[str, Any]:
    states = generations.last_states(connection, experiment_id)
    return {
        "nodes": _nodes(connection, experiment_id),
        "states": {generator: vars(last) for generator, last in sorted(states.items())},
        "next_generation": generations.next_number(connection, experiment_id),
        "told": _count_told(connection, experiment_id),
        "best": _best(connection, experiment_id),
    }


def _nodes(connection: sa.Connection, experiment_id: int) -> list[dict[str, Any]]:
    """Return the steps, each with the trials that it proposed and those that have results."""
    proposed = generations.proposed_by_node(connection, experiment_id)
    query = (
        sa.select(_generation.c.node, sa.func.count())
        .join(_trial, _trial.c.generation_id == _generation.c.id)
        .where(_generation.c.experiment_id == experiment_id)
        .where(_trial.c.status == TrialStatus.COMPLETED)
        .group_by(_generation.c.node)
    )
    observed = {int(node): int(count) for node, count in connection.execute(query)}
    steps = connection.execute(
        sa.select(_node.c.position, _node.c.generator, _node.c.num_trials, _node.c.min_observed)
        .where(_node.c.experiment_id == experiment_id)
        .order_by(_node.c.position)
    )
    return [
        {
            **step,
            "proposed": proposed.get(step["position"], 0),
            "observed": observed.get(step["position"], 0),
        }
        for step in steps.mappings()
    ]


def _count_told(connection: sa.Connection, experiment_id: int) -> int:
    """Return how many trials generators are told of: those with results and those that failed."""
    query = sa.select(sa.func.count()).where(
        _trial.c.experiment_id == experiment_id,
        _trial.c.status.in_((TrialStatus.COMPLETED, TrialStatus.FAILED)),
    )
    return int(connection.execute(query).scalar_one())


def _best(connection: sa.Connection, experiment_id: int) -> list[dict[str, Any]]:
    """Return the best trial by each objective; objectives without any outcome are left out."""
    objectives = connection.execute(
        sa.select(_objective.c.id, _objective.c.name, _objective.c.minimize)
        .where(_objective.c.experiment_id == experiment_id)
        .order_by(_objective.c.position)
    ).all()
    found = []
    for key, name, minimize in objectives:
        order = _outcome.c.mean.asc() if minimize else _outcome.c.mean.desc()
        query = (
            sa.select(_trial.c.index, _outcome.c.mean)
            .join(_trial, _trial.c.id == _outcome.c.trial_id)
            .where(_outcome.c.objective_id == key)
            .order_by(order, _trial.c.index)
            .limit(1)
        )
        row = connection.execute(query).first()
        if row is not None:
            found.append({"objective": name, "trial": row[0], "mean": row[1]})
    return found
