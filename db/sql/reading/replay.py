"""What a replay needs of an experiment: its asks in order, and the trials that they name."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import sqlalchemy as sa

from db.sql.tables import Event, Generation, Objective, Outcome, Trial, table_of
from db.states import EventKind

_event = table_of(Event)
_generation = table_of(Generation)
_objective = table_of(Objective)
_outcome = table_of(Outcome)
_trial = table_of(Trial)
# Numbers in one query; SQLite takes 32 766 (sqlite.org/limits.html).
_CHUNK = 5000


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """One event.

    Attributes:
        id: Its key; grows with every event of an experiment.
        kind: Its kind.
        payload: What it says.
    """

    id: int
    kind: EventKind
    payload: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as generators know it.

    Attributes:
        point: Its parameters.
        means: Value of each objective by name; empty if it has no outcome.
        sems: Standard error of each objective that has one.
    """

    point: dict[str, Any]
    means: dict[str, float] = field(default_factory=dict)
    sems: dict[str, float] = field(default_factory=dict)


def events_of(
    connection: sa.Connection,
    experiment_id: int,
    kinds: Collection[EventKind],
    *,
    after: int = 0,
    limit: int | None = None,
) -> list[EventRow]:
    """Return events of some kinds, the oldest first, from behind the one with the key `after`."""
    query = (
        sa.select(_event.c.id, _event.c.kind, _event.c.payload)
        .where(_event.c.experiment_id == experiment_id, _event.c.id > after)
        .where(_event.c.kind.in_([kind.value for kind in kinds]))
        .order_by(_event.c.id)
        .limit(limit)
    )
    return [
        EventRow(id=key, kind=EventKind(kind), payload=payload)
        for key, kind, payload in connection.execute(query)
    ]


def trial_records(
    connection: sa.Connection, experiment_id: int, indices: Collection[int]
) -> dict[int, TrialRecord]:
    """Return trials by index; those that do not exist are left out."""
    found: dict[int, TrialRecord] = {}
    for chunk in _chunks(indices):
        query = (
            sa.select(
                _trial.c.index,
                _trial.c.parameters,
                _objective.c.name,
                _outcome.c.mean,
                _outcome.c.sem,
            )
            .outerjoin(_outcome, _outcome.c.trial_id == _trial.c.id)
            .outerjoin(_objective, _objective.c.id == _outcome.c.objective_id)
            .where(_trial.c.experiment_id == experiment_id, _trial.c.index.in_(chunk))
            .order_by(_trial.c.index, _objective.c.position)
        )
        for index, point, name, mean, sem in connection.execute(query):
            record = found.setdefault(index, TrialRecord(point=point))
            if name is not None:
                record.means[name] = mean
            if sem is not None:
                record.sems[name] = sem
    return found


def states(
    connection: sa.Connection, experiment_id: int, numbers: Collection[int]
) -> dict[int, dict[str, Any] | None]:
    """Return what the generators said in these calls that they need to go on, by number."""
    found: dict[int, dict[str, Any] | None] = {}
    for chunk in _chunks(numbers):
        query = sa.select(_generation.c.number, _generation.c.state).where(
            _generation.c.experiment_id == experiment_id, _generation.c.number.in_(chunk)
        )
        found |= {number: state for number, state in connection.execute(query)}  # noqa: C416 - rows
    return found


def _chunks(numbers: Collection[int]) -> Iterator[list[int]]:
    rest = iter(sorted(set(numbers)))
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
