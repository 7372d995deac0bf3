"""Invariants of trials: their numbers, statuses and times, at any instant.

A head that waits for the next try of a trial leaves it RUNNING, and one that is killed then leaves
it so for the next head; only the end of an experiment puts that right. So what a status says about
attempts is less than its name while an experiment goes on.
"""

from __future__ import annotations

import sqlalchemy as sa

from db.sql.checks.base import Check, status_of
from db.sql.columns import stored_word
from db.sql.tables import Attempt, Experiment, Generation, Trial, table_of
from db.states import (
    FINAL_TRIALS,
    ONGOING_EXPERIMENTS,
    OPEN_ATTEMPTS,
    ExperimentStatus,
    TrialStatus,
)

_trial = table_of(Trial)
_attempt = table_of(Attempt)
_generation = table_of(Generation)
_experiment = table_of(Experiment)
_index = _trial.c.index.label("trial")
_number = _attempt.c.number.label("attempt")
_RUNS = (TrialStatus.STAGED, TrialStatus.RUNNING)

_is_final = _trial.c.status.in_(FINAL_TRIALS)
_of_experiment = sa.join(_trial, _experiment, _experiment.c.id == _trial.c.experiment_id)
_has_open_attempt = (
    sa.exists()
    .where(_attempt.c.trial_id == _trial.c.id, _attempt.c.state.in_(OPEN_ATTEMPTS))
    .correlate(_trial)
)
_has_begun = (
    sa.exists()
    .where(_attempt.c.trial_id == _trial.c.id, _attempt.c.started_at.is_not(None))
    .correlate(_trial)
)
_has_attempt = sa.exists().where(_attempt.c.trial_id == _trial.c.id).correlate(_trial)
_numbers = (
    sa.select(
        _attempt.c.trial_id,
        sa.func.min(_attempt.c.number).label("first"),
        sa.func.max(_attempt.c.number).label("last"),
        sa.func.count().label("count"),
    )
    .group_by(_attempt.c.trial_id)
    .having(
        (sa.func.min(_attempt.c.number) != 1) | (sa.func.max(_attempt.c.number) != sa.func.count())
    )
    .subquery()
)

CHECKS = (
    Check(
        name="trial-numbers",
        says="its {count} trials are numbered {first} to {last}; they should count from 0 without "
        "a hole",
        query=sa.select(
            sa.func.min(_trial.c.index).label("first"),
            sa.func.max(_trial.c.index).label("last"),
            sa.func.count().label("count"),
        )
        .group_by(_trial.c.experiment_id)
        .having(
            (sa.func.min(_trial.c.index) != 0)
            | (sa.func.max(_trial.c.index) + 1 != sa.func.count())
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="attempt-numbers",
        says="its {count} attempts are numbered {first} to {last}; they should count from 1 "
        "without a hole",
        query=sa.select(_index, _numbers.c.first, _numbers.c.last, _numbers.c.count).join_from(
            _numbers, _trial, _trial.c.id == _numbers.c.trial_id
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="trial-times",
        says="is {status} with completed_at {completed_at}; a final status has that time, another "
        "has not",
        query=sa.select(_index, status_of(_trial), _trial.c.completed_at).where(
            (_is_final & _trial.c.completed_at.is_(None))
            | (~_is_final & _trial.c.completed_at.is_not(None))
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="trial-start-times",
        says="is {status} with staged_at {staged_at} and run_started_at {run_started_at}; it "
        "should have the time of its status",
        query=sa.select(
            _index, status_of(_trial), _trial.c.staged_at, _trial.c.run_started_at
        ).where(
            (_trial.c.status.in_(_RUNS) & _trial.c.staged_at.is_(None))
            | ((_trial.c.status == TrialStatus.RUNNING) & _trial.c.run_started_at.is_(None))
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="trial-without-attempt",
        says="is {status} without an attempt that says so; STAGED needs one, RUNNING one that "
        "was started",
        query=sa.select(_index, status_of(_trial)).where(
            ((_trial.c.status == TrialStatus.STAGED) & ~_has_attempt)
            | ((_trial.c.status == TrialStatus.RUNNING) & ~_has_begun)
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="open-attempt-of-idle-trial",
        says="is {state}, but its trial is {status}; it should be STAGED or RUNNING",
        query=sa.select(
            _index, _number, stored_word(_attempt.c.state).label("state"), status_of(_trial)
        )
        .join_from(_attempt, _trial, _trial.c.id == _attempt.c.trial_id)
        .where(_attempt.c.state.in_(OPEN_ATTEMPTS), _trial.c.status.not_in(_RUNS)),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="finished-with-open-trial",
        says="is {status} in an experiment that is FINISHED; it should have a final status",
        query=sa.select(_index, status_of(_trial))
        .select_from(_of_experiment)
        .where(_experiment.c.status == ExperimentStatus.FINISHED, ~_is_final),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="left-behind",
        says="is {status} in an experiment that has ended, without an attempt that may run; it "
        "should be a CANDIDATE",
        query=sa.select(_index, status_of(_trial))
        .select_from(_of_experiment)
        .where(
            _experiment.c.status.not_in(ONGOING_EXPERIMENTS | {ExperimentStatus.FINISHED}),
            _trial.c.status.in_(_RUNS),
            _has_attempt,
            ~_has_open_attempt,
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="generation-of-another-experiment",
        says="was proposed by a generation of another experiment",
        query=sa.select(_index)
        .join_from(_trial, _generation, _generation.c.id == _trial.c.generation_id)
        .where(_generation.c.experiment_id != _trial.c.experiment_id),
        experiment=_trial.c.experiment_id,
    ),
)
