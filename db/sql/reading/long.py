"""The long tables for other programs: one row an outcome, metric, attempt, generation or event."""

from __future__ import annotations

from functools import partial
from typing import Any

import sqlalchemy as sa

from db.sql.columns import stored_word
from db.sql.reading.fields import Column, Kind, Pages, Session, Table, streamed
from db.sql.tables import Attempt, Event, Generation, Metric, Objective, Outcome, Trial, table_of

_attempt = table_of(Attempt)
_event = table_of(Event)
_generation = table_of(Generation)
_metric = table_of(Metric)
_objective = table_of(Objective)
_outcome = table_of(Outcome)
_reused = table_of(Trial).alias()
_trial = table_of(Trial)
_TRIAL = Column("trial", Kind.INT, "number of the trial")

OUTCOMES = (
    _TRIAL,
    Column("objective", Kind.TEXT, "name of the objective"),
    Column("mean", Kind.FLOAT, "the accepted value"),
    Column("sem", Kind.FLOAT, "its standard error, if the program gave it"),
    Column("source", Kind.TEXT, "ATTEMPT, IMPORT or REUSED"),
    Column("attempt", Kind.INT, "number of the attempt that gave it"),
    Column("reused_trial", Kind.INT, "number of the trial that it was taken from"),
)
METRICS = (
    _TRIAL,
    Column("attempt", Kind.INT, "number of the attempt that measured it"),
    Column("name", Kind.TEXT, "name of the metric"),
    Column("value", Kind.FLOAT, "the value; empty if it was not a finite number"),
    Column("split", Kind.TEXT, "TRAIN, VALIDATION or TEST"),
    Column("level", Kind.TEXT, "LAST, STEP, BATCH or TRIAL"),
    Column("step", Kind.INT, "step, batch or epoch"),
    Column("created_at", Kind.TIME, "when the program printed it"),
)
ATTEMPTS = (
    _TRIAL,
    Column("attempt", Kind.INT, "1 for the first attempt of a trial, then 2, …"),
    Column("state", Kind.TEXT, "SUCCEEDED, FAILED, LOST, CANCELLED, STARTED, …"),
    Column("host", Kind.TEXT, "Slurm node name, else hostname"),
    Column("job", Kind.TEXT, "Slurm job"),
    Column("cpus", Kind.INT, "CPUs requested, on each node"),
    Column("gpus", Kind.INT, "GPUs requested, on each node"),
    Column("nodes", Kind.INT, "nodes requested"),
    Column("memory_mb", Kind.INT, "memory requested on each node, MiB"),
    Column("wall_seconds", Kind.FLOAT, "how long the program ran"),
    Column("user_seconds", Kind.FLOAT, "CPU time in user mode, with all children"),
    Column("system_seconds", Kind.FLOAT, "CPU time in the kernel, with all children"),
    Column("peak_memory_bytes", Kind.INT, "most memory that it held"),
    Column("gpu_memory_bytes", Kind.INT, "most GPU memory, where nvidia-smi answers"),
    Column("gpu_utilization_percent", Kind.FLOAT, "mean use of the GPUs"),
    Column("exit_code", Kind.INT, "exit code of the program"),
    Column("signal", Kind.INT, "signal that ended the program"),
    Column("slurm_state", Kind.TEXT, "Slurm's last word on the job"),
    Column("failure", Kind.TEXT, "class of the failure: PROGRAM, TIMEOUT, …"),
    Column("failure_name", Kind.TEXT, "the rule or the log pattern that gave it its class"),
    Column("message", Kind.TEXT, "the failure in a sentence"),
    Column("action", Kind.TEXT, "what was done about it"),
    Column("evidence", Kind.JSON, "what its class rests on"),
    Column("log_path", Kind.TEXT, "log, relative to the run folder"),
    Column("created_at", Kind.TIME, "when it was planned"),
    Column("submitted_at", Kind.TIME, "when the scheduler took it"),
    Column("started_at", Kind.TIME, "when it started on its host"),
    Column("ended_at", Kind.TIME, "when it ended"),
)
GENERATIONS = (
    Column("generation", Kind.INT, "number of the call, from 0"),
    Column("node", Kind.INT, "step of the strategy that it counts for, from 0"),
    Column("generator", Kind.TEXT, "the generator that answered"),
    Column("requested", Kind.INT, "points asked for"),
    Column("produced", Kind.INT, "points given"),
    Column("fit_seconds", Kind.FLOAT, "time to fit a model"),
    Column("gen_seconds", Kind.FLOAT, "time to make the points"),
    Column("seed", Kind.INT, "seed of the call"),
    Column("fallback_reason", Kind.TEXT, "why another generator than the step's own answered"),
    Column("predictions", Kind.JSON, "what the model expected"),
    Column("created_at", Kind.TIME, "when the answer came"),
)
EVENTS = (
    Column("event", Kind.INT, "key of the event; larger ones are later"),
    Column("kind", Kind.TEXT, "what happened: setup, ask, tell, exit, …"),
    Column("trial", Kind.INT, "number of the trial that it is about"),
    Column("payload", Kind.JSON, "everything about it"),
    Column("created_at", Kind.TIME, "when"),
)
# Columns of `attempts` that are entries of a JSON column.
_REQUESTED = ("cpus", "gpus", "nodes", "memory_mb")
_MEASURED = (
    "wall_seconds",
    "user_seconds",
    "system_seconds",
    "peak_memory_bytes",
    "gpu_memory_bytes",
    "gpu_utilization_percent",
)


