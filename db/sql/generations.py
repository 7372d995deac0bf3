"""Queries about calls of generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from db.sql.store import now
from db.sql.tables import Generation, Trial, table_of

_generation = table_of(Generation)


@dataclass(frozen=True, kw_only=True)
class NewGeneration:
    """One answered call of a generator; see the columns of `generation`."""

    number: int
    node: int
    generator: str
    requested: int
    produced: int
    fit_time: float | None
    gen_time: float | None
    seed: int
    state: dict[str, Any] | None
    predictions: dict[str, Any] | None
    fallback_reason: str | None


@dataclass(frozen=True, kw_only=True)
class LastState:
    """What a generator said last that it needs to go on.

    Attributes:
        number: The call that said it.
        state: What it said.
    """

    number: int
    state: dict[str, Any]


def insert(connection: sa.Connection, experiment_id: int, new: NewGeneration) -> int:
    """Store one call and return its key."""
    statement = _generation.insert().values(
        experiment_id=experiment_id, created_at=now(), **vars(new)
    )
    key = connection.execute(statement).inserted_primary_key
    assert key is not None
    return int(key[0])


def next_number(connection: sa.Connection, experiment_id: int) -> int:
    """Return the number of the next call."""
    query = sa.select(sa.func.max(_generation.c.number)).where(
        _generation.c.experiment_id == experiment_id
    )
    highest = connection.execute(query).scalar()
    return 0 if highest is None else int(highest) + 1


def exists(connection: sa.Connection, experiment_id: int, number: int) -> bool:
    """Whether a call of this number is stored."""
    query = sa.select(_generation.c.id).where(
        _generation.c.experiment_id == experiment_id, _generation.c.number == number
    )
    return connection.execute(query).first() is not None


def last_states(connection: sa.Connection, experiment_id: int) -> dict[str, LastState]:
    """Return the state that each generator gave last, by generator."""
    newest = (
        sa.select(sa.func.max(_generation.c.number))
        .where(
            _generation.c.experiment_id == experiment_id,
            _generation.c.produced > 0,
        )
        .group_by(_generation.c.generator)
    )
    rows = connection.execute(
        sa.select(_generation.c.generator, _generation.c.number, _generation.c.state).where(
            _generation.c.experiment_id == experiment_id, _generation.c.number.in_(newest)
        )
    )
    return {
        generator: LastState(number=number, state=state)
        for generator, number, state in rows
        if state is not None
    }


def proposed_by_node(connection: sa.Connection, experiment_id: int) -> dict[int, int]:
    """Return how many trials each step of the strategy has proposed, by position."""
    trial = table_of(Trial)
    rows = connection.execute(
        sa.select(_generation.c.node, sa.func.count())
        .join(trial, trial.c.generation_id == _generation.c.id)
        .where(_generation.c.experiment_id == experiment_id)
        .group_by(_generation.c.node)
    )
    return {int(node): int(count) for node, count in rows}
