"""Outcomes: the best ones, and all that were accepted since the last look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from db.sql.columns import PastIndex
from db.sql.reading.experiments import ObjectiveRow
from db.sql.tables import Outcome, Trial, table_of

_outcome = table_of(Outcome)
_trial = table_of(Trial)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A trial that has all its outcomes.

    Attributes:
        index: The trial's number within its experiment.
        parameters: Its point.
        means: The value of each objective, by name.
    """

    index: int
    parameters: dict[str, Any]
    means: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class News:
    """Outcomes that were accepted after a certain one.

    Attributes:
        last_id: Where the next look begins.
        values: For each trial with all its outcomes, in the order of acceptance: its index and the
            value of each objective, in the order of the objectives.
    """

    last_id: int
    values: list[tuple[int, tuple[float, ...]]]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """How one objective got better, at a limited number of moments.

    Attributes:
        last_id: Where a later look at the news begins.
        count: How many outcomes there are.
        steps: For each new best, in their order: its number in the order of acceptance (from 1,
            estimated from keys), the trial's index, and the value.
    """

    last_id: int
    count: int
    steps: list[tuple[int, int, float]]


def best(
    connection: sa.Connection, objectives: Sequence[ObjectiveRow], *, limit: int = 1
) -> list[Scored]:
    """Return the best trials by the first objective; ties go to the others, then to the index."""
    if not objectives:
        return []
    tables = [_outcome.alias() for _ in objectives]
    query = sa.select(
        _trial.c.index, _trial.c.parameters, *[table.c.mean for table in tables]
    ).select_from(_joined(tables, objectives))
    order = [
        table.c.mean.asc() if objective.minimize else table.c.mean.desc()
        for table, objective in zip(tables, objectives, strict=True)
    ]
    query = query.where(tables[0].c.objective_id == objectives[0].id)
    query = query.order_by(*order, _trial.c.index).limit(limit)
    names = [objective.name for objective in objectives]
    return [
        Scored(index=index, parameters=point, means=dict(zip(names, means, strict=True)))
        for index, point, *means in connection.execute(query)
    ]


def _joined(tables: Sequence[sa.FromClause], objectives: Sequence[ObjectiveRow]) -> sa.Join:
    first = tables[0]
    joined = sa.join(first, _trial, _trial.c.id == first.c.trial_id)
    for table, objective in zip(tables[1:], objectives[1:], strict=True):
        # Looked up by the trial; never the other way round.
        on = table.c.trial_id == first.c.trial_id
        on &= PastIndex(table.c.objective_id) == objective.id
        joined = joined.join(table, on)
    return joined


def since(connection: sa.Connection, objectives: Sequence[ObjectiveRow], last_id: int) -> News:
    """Return the outcomes of the first objective with keys above `last_id`, and all that go along.

    Keys grow in the order of commits here, since only the one head of an experiment accepts
    outcomes, one transaction after the other, and all outcomes of a trial in one.

    Args:
        connection: A reading transaction.
        objectives: All objectives of the experiment.
        last_id: Where the last look ended; 0 for all.
    """
    if not objectives:
        return News(last_id=last_id, values=[])
    tables = [_outcome.alias() for _ in objectives]
    first = tables[0]
    query = (
        sa.select(first.c.id, _trial.c.index, *[table.c.mean for table in tables])
        .select_from(_joined(tables, objectives))
        .where(first.c.id > last_id, PastIndex(first.c.objective_id) == objectives[0].id)
        .order_by(first.c.id)
    )
    found = connection.execute(query).all()
    return News(
        last_id=found[-1][0] if found else last_id,
        values=[(index, tuple(means)) for _, index, *means in found],
    )


def overview(
    connection: sa.Connection, objective: ObjectiveRow, *, count: int, moments: int
) -> Overview:
    """Return how an objective got better, without reading all its values.

    From the last moment to the first, the index of values is followed from the best value on to the
    best one that had been accepted by then: once through it at most, however many moments there
    are.

    Args:
        connection: A reading transaction.
        objective: The objective.
        count: How many trials have an outcome.
        moments: At how many moments to look, at most.
    """
    first, last = _end(connection, objective, "first"), _end(connection, objective, "last")
    found: list[tuple[int, int, float]] = []
    for place in range(moments if last else 0, 0, -1):
        border = first + (last - first) * place // moments
        if not found or found[-1][0] > border:
            bound = found[-1][2] if found else None
            found.append(_best(connection, objective, _outcome.c.id <= border, bound))
    if found and found[-1][0] > first:
        # By its key: the index of values would be followed half through on the way to it.
        found.append(_best(connection, objective, _outcome.c.id == first, None))
    span = max(1, last - first)
    steps = [(1 + (at - first) * (count - 1) // span, index, value) for at, index, value in found]
    return Overview(last_id=last, count=count, steps=steps[::-1])


def _end(
    connection: sa.Connection, objective: ObjectiveRow, which: Literal["first", "last"]
) -> int:
    """Return the first or the last key of an objective's outcomes, 0 if there are none."""
    key = _outcome.c.id
    query = (
        sa.select(key)
        .where(PastIndex(_outcome.c.objective_id) == objective.id)
        .order_by(key if which == "first" else key.desc())
        .limit(1)
    )
    return connection.execute(query).scalar() or 0


def _best(
    connection: sa.Connection,
    objective: ObjectiveRow,
    where: sa.ColumnElement[bool],
    bound: float | None,
) -> tuple[int, int, float]:
    """Return key, trial's index and value of the best outcome, at or behind `bound`."""
    mean = _outcome.c.mean
    query = (
        sa.select(_outcome.c.id, _trial.c.index, mean)
        .join(_trial, _trial.c.id == _outcome.c.trial_id)
        .where(_outcome.c.objective_id == objective.id, where)
        .order_by(mean if objective.minimize else mean.desc(), _outcome.c.id)
        .limit(1)
    )
    if bound is not None:
        query = query.where(mean >= bound if objective.minimize else mean <= bound)
    at, index, value = connection.execute(query).one()
    return int(at), int(index), float(value)


def points(connection: sa.Connection, experiment_id: int, indices: Sequence[int]) -> dict[int, Any]:
    """Return the parameters of trials, by index."""
    query = sa.select(_trial.c.index, _trial.c.parameters).where(
        _trial.c.experiment_id == experiment_id, _trial.c.index.in_(indices)
    )
    return {int(index): parameters for index, parameters in connection.execute(query)}