def outcomes(experiment_id: int) -> Table:
    """Return the table of accepted values: one row a trial and objective."""
    query = (
        sa.select(
            _trial.c.index,
            _objective.c.name,
            _outcome.c.mean,
            _outcome.c.sem,
            stored_word(_outcome.c.source),
            _attempt.c.number,
            _reused.c.index,
        )
        .select_from(_outcome)
        .join(_trial, _trial.c.id == _outcome.c.trial_id)
        .join(_objective, _objective.c.id == _outcome.c.objective_id)
        .outerjoin(_attempt, _attempt.c.id == _outcome.c.attempt_id)
        .outerjoin(_reused, _reused.c.id == _outcome.c.reused_trial_id)
        .where(_trial.c.experiment_id == experiment_id)
        .order_by(_trial.c.index, _objective.c.position)
    )
    return Table(name="outcomes", columns=OUTCOMES, pages=partial(streamed, query=query))


def metrics(experiment_id: int) -> Table:
    """Return the table of measurements along the way."""
    query = (
        sa.select(
            _trial.c.index,
            _attempt.c.number,
            _metric.c.name,
            _metric.c.value,
            stored_word(_metric.c.split),
            stored_word(_metric.c.level),
            _metric.c.step,
            _metric.c.created_at,
        )
        .select_from(_trial)
        .join(_metric, _metric.c.trial_id == _trial.c.id)
        .join(_attempt, _attempt.c.id == _metric.c.attempt_id)
        .where(_trial.c.experiment_id == experiment_id)
        .order_by(_trial.c.index, _attempt.c.number, _metric.c.id)
    )
    return Table(name="metrics", columns=METRICS, pages=partial(streamed, query=query))


def attempts(experiment_id: int) -> Table:
    """Return the table of attempts."""
    query = (
        sa.select(
            _trial.c.index,
            _attempt.c.number,
            stored_word(_attempt.c.state),
            _attempt.c.host,
            _attempt.c.slurm_job_id,
            _attempt.c.requested,
            _attempt.c.measured,
            _attempt.c.exit_code,
            _attempt.c.signal,
            _attempt.c.slurm_state,
            stored_word(_attempt.c.failure_class),
            _attempt.c.failure_name,
            _attempt.c.failure_message,
            _attempt.c.failure_action,
            _attempt.c.failure_evidence,
            _attempt.c.log_path,
            _attempt.c.created_at,
            _attempt.c.submitted_at,
            _attempt.c.started_at,
            _attempt.c.ended_at,
        )
        .select_from(_trial)
        .join(_attempt, _attempt.c.trial_id == _trial.c.id)
        .where(_trial.c.experiment_id == experiment_id)
        .order_by(_trial.c.index, _attempt.c.number)
    )

    def pages(session: Session) -> Pages:
        for page in streamed(session, query):
            yield [_spread(*row) for row in page]

    return Table(name="attempts", columns=ATTEMPTS, pages=pages)


def _spread(*row: Any) -> tuple[Any, ...]:
    """Put the entries of the two JSON columns of an attempt into columns of their own."""
    before, (requested, measured), after = row[:5], row[5:7], row[7:]
    return (
        *before,
        *[(requested or {}).get(name) for name in _REQUESTED],
        *[(measured or {}).get(name) for name in _MEASURED],
        *after,
    )


def generations(experiment_id: int) -> Table:
    """Return the table of calls of generators."""
    query = (
        sa.select(
            _generation.c.number,
            _generation.c.node,
            _generation.c.generator,
            _generation.c.requested,
            _generation.c.produced,
            _generation.c.fit_time,
            _generation.c.gen_time,
            _generation.c.seed,
            _generation.c.fallback_reason,
            _generation.c.predictions,
            _generation.c.created_at,
        )
        .where(_generation.c.experiment_id == experiment_id)
        .order_by(_generation.c.number)
    )
    return Table(name="generations", columns=GENERATIONS, pages=partial(streamed, query=query))


def events(experiment_id: int) -> Table:
    """Return the table of everything that happened or was decided."""
    query = (
        sa.select(_event.c.id, _event.c.kind, _trial.c.index, _event.c.payload, _event.c.created_at)
        .outerjoin(_trial, _trial.c.id == _event.c.trial_id)
        .where(_event.c.experiment_id == experiment_id)
        .order_by(_event.c.id)
    )
    return Table(name="events", columns=EVENTS, pages=partial(streamed, query=query))
