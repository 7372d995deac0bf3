"""Queries about trials. Every change of a status names the statuses that it expects."""

from __future__ import annotations

import hashlib
import itertools
import json
import operator
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.columns import PastIndex
from db.sql.store import now
from db.sql.tables import Generation, Objective, Outcome, Trial, table_of
from db.states import FINAL_TRIALS, TrialStatus

_trial = table_of(Trial)
_outcome = table_of(Outcome)
_objective = table_of(Objective)
# So many results are fetched at a time.
_PAGE = 5_000
# Asked for by name and not as `not final`, so that an index finds the few among all others.
_OPEN = tuple(status for status in TrialStatus if status not in FINAL_TRIALS)


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A trial as the head keeps it in mind while it is open."""

    id: int
    index: int
    status: TrialStatus
    parameters: dict[str, Any]
    node: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a trial: the values of its objectives by name, or none."""

    index: int
    parameters: dict[str, Any]
    means: dict[str, float] | None
    sems: dict[str, float]


def parameter_hash(parameters: dict[str, Any]) -> str:
    """Return a digest that is equal for equal points, whatever the order of their names."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def insert(
    connection: sa.Connection,
    experiment_id: int,
    *,
    first_index: int,
    points: Sequence[dict[str, Any]],
    generation_id: int,
) -> list[int]:
    """Store points as CANDIDATE trials, numbered from `first_index`; return their keys."""
    if not points:
        return []
    created = now()
    rows = [
        {
            "experiment_id": experiment_id,
            "index": first_index + offset,
            "generation_id": generation_id,
            "parameters": point,
            "parameter_hash": parameter_hash(point),
            "status": TrialStatus.CANDIDATE,
            "created_at": created,
        }
        for offset, point in enumerate(points)
    ]
    statement = _trial.insert().returning(_trial.c.id, sort_by_parameter_order=True)
    if connection.dialect.name in {"sqlite", "postgresql", "mariadb"}:
        return [int(key) for key in connection.execute(statement, rows).scalars()]
    return [
        int(connection.execute(_trial.insert(), row).inserted_primary_key[0])  # type: ignore[index]
        for row in rows
    ]


def move(
    connection: sa.Connection,
    trial_ids: Sequence[int],
    status: TrialStatus,
    *,
    expected: Collection[TrialStatus],
    reason: str | None = None,
    at: datetime | None = None,
) -> int:
    """Give trials a new status and note the time; return how many had an expected one."""
    moment = at or now()
    values: dict[str, Any] = {"status": status, "status_reason": reason}
    if status == TrialStatus.STAGED:
        values["staged_at"] = sa.func.coalesce(_trial.c.staged_at, _bound(moment))
    elif status == TrialStatus.RUNNING:
        values["run_started_at"] = sa.func.coalesce(_trial.c.run_started_at, _bound(moment))
    elif status in FINAL_TRIALS:
        values["completed_at"] = moment
    where = _trial.c.id.in_(trial_ids) & _trial.c.status.in_(expected)
    return connection.execute(_trial.update().where(where).values(**values)).rowcount


def _bound(moment: datetime) -> sa.BindParameter[datetime]:
    """Return a time as a part of a statement, with the type that makes it UTC."""
    return sa.bindparam("moment", moment, type_=_trial.c.completed_at.type)


def add_outcomes(
    connection: sa.Connection,
    trial_id: int,
    *,
    attempt_id: int,
    means: dict[int, float],
    sems: dict[int, float],
) -> None:
    """Store the accepted values of a trial's objectives, by the key of the objective."""
    rows = [
        {
            "trial_id": trial_id,
            "objective_id": objective_id,
            "mean": mean,
            "sem": sems.get(objective_id),
            "source": "ATTEMPT",
            "attempt_id": attempt_id,
        }
        for objective_id, mean in means.items()
    ]
    connection.execute(_outcome.insert(), rows)


def has_outcome(connection: sa.Connection, trial_id: int) -> bool:
    """Whether a trial already has an accepted outcome."""
    query = sa.select(sa.literal(1)).where(_outcome.c.trial_id == trial_id).limit(1)
    return connection.execute(query).scalar() is not None


def counts(connection: sa.Connection, experiment_id: int) -> dict[TrialStatus, int]:
    """Return how many trials have each status."""
    query = (
        sa.select(_trial.c.status, sa.func.count())
        .where(_trial.c.experiment_id == experiment_id)
        .group_by(_trial.c.status)
    )
    return {TrialStatus(status): int(count) for status, count in connection.execute(query)}


def next_index(connection: sa.Connection, experiment_id: int) -> int:
    """Return the index of the next trial."""
    query = sa.select(sa.func.max(_trial.c.index)).where(_trial.c.experiment_id == experiment_id)
    highest = connection.execute(query).scalar()
    return 0 if highest is None else int(highest) + 1


def open_trials(connection: sa.Connection, experiment_id: int) -> list[TrialRow]:
    """Return all trials whose status is not final, in the order of their index."""
    generation = table_of(Generation)
    query = (
        sa.select(
            _trial.c.id,
            _trial.c.index,
            _trial.c.status,
            _trial.c.parameters,
            sa.func.coalesce(generation.c.node, 0).label("node"),
        )
        .outerjoin(generation, generation.c.id == _trial.c.generation_id)
        .where(_trial.c.experiment_id == experiment_id)
        .where(_trial.c.status.in_(_OPEN))
    )
    # Sorted here: SQLite would go through all trials for the sake of their order.
    found = [TrialRow(**row) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda row: row.index)


def results(connection: sa.Connection, experiment_id: int) -> Iterator[Result]:
    """Yield what generators have to be told again after a restart, in the order of the ends.

    They come as they are read, so that a million of them need no memory: go through them before the
    transaction ends.
    """
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
        .where(_trial.c.experiment_id == experiment_id)
        .where(PastIndex(_trial.c.status).in_((TrialStatus.COMPLETED, TrialStatus.FAILED)))
        .order_by(_trial.c.completed_at, _trial.c.index, _objective.c.position)
    )
    rows = connection.execute(query, execution_options={"yield_per": _PAGE})
    for index, of_trial in itertools.groupby(rows, key=operator.itemgetter(0)):
        yield _result(index, list(of_trial))


def _result(index: int, rows: Sequence[tuple[Any, ...]]) -> Result:
    """Make a result of the rows of a trial: one for each objective, or a lone one without any."""
    has_outcome = rows[0][2] is not None
    return Result(
        index=index,
        parameters=rows[0][1],
        means={name: mean for _, _, name, mean, _ in rows} if has_outcome else None,
        sems={name: sem for _, _, name, _, sem in rows if sem is not None},
    )
