"""Invariants of attempts and of the submissions that carry them, at any instant."""

from __future__ import annotations

import sqlalchemy as sa

from db.sql.checks.base import Check
from db.sql.columns import stored_word
from db.sql.tables import Attempt, Outcome, Submission, Trial, table_of
from db.states import (
    OPEN_ATTEMPTS,
    OPEN_SUBMISSIONS,
    AttemptState,
    FailureClass,
    SubmissionState,
)

_trial = table_of(Trial)
_attempt = table_of(Attempt)
_other = _attempt.alias("other")
_submission = table_of(Submission)
_outcome = table_of(Outcome)
_index = _trial.c.index.label("trial")
_number = _attempt.c.number.label("attempt")
_state = stored_word(_attempt.c.state).label("state")
_call = sa.func.coalesce(stored_word(_submission.c.state), "missing").label("call")

_of_trial = sa.join(_attempt, _trial, _trial.c.id == _attempt.c.trial_id)
_carried_by = _of_trial.outerjoin(_submission, _submission.c.id == _attempt.c.submission_id)
_FAILED = (AttemptState.FAILED, AttemptState.LOST, AttemptState.CANCELLED)
_is_open = _attempt.c.state.in_(OPEN_ATTEMPTS)
# A requeued job carries a further attempt at the same place.
_carried = (
    sa.select(sa.func.count(_attempt.c.array_index.distinct()))
    .where(_attempt.c.submission_id == _submission.c.id)
    .correlate(_submission)
    .scalar_subquery()
)
_gave_outcome = sa.exists().where(_outcome.c.attempt_id == _attempt.c.id).correlate(_attempt)
_is_one_of_several = (
    sa.exists()
    .where(
        _other.c.trial_id == _attempt.c.trial_id,
        _other.c.id != _attempt.c.id,
        _other.c.state == AttemptState.SUCCEEDED,
    )
    .correlate(_attempt)
)
_is_first_start = (
    (_other.c.submission_id == _attempt.c.submission_id)
    & (_other.c.array_index == _attempt.c.array_index)
    & (_other.c.restart == 0)
)

