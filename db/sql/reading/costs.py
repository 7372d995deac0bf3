"""What experiments cost: attempts, hosts, time, and the CPUs and GPUs that they held."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.columns import stored_word
from db.sql.leases import database_time
from db.sql.reading.fields import PAGE
from db.sql.reading.trials import run_seconds
from db.sql.tables import Attempt, Generation, Trial, table_of
from db.states import AttemptState

_attempt = table_of(Attempt)
_generation = table_of(Generation)
_trial = table_of(Trial)
_HOUR = 3600.0


@dataclass(kw_only=True)
class Costs:
    """What the attempts of one experiment used.

    An attempt costs its wall time, as the worker measured it or else from its start to its end (for
    one that runs: to now), times the CPUs and GPUs of all nodes that were requested for it.

    Attributes:
        attempts: How many there were, those that never started too.
        unknown: How many started, but their time or their request is not known: they are not in the
            hours.
        cpu_hours: CPUs times hours.
        gpu_hours: GPUs times hours.
        hosts: Names of the hosts that ran one, in alphabetical order.
        median_run_seconds: Middle of the times of the attempts that succeeded; None without one.
    """

    attempts: int = 0
    unknown: int = 0
    cpu_hours: float = 0.0
    gpu_hours: float = 0.0
    hosts: list[str] = field(default_factory=list)
    median_run_seconds: float | None = None


def costs(connection: sa.Connection, experiment_id: int) -> Costs:
    """Add up what all attempts of an experiment used."""
    requested, measured = _attempt.c.requested, _attempt.c.measured
    query = (
        sa.select(
            stored_word(_attempt.c.state),
            _attempt.c.host,
            requested["cpus"].as_integer(),
            requested["gpus"].as_integer(),
            requested["nodes"].as_integer(),
            measured["wall_seconds"].as_float(),
            _attempt.c.started_at,
            _attempt.c.ended_at,
        )
        .join(_trial, _trial.c.id == _attempt.c.trial_id)
        .where(_trial.c.experiment_id == experiment_id)
    )
    now = database_time(connection)
    total = Costs()
    hosts: set[str] = set()
    times: list[float] = []
    rows = connection.execute(query, execution_options={"yield_per": PAGE})
    for state, host, cpus, gpus, nodes, wall, started, ended in rows:
        total.attempts += 1
        seconds = _held_seconds(state, wall, (started, ended), now)
        if seconds is None and started is None:
            continue
        if host is not None:
            hosts.add(host)
        if seconds is not None and state == AttemptState.SUCCEEDED:
            times.append(seconds)
        if seconds is None or cpus is None:
            total.unknown += 1
            continue
        hours = seconds / _HOUR * (nodes or 1)
        total.cpu_hours += cpus * hours
        total.gpu_hours += (gpus or 0) * hours
    total.hosts = sorted(hosts)
    total.median_run_seconds = statistics.median(times) if times else None
    return total


def _held_seconds(
    state: str, wall: Any, span: tuple[datetime | None, datetime | None], now: datetime
) -> float | None:
    started, ended = span
    if state == AttemptState.STARTED and wall is None:
        ended = now
    return run_seconds(wall, started, ended)


def generators(connection: sa.Connection, experiment_id: int) -> dict[str, int]:
    """Return how many trials each generator proposed, in the order of their first calls."""
    query = (
        sa.select(_generation.c.generator, sa.func.count())
        .select_from(_trial)
        .join(_generation, _generation.c.id == _trial.c.generation_id)
        .where(_trial.c.experiment_id == experiment_id)
        .group_by(_generation.c.generator)
        .order_by(sa.func.min(_generation.c.number))
    )
    return {name: int(count) for name, count in connection.execute(query)}
