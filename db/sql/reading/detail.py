"""One trial with everything that happened to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from db.sql.reading import trials
from db.sql.reading.code import ChangedFile, changed
from db.sql.reading.trials import TrialRow
from db.sql.tables import Artifact, Attempt, Metric, Objective, Outcome, Trial, table_of
from db.states import AttemptState, FailureClass

_artifact = table_of(Artifact)
_attempt = table_of(Attempt)
_metric = table_of(Metric)
_objective = table_of(Objective)
_outcome = table_of(Outcome)
_trial = table_of(Trial)


@dataclass(frozen=True, kw_only=True)
class AttemptDetail:
    """One attempt; see the columns of `attempt`."""

    id: int
    number: int
    state: AttemptState
    slurm_job_id: str | None
    cluster: str | None
    host: str | None
    requested: dict[str, Any] | None
    measured: dict[str, Any] | None
    infos: dict[str, Any] | None
    exit_code: int | None
    signal: int | None
    slurm_state: str | None
    failure_class: FailureClass | None
    failure_name: str | None
    failure_message: str | None
    failure_action: str | None
    failure_evidence: dict[str, Any] | None
    log_path: str | None
    created_at: datetime
    submitted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    heartbeat_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OutcomeDetail:
    """One accepted value.

    Attributes:
        source: ATTEMPT, IMPORT or REUSED.
        attempt: Number of the attempt that gave it.
        reused_trial: Index of the trial that it was taken from.
    """

    objective: str
    mean: float
    sem: float | None
    source: str
    attempt: int | None
    reused_trial: int | None


@dataclass(frozen=True, kw_only=True)
class MetricSummary:
    """The measurements of one name and split in one attempt.

    Attributes:
        attempt: Number of the attempt.
        count: How many there are.
        value: The last one; None if it was not a finite number.
    """

    attempt: int
    name: str
    split: str
    count: int
    value: float | None
    step: int | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class ArtifactDetail:
    """A file that an attempt made."""

    attempt: int
    name: str
    url: str
    bytes: int | None
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class TrialDetail:
    """A trial and all that belongs to it."""

    trial: TrialRow
    attempts: tuple[AttemptDetail, ...]
    outcomes: tuple[OutcomeDetail, ...]
    metrics: tuple[MetricSummary, ...]
    artifacts: tuple[ArtifactDetail, ...]
    code: tuple[ChangedFile, ...]


def find(connection: sa.Connection, experiment_id: int, index: int) -> TrialDetail | None:
    """Return one trial by its index, or None if there is none."""
    query = sa.select(_trial.c.id).where(
        _trial.c.experiment_id == experiment_id, _trial.c.index == index
    )
    key = connection.execute(query).scalar()
    if key is None:
        return None
    return TrialDetail(
        trial=trials.rows(connection, [key])[0],
        attempts=attempts(connection, key),
        outcomes=_outcomes(connection, key),
        metrics=_metrics(connection, key),
        artifacts=_artifacts(connection, key),
        code=changed(connection, key),
    )


def last_index(connection: sa.Connection, experiment_id: int) -> int | None:
    """Return the highest index of a trial, or None if there is no trial."""
    query = sa.select(sa.func.max(_trial.c.index)).where(_trial.c.experiment_id == experiment_id)
    return connection.execute(query).scalar()


def attempts(connection: sa.Connection, trial_id: int) -> tuple[AttemptDetail, ...]:
    """Return all attempts of a trial, the first one first."""
    columns = [_attempt.c[name] for name in AttemptDetail.__annotations__]
    query = sa.select(*columns).where(_attempt.c.trial_id == trial_id).order_by(_attempt.c.number)
    return tuple(AttemptDetail(**row) for row in connection.execute(query).mappings())


def _outcomes(connection: sa.Connection, trial_id: int) -> tuple[OutcomeDetail, ...]:
    reused = _trial.alias()
    query = (
        sa.select(
            _objective.c.name.label("objective"),
            _outcome.c.mean,
            _outcome.c.sem,
            _outcome.c.source,
            _attempt.c.number.label("attempt"),
            reused.c.index.label("reused_trial"),
        )
        .join(_objective, _objective.c.id == _outcome.c.objective_id)
        .outerjoin(_attempt, _attempt.c.id == _outcome.c.attempt_id)
        .outerjoin(reused, reused.c.id == _outcome.c.reused_trial_id)
        .where(_outcome.c.trial_id == trial_id)
        .order_by(_objective.c.position)
    )
    return tuple(OutcomeDetail(**row) for row in connection.execute(query).mappings())


def _metrics(connection: sa.Connection, trial_id: int) -> tuple[MetricSummary, ...]:
    newest = (
        sa.select(sa.func.max(_metric.c.id).label("id"), sa.func.count().label("count"))
        .where(_metric.c.trial_id == trial_id)
        .group_by(_metric.c.attempt_id, _metric.c.name, _metric.c.split)
        .subquery()
    )
    query = (
        sa.select(
            _attempt.c.number.label("attempt"),
            _metric.c.name,
            _metric.c.split,
            newest.c["count"],
            _metric.c.value,
            _metric.c.step,
            _metric.c.created_at,
        )
        .join(newest, newest.c.id == _metric.c.id)
        .join(_attempt, _attempt.c.id == _metric.c.attempt_id)
        .order_by(_attempt.c.number, _metric.c.name, _metric.c.split)
    )
    return tuple(MetricSummary(**row) for row in connection.execute(query).mappings())


def _artifacts(connection: sa.Connection, trial_id: int) -> tuple[ArtifactDetail, ...]:
    query = (
        sa.select(
            _attempt.c.number.label("attempt"),
            _artifact.c.name,
            _artifact.c.url,
            _artifact.c.bytes,
            _artifact.c.sha256,
        )
        .join(_attempt, _attempt.c.id == _artifact.c.attempt_id)
        .where(_artifact.c.trial_id == trial_id)
        .order_by(_artifact.c.id)
    )
    return tuple(ArtifactDetail(**row) for row in connection.execute(query).mappings())