CHECKS = (
    Check(
        name="two-succeeded-attempts",
        says="has {count} SUCCEEDED attempts; it should have one at most",
        query=sa.select(_index, sa.func.count().label("count"))
        .select_from(_of_trial)
        .where(_attempt.c.state == AttemptState.SUCCEEDED)
        .group_by(_trial.c.experiment_id, _trial.c.index, _attempt.c.trial_id)
        .having(sa.func.count() > 1),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="two-live-attempts",
        says="has {count} attempts that may run (PLANNED, SUBMITTED, STARTED); it should have one "
        "at most",
        query=sa.select(_index, sa.func.count().label("count"))
        .select_from(_of_trial)
        .where(_is_open)
        .group_by(_trial.c.experiment_id, _trial.c.index, _attempt.c.trial_id)
        .having(sa.func.count() > 1),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="succeeded-without-outcome",
        says="SUCCEEDED, but its trial has no outcome from it",
        query=sa.select(_index, _number)
        .select_from(_of_trial)
        .where(
            _attempt.c.state == AttemptState.SUCCEEDED, sa.not_(_gave_outcome | _is_one_of_several)
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="planned-without-submission",
        says="is PLANNED in a submission that is {call}; it should be PREPARED or UNCLEAR",
        query=sa.select(_index, _number, _call)
        .select_from(_carried_by)
        .where(
            _attempt.c.state == AttemptState.PLANNED,
            _submission.c.id.is_(None) | _submission.c.state.not_in(OPEN_SUBMISSIONS),
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="submitted-without-job",
        says="is SUBMITTED in a submission that is {call}; it should be ACCEPTED",
        query=sa.select(_index, _number, _call)
        .select_from(_carried_by)
        .where(
            _attempt.c.state == AttemptState.SUBMITTED,
            _submission.c.id.is_(None) | (_submission.c.state != SubmissionState.ACCEPTED),
        ),
        experiment=_trial.c.experiment_id,
    ),
    # A worker that claimed its attempt proves that there is a job, whatever sbatch had said.
    Check(
        name="started-without-job",
        says="is STARTED in a submission that is REFUSED: a job runs that Slurm denied",
        query=sa.select(_index, _number)
        .select_from(_carried_by)
        .where(
            _attempt.c.state == AttemptState.STARTED,
            _submission.c.state == SubmissionState.REFUSED,
        ),
        experiment=_trial.c.experiment_id,
        is_warning=True,
    ),
    Check(
        name="submission-of-another-experiment",
        says="is carried by a submission of another experiment",
        query=sa.select(_index, _number)
        .select_from(_carried_by)
        .where(_submission.c.experiment_id != _trial.c.experiment_id),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="place-in-submission",
        says="has the place {array_index} in a submission of {size}; places count from 0",
        query=sa.select(_index, _number, _attempt.c.array_index, _submission.c.size)
        .select_from(_carried_by)
        .where(
            (_attempt.c.array_index < 0) | (_attempt.c.array_index >= _submission.c.size),
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="submission-size",
        says="submission {token} carries {size} attempts, but {count} are on record",
        query=sa.select(_submission.c.token, _submission.c.size, _carried.label("count")).where(
            _carried < _submission.c.size
        ),
        experiment=_submission.c.experiment_id,
    ),
    Check(
        name="place-without-first-start",
        says="submission {token} has no attempt of the first start at place {array_index}, only of "
        "restarts from {first} on",
        query=sa.select(
            _submission.c.token,
            _attempt.c.array_index,
            sa.func.min(_attempt.c.restart).label("first"),
        )
        .join_from(_attempt, _submission, _submission.c.id == _attempt.c.submission_id)
        .group_by(
            _submission.c.experiment_id,
            _attempt.c.submission_id,
            _submission.c.token,
            _attempt.c.array_index,
        )
        .having(sa.func.min(_attempt.c.restart) != 0),
        experiment=_submission.c.experiment_id,
    ),
    Check(
        name="restart-of-another-trial",
        says="is restart {restart} of a job whose first start ran another trial",
        query=sa.select(_index, _number, _attempt.c.restart)
        .select_from(_of_trial)
        .join(_other, _is_first_start)
        .where(_attempt.c.restart != 0, _other.c.trial_id != _attempt.c.trial_id),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="attempt-times",
        says="is {state} with started_at {started_at} and ended_at {ended_at}; it should have the "
        "times of its state",
        query=sa.select(_index, _number, _state, _attempt.c.started_at, _attempt.c.ended_at)
        .select_from(_of_trial)
        .where(
            (_is_open & _attempt.c.ended_at.is_not(None))
            | (~_is_open & _attempt.c.ended_at.is_(None))
            | ((_attempt.c.state == AttemptState.STARTED) & _attempt.c.started_at.is_(None))
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="failure-without-class",
        says="is {state} without a failure class; it should say why",
        query=sa.select(_index, _number, _state)
        .select_from(_of_trial)
        .where(
            _attempt.c.state.in_(_FAILED),
            _attempt.c.failure_class.is_(None),
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="failure-told-without-class",
        says="has no failure class, but the name {failure_name}, the message {failure_message} and "
        "the action {failure_action}",
        query=sa.select(
            _index,
            _number,
            _attempt.c.failure_name,
            _attempt.c.failure_message,
            _attempt.c.failure_action,
        )
        .select_from(_of_trial)
        .where(
            _attempt.c.failure_class.is_(None),
            _attempt.c.state.not_in(_FAILED),
            _attempt.c.failure_name.is_not(None)
            | _attempt.c.failure_message.is_not(None)
            | _attempt.c.failure_action.is_not(None),
        ),
        experiment=_trial.c.experiment_id,
    ),
    Check(
        name="rule-without-name",
        says="is of the class RULE and does not say which rule fitted",
        query=sa.select(_index, _number)
        .select_from(_of_trial)
        .where(
            _attempt.c.failure_class == FailureClass.RULE,
            _attempt.c.failure_name.is_(None),
        ),
        experiment=_trial.c.experiment_id,
    ),
)
